"""The Python blocks of the documentation run, in their order, page by page."""

import pathlib
import re

import pytest

import attn_mlir as attn

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python( \w+)?\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", [p for p in PAGES if BLOCK.search(p.read_text())], ids=lambda p: p.name)
def test_page(page):
    text = page.read_text()
    names = {"__name__": "page"}
    for block in BLOCK.finditer(text):
        kind, code = (block.group(1) or "").strip(), block.group(2)
        if kind == "torch":
            pytest.importorskip("torch")
            pytest.importorskip("transformers")
        line = text[:block.start()].count("\n") + 1
        program = compile("\n" * line + code, str(page), "exec")
        if kind == "raises":
            with pytest.raises(attn.CompileError) as caught:
                exec(program, names)
            expected = re.search(r"# CompileError: (.*)", code).group(1)
            for part in expected.split("..."):
                assert part.strip() in str(caught.value)
        else:
            exec(program, names)
