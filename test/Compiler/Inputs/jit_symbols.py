"""What the emulated GPU calls by name is known to the JIT.

usage: jit_symbols.py ROOT

A tool finds the runtime's functions among its own symbols, a library that was
loaded for the use of one other library does not.
"""

import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
called = set()
for path in (root / "lib/Target/Emulator").glob("*.cpp"):
    called |= set(re.findall(r'"(attn_emulator_\w+)"', path.read_text(encoding="utf-8")))
known = set(re.findall(r'"(attn_emulator_\w+)"', (root / "lib/Compiler/JitSymbols.cpp").read_text(encoding="utf-8")))
for name in sorted(called - known):
    print(f"JitSymbols.cpp lacks {name}")
sys.exit(1 if called - known or not called else 0)
