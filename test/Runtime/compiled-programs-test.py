# RUN: %python %s %root %tools_dir %t
"""Programs compiled ahead of time and called through the runtime give the very
bits that attn-run gives: every kind of operand and result, many threads at once,
offsets beyond 2^31 elements; and wrong arguments of real programs are refused."""

import mmap
import pathlib
import shutil
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent / "Inputs"))
from attn_runtime import Program, Runtime, RuntimeFailure, np
from operands import make_operands

ROOT, TOOLS, WORK = map(pathlib.Path, sys.argv[1:])
LIBRARY = TOOLS.parent / "lib" / "libattn_runtime.so"
if b"__asan_init" in LIBRARY.read_bytes():
    print("skipped: Python does not load libraries with sanitizers")
    sys.exit(0)
RUNTIME = Runtime(str(LIBRARY))
EXAMPLES = {
    "causal-gqa": {"B": 2, "L": 65},
    "alibi": {"B": 1, "L": 70},
    "append-quantised": {"B": 1, "pages": 9, "maxpages": 4},
    "block-sparse-from-list": {"B": 2, "L": 300, "Q": 5},
    "entropy-and-column-statistics": {"B": 1, "L": 40, "M": 33, "N": 40},
    "paged-decode-int8": {"B": 2, "pages": 9, "maxpages": 4},
    "ragged-cross-attention": {"B": 3, "M": 33, "N": 70},
    "talking-heads": {"B": 1, "L": 50},
}
failures = []


def expect(what, condition):
    if not condition:
        failures.append(what)


def compile_program(name, text):
    source, target = WORK / f"{name}.mlir", WORK / f"{name}.so"
    source.write_text(text)
    subprocess.run([TOOLS / "attn-compile", source, "-o", target], check=True)
    return source, Program(RUNTIME, str(target))


def run_jit(source, inputs):
    """What attn-run makes of the same operands."""
    np.savez(WORK / "in.npz", **inputs)
    command = [TOOLS / "attn-run", source, "--inputs", WORK / "in.npz", "--output", WORK / "out.npz"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with np.load(WORK / "out.npz") as out:
        return {name: out[name] for name in out.files}


def compare(name, text, sizes):
    source, program = compile_program(name, text)
    operands = make_operands(program, text, sizes)
    want = run_jit(source, operands)
    shapes = program.get_result_shapes(list(operands.values()))
    got = program.call([array.copy() for array in operands.values()])
    expect(f"{name}: results {list(got)}, expected {list(want)}", list(got) == list(want))
    for (result, array), shape in zip(got.items(), shapes):
        same = array.shape == want[result].shape and array.tobytes() == want[result].tobytes()
        expect(f"{name}: {result} differs from that of attn-run", same)
        matches = all(said in (-1, extent) for said, extent in zip(shape, array.shape))
        expect(f"{name}: {result} has shape {array.shape}, said was {shape}", matches)
    return program, list(operands.values())


def expect_refused(what, sentence, program, operands):
    try:
        program.call(operands)
        failures.append(f"{what}: accepted")
    except RuntimeFailure as failure:
        expect(f"{what}: {failure}", str(failure) == sentence)


def test_examples():
    for name, sizes in EXAMPLES.items():
        program, _ = compare(name, (ROOT / "examples" / f"{name}.mlir").read_text(), sizes)
        program.close()


BFLOAT = """
func.func @attention(
    %q: tensor<?x2x?x32xbf16> {attn.name = "q", attn.dims = ["B", "2", "M", "32"]},
    %k: tensor<?x2x?x32xbf16> {attn.name = "k", attn.dims = ["B", "2", "N", "32"]},
    %scale: f32 {attn.name = "scale"}
  ) -> (tensor<?x2x?x32xf32> {attn.name = "o"}, f32 {attn.name = "twice"}) {
  %s = attn.score %q, %k scale(0.2)
     : tensor<?x2x?x32xbf16>, tensor<?x2x?x32xbf16> -> !attn.scores<?x2x?x?xf32>
  %p = attn.softmax %s : !attn.scores<?x2x?x?xf32>
  %o = attn.aggregate %p, %k : !attn.scores<?x2x?x?xf32>, tensor<?x2x?x32xbf16>
     -> tensor<?x2x?x32xf32>
  %t = arith.addf %scale, %scale : f32
  return %o, %t : tensor<?x2x?x32xf32>, f32
}
"""


def test_bfloats_and_scalars():
    compare("bfloat", BFLOAT, {"B": 1, "M": 9, "N": 40})[0].close()


MAPS = """
func.func @attention(
    %q: tensor<?x4x?x16xf32> {attn.name = "q", attn.dims = ["B", "4", "M", "16"]},
    %k: tensor<?x2x?x16xf32> {attn.name = "k", attn.dims = ["C", "2", "N", "16"]},
    %h: tensor<4xi32> {attn.name = "heads", attn.dims = ["4"]},
    %b: tensor<?xi32> {attn.name = "prefixes", attn.dims = ["B"]}
  ) -> (tensor<?x4x?xf32> {attn.name = "lse"}) {
  %s = attn.score %q, %k heads(%h : tensor<4xi32>) batches(%b : tensor<?xi32>)
     : tensor<?x4x?x16xf32>, tensor<?x2x?x16xf32> -> !attn.scores<?x4x?x?xf32>
  %l = attn.reduce lse keys %s : (!attn.scores<?x4x?x?xf32>) -> tensor<?x4x?xf32>
  return %l : tensor<?x4x?xf32>
}
"""


SHAPES = """
func.func @attention(
    %q: tensor<?x4x?x16xf32> {attn.name = "q"},
    %k: tensor<?x2x?x16xf32> {attn.name = "k"},
    %v: tensor<?x2x?x16xf32> {attn.name = "v"},
    %n: tensor<?x1xi32> {attn.name = "n", attn.init = "lengths(k.2)"}
  ) -> (tensor<?x4x?x16xf32> {attn.name = "o"}) {
  %s = attn.score %q, %k key_length(%n : tensor<?x1xi32>)
     : tensor<?x4x?x16xf32>, tensor<?x2x?x16xf32> -> !attn.scores<?x4x?x?xf32>
  %p = attn.softmax %s : !attn.scores<?x4x?x?xf32>
  %o = attn.aggregate %p, %v : !attn.scores<?x4x?x?xf32>, tensor<?x2x?x16xf32>
     -> tensor<?x4x?x16xf32>
  return %o : tensor<?x4x?x16xf32>
}
"""


def test_derived_shapes():
    """What operations relate is checked without attn.dims, here and by attn-run."""
    source, program = compile_program("shapes", SHAPES)
    random = np.random.default_rng(5)

    def check(b, bk, n, nv, length, sentence=None, said=None):
        operands = [
            random.standard_normal((b, 4, 3, 16)).astype("f4"),
            random.standard_normal((bk, 2, n, 16)).astype("f4"),
            random.standard_normal((b, 2, nv, 16)).astype("f4"),
            np.full((b, 1), length, "i4"),
        ]
        np.savez(WORK / "wrong.npz", **dict(zip("qkvn", operands)))
        command = [TOOLS / "attn-run", source, "--inputs", WORK / "wrong.npz"]
        run = subprocess.run(command, capture_output=True, text=True)
        if sentence is None:
            program.call(operands)
            expect(f"attn-run: {run.stderr}", run.returncode == 0)
            return
        expect_refused(sentence, sentence, program, operands)
        expect(f"attn-run: {run.stderr}, not {said}", run.returncode != 0 and said in run.stderr)

    check(2, 2, 7, 7, 7)
    check(
        *(2, 1, 7, 7, 7),
        "argument 'k' of 'attention' needs on axis 0 what 'q' has on axis 0: 1 is not 2",
        "argument 'k' needs on axis 0 what 'q' has on axis 0, which is 2, but has 1",
    )
    check(
        *(2, 2, 7, 6, 5),
        "argument 'v' of 'attention' needs on axis 2 what 'k' has on axis 2: 6 is not 7",
        "argument 'v' needs on axis 2 what 'k' has on axis 2, which is 7, but has 6",
    )
    check(
        *(2, 2, 7, 7, 8),
        "length 'n' of 'attention' has 8 at [0, 0], allowed are 0 to 7",
        "length 'n' has 8 as element 0, allowed are 0 to 7",
    )
    check(
        *(2, 2, 7, 7, -1),
        "length 'n' of 'attention' has -1 at [0, 0], allowed are 0 to 7",
        "length 'n' has -1 as element 0, allowed are 0 to 7",
    )
    program.close()


def test_refusals():
    text = (ROOT / "examples" / "paged-decode-int8.mlir").read_text()
    _, program = compile_program("pages", text)
    operands = list(make_operands(program, text, {"B": 2, "pages": 9, "maxpages": 4}).values())
    table = operands[5]
    table[1, 2] = 9
    expect_refused(
        "page beyond the pool",
        "page table 'table' of 'decode' has 9 at [1, 2], allowed are -1 to 8; -1 stands for no page",
        program,
        operands,
    )
    table[1, 2] = -1
    program.call(operands)
    program.close()
    _, program = compile_program("maps", MAPS)
    operands = list(make_operands(program, MAPS, {"B": 2, "M": 3, "C": 5, "N": 7}).values())
    operands[2][:], operands[3][:] = [0, 1, 1, 0], [4, 0]
    program.call(operands)
    for index, value, sentence in [
        (2, 2, "head map 'heads' of 'attention' has 2 at [1], allowed are 0 to 1"),
        (3, -1, "index 'prefixes' of 'attention' has -1 at [1], allowed are 0 to 4"),
    ]:
        wrong = [array.copy() for array in operands]
        wrong[index][1] = value
        expect_refused(f"{value} in a map", sentence, program, wrong)
    program.close()
    text = (ROOT / "examples" / "append-quantised.mlir").read_text()
    _, program = compile_program("append", text)
    operands = list(make_operands(program, text, {"B": 1, "pages": 9, "maxpages": 4}).values())
    operands[4] = operands[3]
    expect_refused(
        "one pool twice",
        "argument 's' of 'step' is written, but shares memory with argument 'z'",
        program,
        operands,
    )
    program.close()


def test_threads():
    """64 at once, each with operands of its own."""
    text = (ROOT / "examples" / "causal-gqa.mlir").read_text()
    _, program = compile_program("threads", text)
    problems = [list(make_operands(program, text, {"B": 1, "L": 5 + k}).values()) for k in range(64)]
    want = [program.call(operands)["o"] for operands in problems]

    def work(k):
        for _ in range(5):
            expect(f"thread {k} has another result", np.array_equal(program.call(problems[k])["o"], want[k]))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    program.close()


def make_sparse(shape, dtype):
    """Zeros that take memory only where they are written."""
    no_reserve = 0x4000
    count = int(np.prod(shape)) * np.dtype(dtype).itemsize
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve
    return np.frombuffer(mmap.mmap(-1, count, flags=flags), dtype).reshape(shape)


def test_large_offsets():
    """The last pages of pools of more than 2^31 elements, and rows of tensors
    that are as far apart, against the same numbers in small ones."""
    text = (ROOT / "examples" / "paged-decode-int8.mlir").read_text()
    _, program = compile_program("large", text)
    pages, far = 9, 300000  # of 16384 codes each
    small = list(make_operands(program, text, {"B": 2, "pages": pages, "maxpages": 4}).values())
    large = list(small)
    for index in (1, 2, 3, 4):
        large[index] = make_sparse((far, *small[index].shape[1:]), small[index].dtype)
        large[index][far - pages :] = small[index]
    large[5] = small[5] + (far - pages)
    expect("pages at large offsets", np.array_equal(program.call(large)["o"], program.call(small)["o"]))
    program.close()

    text = (ROOT / "examples" / "causal-gqa.mlir").read_text()
    _, program = compile_program("far-apart", text)
    small = list(make_operands(program, text, {"B": 2, "L": 33}).values())
    large = []
    for array in small:
        batch = make_sparse((2, 2**31 // 64, 64), array.dtype)
        view = np.lib.stride_tricks.as_strided(batch, array.shape, (batch.strides[0], *array.strides[1:]))
        view[...] = array
        large.append(view)
    expect("batches far apart", np.array_equal(program.call(large)["o"], program.call(small)["o"]))
    program.close()


shutil.rmtree(WORK, ignore_errors=True)
WORK.mkdir(parents=True)
test_examples()
test_bfloats_and_scalars()
test_derived_shapes()
test_refusals()
test_threads()
try:
    test_large_offsets()
except OSError as error:
    print(f"without large offsets: {error}")
print("\n".join(failures) or "all as expected")
sys.exit(bool(failures))
