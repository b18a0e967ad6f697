"""What no mechanism takes, and that it says so before anything is compiled."""

import numpy as np
import pytest

from attn_mlir import zoo

#: Operands that `run` takes for other functions of the entry.
NOT_READ = ((57, "noise"), (115, "mem"))


@pytest.mark.parametrize("entry", zoo.entries(), ids=lambda entry: f"{entry.number:03d}")
def test_operands_of_other_ranks_and_flags_of_other_values(rng, entry):
    inputs = entry.module.example(rng)
    for name, value in inputs.items():
        if (entry.number, name) in NOT_READ:
            continue
        if isinstance(value, np.ndarray) and value.ndim > 1:
            wrong = value[None]
        elif isinstance(value, bool):
            wrong = 2
        else:
            continue
        with pytest.raises(ValueError):
            entry.run(**{**inputs, name: wrong})
    with pytest.raises(ValueError, match="there is no target 'abacus'; there is: cpu"):
        entry.run(target="abacus", **inputs)
    with pytest.raises(TypeError, match="unknown"):
        entry.run(**inputs, unknown=1)
