"""Runs a command and prints what it says, then its exit code.

Usage: exit-code.py COMMAND ARGUMENTS...
"""

import subprocess
import sys

done = subprocess.run(
    sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
)
sys.stdout.write(done.stdout)
print("exit code", done.returncode)
