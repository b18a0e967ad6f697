"""Writes array files of all the kinds that attn-run reads into a folder, and
damaged ones.

Usage: make-arrays.py FOLDER
"""

import pathlib
import sys

import numpy as np

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
random = np.random.default_rng(1)
x = random.standard_normal((3, 5)).astype(np.float32)
n = np.array([4, -7, 2], np.int32)

np.save(folder / "x.npy", x)
np.save(folder / "x-columns.npy", np.asfortranarray(x))
np.save(folder / "x-big.npy", x.astype(">f4"))
np.save(folder / "x-double.npy", x.astype(np.float64))
np.save(folder / "x-wide.npy", np.ones((3, 6), np.float32))
np.save(folder / "x-flat.npy", x.reshape(-1))
np.save(folder / "n.npy", n)
np.save(folder / "n-long.npy", n.astype(np.int64))
np.save(folder / "n-four.npy", np.arange(4, dtype=np.int32))
np.save(folder / "n-huge.npy", np.array([1 << 40, 0, 0]))
np.savez(folder / "stored.npz", x=x, n=n)
np.savez_compressed(folder / "deflated.npz", x=x, n=n)
np.savez(folder / "stranger.npz", y=x)

# bf16 as its bits, and as the void type of ml_dtypes.
bits = (x.view(np.uint32) >> 16).astype(np.uint16)
np.save(folder / "x-bits.npy", bits)
np.save(folder / "x-void.npy", bits.view("V2"))

whole = (folder / "x.npy").read_bytes()
(folder / "x-cut.npy").write_bytes(whole[:-3])
archive = (folder / "stored.npz").read_bytes()
(folder / "cut.npz").write_bytes(archive[:-30])
