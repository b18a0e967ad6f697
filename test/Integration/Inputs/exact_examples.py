"""Every example in exact mode: equal to the reference in every bit.

usage: exact_examples.py EXAMPLES_FOLDER [attn-run options]

Exact mode also has to check the plan that runs otherwise: the printed plans are
compared. Sizes are those of an example's first RUN line with --check. An
example that exact mode does not apply to is listed here with the reason; the
test fails when that changes, either way.
"""

import pathlib
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

NOT_APPLICABLE = {
    "mean-variance-normalised": "a running mean divides by counts, and even ones have no inverse in the ring",
}


def plan(path, option):
    """The plan in words, which comes before the program."""
    run = subprocess.run(["attn-opt", str(path), f"--attn-plan{option}"], text=True, capture_output=True, timeout=600)
    return run.stdout.split("\nmodule")[0]


def check(path, flags):
    """None, or what went wrong."""
    line = re.search(r"RUN: attn-run %s --check(.*)", path.read_text())
    if not line:
        return f"{path.name}: no RUN line with --check"
    options = [o for o in shlex.split(line[1]) if not o.startswith("--loops")]
    run = subprocess.run(
        ["attn-run", str(path), "--check=exact", *options, *flags], text=True, capture_output=True, timeout=600
    )
    reason = NOT_APPLICABLE.get(path.stem)
    if reason:
        expected = run.returncode == 3 and f"exact mode does not apply: {reason}" in run.stderr
    else:
        expected = run.returncode == 0 and "exact check" in run.stdout
    if not expected:
        return f"{path.name}: exit code {run.returncode}\n{run.stdout}{run.stderr}"
    if not reason and plan(path, "") != plan(path, "=exact=true"):
        return f"{path.name}: exact mode has another plan"
    print(f"{path.stem}: {'not applicable: ' + reason if reason else 'equal'}")
    return None


def main():
    folder, flags = pathlib.Path(sys.argv[1]), sys.argv[2:]
    paths = sorted(folder.glob("*.mlir"))
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda path: check(path, flags), paths))
    failures = [outcome for outcome in outcomes if outcome]
    print("\n".join(failures))
    sys.exit(bool(failures) or not paths)


if __name__ == "__main__":
    main()
