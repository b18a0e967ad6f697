"""What a program becomes, as text and as a picture."""

import xml.etree.ElementTree as ElementTree

import numpy as np

import attn_mlir as attn

Q = np.zeros((1, 2, 512, 32), np.float32)


def test_windows_visit_a_band():
    plan = attn.jit(lambda q, k, v: attn.softmax(q @ k.mT, where=attn.sliding_window(100)) @ v).plan(Q, Q, Q)
    (band,) = plan.maps
    i, j = np.indices((8, 8))
    np.testing.assert_array_equal(band.tiles > 0, (j <= i) & (i - j <= 2))
    assert plan.num_kernels == 1
    assert "21 of 64 visited" in str(plan)


def test_causal_tiles_are_full_below_the_diagonal():
    plan = attn.jit(lambda q, k, v: attn.softmax(q @ k.mT, where=attn.causal) @ v).plan(Q, Q, Q, block=128)
    np.testing.assert_array_equal(plan.maps[0].tiles, np.tril(np.full((4, 4), 2), -1) + np.eye(4))


def test_documents_that_arguments_tell_apart():
    def program(q, k, v, documents):
        return attn.softmax(q @ k.mT, where=attn.document(documents)) @ v

    plan = attn.jit(program).plan(Q, Q, Q, np.repeat(np.arange(4), 128))
    np.testing.assert_array_equal(plan.maps[0].tiles > 0, np.kron(np.eye(4), np.ones((2, 2))))


def test_every_sweep_has_a_map():
    def columns(q, k):
        p = attn.softmax(q @ k.mT, where=attn.causal)
        return p.sum(-2)

    plan = attn.jit(columns).plan(Q, Q)
    assert plan.num_kernels == 2 and len(plan.maps) == 2


def test_pictures_are_svg(tmp_path):
    plan = attn.jit(lambda q, k, v: attn.softmax(q @ k.mT, where=attn.causal) @ v).plan(Q, Q, Q)
    plan.save(tmp_path / "plan.svg")
    root = ElementTree.parse(tmp_path / "plan.svg").getroot()
    assert root.tag.endswith("svg") and len(root.findall(".//{*}path")) == 2


def test_benchmark_reports_seconds_per_call():
    timing = attn.jit(lambda x: x * 2).benchmark(np.ones(3), seconds=0.01)
    assert 0 < timing.minimum <= timing.median
