"""Random operands for compiled programs, as their attn.init ask for."""

import re

from attn_runtime import np

DTYPES = {(0, 8): "i1", (0, 32): "i4", (0, 64): "i8", (2, 16): "f2", (2, 32): "f4", (2, 64): "f8", (4, 16): "u2"}


def make_integers(random, init, shape, sizes, dtype):
    """Those attn.init patterns that integers of the examples have."""
    kind, *words = re.findall(r"[\w-]+", init)
    numbers = [sizes[word] if word in sizes else int(word) for word in words]
    if kind == "range":
        return random.integers(numbers[0], numbers[1], shape).astype(dtype)
    if kind == "lengths":
        return random.integers(0, numbers[0] + 1, shape).astype(dtype)
    if kind == "table":
        return random.integers(0, numbers[0], shape).astype(dtype)
    if kind == "constant":
        return np.full(shape, numbers[0], dtype)
    return np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)


def make_operands(program, text, sizes, seed=3):
    """Arrays by name for the arguments of the program that `text` is."""
    random = np.random.default_rng(seed)
    inits = dict(re.findall(r'attn\.name = "(\w+)"[^}]*?attn\.init = "([^"]*)"', text))
    operands = {}
    for parameter in program.arguments:
        name = parameter.name.decode()
        dims = [parameter.dims[axis].decode() for axis in range(parameter.rank)]
        shape = [sizes[dim] if dim in sizes else int(dim) for dim in dims]
        dtype = DTYPES[parameter.code, parameter.bits]
        if parameter.code == 2:
            array = random.standard_normal(shape).astype(dtype)
            operands[name] = abs(array) / 10 if "positive" in inits.get(name, "") else array
        elif name in inits:
            operands[name] = make_integers(random, inits[name], shape, sizes, dtype)
        elif parameter.bits == 16:  # bf16 by its bits
            array = random.standard_normal(shape).astype("f4")
            operands[name] = (array.view("u4") >> 16).astype("u2")
        else:
            operands[name] = random.integers(-100, 100, shape).astype(dtype)
    return operands
