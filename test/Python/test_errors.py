"""Errors point at the line of the user."""

import inspect

import numpy as np
import pytest

import attn_mlir as attn

Q = np.zeros((2, 4, 5, 8), np.float32)


def line_of(function, text):
    lines, start = inspect.getsourcelines(function)
    return start + next(i for i, line in enumerate(lines) if text in line)


def test_what_the_compiler_refuses_names_the_line():
    def program(q, k, v):
        s = q @ k.mT
        p = attn.matmul_scores = s @ s
        return p @ v

    with pytest.raises(attn.CompileError) as caught:
        attn.jit(program)(Q, Q, Q)
    places = [(file, line) for _, _, file, line, _ in caught.value.messages]
    assert any(file == __file__ and line in (line_of(program, "s @ s"), line_of(program, "p @ v"))
               for file, line in places)
    assert "max-recompute-factor" in str(caught.value)


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="queries have 8 features and keys 6"):
        attn.jit(lambda q, k: attn.materialize(q @ k.mT))(Q, Q[..., :6])
    with pytest.raises(ValueError, match="heads of queries are no multiple of 3 heads of keys"):
        attn.jit(lambda q, k: attn.materialize(q @ k.mT))(Q, Q[:, :3])
    with pytest.raises(ValueError, match="axis -1 of operands"):
        attn.jit(lambda x, y: x + y)(np.zeros((2, 3)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match="rows and their positions: 3 and 5 differ"):
        attn.jit(attn.rope)(Q, np.arange(3))
    with pytest.raises(ValueError, match="the batch of rows and of their positions: 3 and 2 differ"):
        attn.jit(attn.rope)(Q, np.zeros((3, 5), int))
    with pytest.raises(ValueError, match="not one of 3 axes"):
        attn.jit(attn.rope)(Q, np.zeros((1, 2, 5), int))
    with pytest.raises(ValueError, match="rotates pairs of the 7 features; it cannot rotate 7"):
        attn.jit(attn.rope)(Q[..., :7])


def test_a_mask_that_compares_positions_needs_an_origin():
    with pytest.raises(ValueError, match="pass q_offset="):
        attn.jit(lambda q, k: attn.logsumexp(q @ k.mT, where=attn.causal))(Q, Q[:, :, :3])


def test_scores_are_no_result():
    with pytest.raises(TypeError, match="use attn.materialize"):
        attn.jit(lambda q, k: q @ k.mT)(Q, Q)


def test_elements_are_not_known():
    with pytest.raises(TypeError, match="attn.where"):
        attn.jit(lambda x: x if x[0] > 0 else -x)(np.ones(3))


def test_outside_of_a_function():
    with pytest.raises(RuntimeError, match="under attn.jit only"):
        attn.arange(3)


def test_values_that_programs_cannot_be_told_apart_by():
    with pytest.raises(TypeError, match="neither an array nor a value"):
        attn.jit(lambda x, y: x)(np.ones(3), bytearray(b"x"))


def test_dtypes_without_an_element_type():
    with pytest.raises(TypeError, match="complex128"):
        attn.jit(lambda x: x)(np.zeros(3, complex))


def test_a_scan_has_a_length_of_zero_or_more():
    def run(length):
        return attn.jit(lambda x: attn.scan(lambda c, _: (c + 1.0, c), x, None, length))(np.zeros(2))

    with pytest.raises(ValueError, match="scan runs 0 times or more, not -1"):
        run(-1)
    with pytest.raises(ValueError, match="scan over nothing needs a length"):
        run(None)
    last, rows = run(0)
    assert rows.shape == (0, 2) and not last.any()


def test_an_axis_has_zero_elements_or_more():
    with pytest.raises(ValueError, match="an axis has 0 elements or more, not -3"):
        attn.jit(lambda x: x + attn.zeros((-3,)))(np.zeros(2))
