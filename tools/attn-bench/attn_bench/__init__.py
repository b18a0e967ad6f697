"""What attn-bench and bench/gpu.py are made of. It is plain Python with NumPy,
and lies beside the script, so that a folder of packages can carry it along."""
