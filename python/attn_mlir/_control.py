"""Loops and choices inside of a program, for what cannot be unrolled."""

from __future__ import annotations

from ._array import Array, as_array, convert, from_scalar, type_of
from ._trace import current


def _flatten(tree):
    if isinstance(tree, (tuple, list)):
        return [leaf for item in tree for leaf in _flatten(item)]
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in _flatten(tree[key])]
    return [tree]


def _rebuild(tree, leaves):
    """The same structure with other leaves."""
    leaves = iter(leaves)

    def build(item):
        if isinstance(item, (tuple, list)):
            return type(item)(map(build, item))
        if isinstance(item, dict):
            return {key: build(item[key]) for key in sorted(item)}
        return next(leaves)

    return build(tree)


def _blocks(trace, arrays):
    names = [trace.new_name() for _ in arrays]
    return names, [Array(trace, n, a.element, a.shape) for n, a in zip(names, arrays)]


def _yielded(trace, values, like, what):
    values = [as_array(v) for v in _flatten(values)]
    if len(values) != len(like):
        raise ValueError(f"{what} returns {len(values)} arrays, where {len(like)} were carried in")
    result = []
    for value, start in zip(values, like):
        value = convert(value, start.element)
        if value.ndim != start.ndim:
            raise ValueError(f"{what} returns an array of {value.ndim} axes, where one of {start.ndim} was carried in")
        for a, b in zip(value.shape, start.shape):
            trace.unify(b, a, f"{what}: an array that is carried around")
        result.append(value.stored())
    return result


def fori_loop(lower, upper, body, init):
    """for i in range(lower, upper): state = body(i, state).

    `i` is an array without axes (int64); `state` is an array, or a tuple, list or
    dict of arrays, whose shapes and dtypes stay the same. Bounds are numbers,
    extents or arrays without axes.
    """
    from ._indexing import _element
    trace = current()
    start = [as_array(v).stored() for v in _flatten(init)]

    def bound(value):
        return _element(value) if isinstance(value, Array) else trace.extent(value)

    low, high, one = bound(lower), bound(upper), trace.extent(1)
    counter = trace.new_name()
    names, arrays = _blocks(trace, start)
    with trace.region() as lines:
        integer = trace.emit(f"arith.index_cast {counter} : index to i64")
        index = from_scalar(trace, integer, "i64")
        results = _yielded(trace, body(index, _rebuild(init, arrays)), start, "the body of fori_loop")
        types = ", ".join(map(type_of, start))
        trace.line(f"scf.yield {', '.join(r.source for r in results)} : {types}")
    carried = ", ".join(f"{n} = {a.source}" for n, a in zip(names, start))
    result = trace.new_name()
    count = f":{len(start)}" if len(start) > 1 else ""
    trace.line(f"{result}{count} = scf.for {counter} = {low} to {high} step {one} iter_args({carried}) -> ({types}) {{")
    trace._buffers[-1].extend(lines)
    trace.line(f"}} {trace.location()}")
    return _rebuild(init, _results(trace, result, start))


def _results(trace, name, like):
    names = [name] if len(like) == 1 else [f"{name}#{i}" for i in range(len(like))]
    return [Array(trace, n, a.element, a.shape) for n, a in zip(names, like)]


def while_loop(condition, body, init):
    """while condition(state): state = body(state).

    The condition is an array of bool without axes; the state as in `fori_loop`.
    """
    from ._indexing import _element
    trace = current()
    start = [as_array(v).stored() for v in _flatten(init)]
    types = ", ".join(map(type_of, start))
    before, first = _blocks(trace, start)
    with trace.region() as test:
        value = convert(as_array(condition(_rebuild(init, first))), "i1")
        if value.ndim:
            raise ValueError("the condition of while_loop is an array without axes")
        bit = trace.emit(f"tensor.extract {value.stored().source}[] : tensor<i1>")
        trace.line(f"scf.condition({bit}) {', '.join(before)} : {types}")
    after, second = _blocks(trace, start)
    with trace.region() as lines:
        results = _yielded(trace, body(_rebuild(init, second)), start, "the body of while_loop")
        trace.line(f"scf.yield {', '.join(r.source for r in results)} : {types}")
    carried = ", ".join(f"{n} = {a.source}" for n, a in zip(before, start))
    result = trace.new_name()
    count = f":{len(start)}" if len(start) > 1 else ""
    trace.line(f"{result}{count} = scf.while ({carried}) : ({types}) -> ({types}) {{")
    trace._buffers[-1].extend(test)
    trace.line("} do {")
    trace.line("^bb0(" + ", ".join(f"{n}: {type_of(a)}" for n, a in zip(after, start)) + "):")
    trace._buffers[-1].extend(lines)
    trace.line(f"}} {trace.location()}")
    return _rebuild(init, _results(trace, result, start))


def scan(function, init, xs, length=None):
    """state, ys = function(state, x) for every row x of the arrays `xs` along
    their first axis, or `length` times without any; the last state, and the ys
    stacked along a new first axis. ValueError for arrays of different lengths, and
    for a length that is missing or negative.
    """
    from ._array import empty_tensor
    from ._indexing import dynamic_update
    from ._shapes import zeros
    trace = current()
    leaves = [as_array(x).stored() for x in _flatten(xs)] if xs is not None else []
    for x in leaves:
        length = x.shape[0] if length is None else trace.unify(length, x.shape[0], "arrays that scan runs over")
    if length is None:
        raise ValueError("scan over nothing needs a length")
    if isinstance(length, int) and length < 0:
        raise ValueError(f"scan runs 0 times or more, not {length}")

    def row(index):
        picked = [x[index] for x in leaves]
        return _rebuild(xs, picked) if leaves else None

    # The shapes of the ys are those of a first run, of which nothing is kept.
    with trace.region():
        probe = as_array(0)
        state, ys = function(init, row(probe))
        outputs = [as_array(y) for y in _flatten(ys)] if ys is not None else []
        elements = [y.element for y in outputs]
        shapes = [y.shape for y in outputs]
    buffers = [Array(trace, empty_tensor(trace, (length, *s), e), e, (length, *s)) for s, e in zip(shapes, elements)]
    shape_of = ys

    def body(index, carried):
        state, buffers = carried
        state, ys = function(state, row(index))
        rows = [as_array(y) for y in _flatten(ys)] if ys is not None else []
        return state, [dynamic_update(b, y._view((None, *y.axes)), [index] + [0] * y.ndim)
                       for b, y in zip(buffers, rows)]

    state, buffers = fori_loop(0, length, body, (init, buffers))
    return state, (_rebuild(shape_of, buffers) if shape_of is not None else None)


def cond(predicate, true_function, false_function, *operands):
    """true_function(*operands) if predicate else false_function(*operands)."""
    trace = current()
    value = convert(as_array(predicate), "i1")
    bit = trace.emit(f"tensor.extract {value.stored().source}[] : tensor<i1>")
    with trace.region() as first:
        tree = true_function(*operands)
        yes = [as_array(v).stored() for v in _flatten(tree)]
        types = ", ".join(map(type_of, yes))
        trace.line(f"scf.yield {', '.join(a.source for a in yes)} : {types}")
    with trace.region() as second:
        no = _yielded(trace, false_function(*operands), yes, "the other function of cond")
        trace.line(f"scf.yield {', '.join(a.source for a in no)} : {types}")
    result = trace.new_name()
    count = f":{len(yes)}" if len(yes) > 1 else ""
    trace.line(f"{result}{count} = scf.if {bit} -> ({types}) {{")
    trace._buffers[-1].extend(first)
    trace.line("} else {")
    trace._buffers[-1].extend(second)
    trace.line(f"}} {trace.location()}")
    return _rebuild(tree, _results(trace, result, yes))
