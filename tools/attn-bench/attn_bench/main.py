"""The command line of attn-bench."""

import argparse
import contextlib
import json
import pathlib
import sys

from . import cpu, device, torch_peers
from .cpu_peers import Iree, OnnxRuntime
from .measure import compare, report_failures
from .packages import Packages, save, say
from .problems import make_grid
from .runtime import DEVICE_TYPES, HERE, Device, Failure

PEERS = {"torch": torch_peers.Torch, "onnxruntime": OnnxRuntime, "iree": Iree}
GRID = {
    "masks": ["full", "causal"], "types": ["f32", "bf16"], "length": [1024, 2048, 4096, 8192],
    "features": [64, 128], "batch": 1, "heads": 0, "groups": 0, "decode": [],
}  # fmt: skip
COPY_BYTES = 1 << 29


def add_timing(parser, rounds):
    """Options of everything that times on a device."""
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--calls", type=int, default=10, help="calls on a device that are timed together")
    parser.add_argument("--copy-bytes", type=int, default=COPY_BYTES, help="bytes copied to measure a device's memory")
    parser.add_argument("--json", type=pathlib.Path, help="write everything measured to this file")


def check_timing(parser, options):
    for name in ("rounds", "calls", "copy_bytes"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} needs a positive number")


def parse_device(text):
    """A number is that of a GPU of CUDA."""
    try:
        return Device.parse(f"cuda:{text}" if text.isdigit() else text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def make_parser(description):
    parser = argparse.ArgumentParser(
        prog="attn-bench", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one small length, three rounds")
    parser.add_argument("--masks", nargs="+", metavar="MASK", help="full, causal, window=W")
    parser.add_argument("--types", nargs="+", choices=["f32", "bf16"])
    parser.add_argument("--length", nargs="+", type=int, metavar="L")
    parser.add_argument("--features", nargs="+", type=int, metavar="D")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--heads", type=int, help="heads of queries (8; 32 for decoding)")
    parser.add_argument("--groups", type=int, help="heads of keys (those of queries; 4 for decoding)")
    parser.add_argument("--decode", nargs="+", type=int, metavar="N", help="one query on N keys instead")
    names = f"{', '.join(PEERS)}; on a device {', '.join(torch_peers.DEVICE_PEERS)}"
    parser.add_argument("--peers", nargs="*", metavar="PEER", help=f"{names} (all)")
    parser.add_argument("--threads", type=int, help="of every system (default: all processors)")
    parser.add_argument("--cpu", help="compile for a lesser CPU than this one, such as haswell (AVX2)")
    add_timing(parser, 9)
    folders = parser.add_argument_group("packages for another machine")
    folders.add_argument("--target", help="as attn-compile's, such as cuda:sm_80,cuda:sm_90")
    folders.add_argument("--save", type=pathlib.Path, metavar="DIR", help="compile for it, and time nothing")
    folders.add_argument("--device", type=parse_device, metavar="DEVICE", help="time packages on this device: cuda:N, hip:N")
    folders.add_argument("--packages", type=pathlib.Path, metavar="DIR", help="which (where this script is)")
    return parser


def check_modes(parser, options):
    """Three things can be done; what says how to do another is a mistake."""
    if bool(options.target) != bool(options.save):
        parser.error("--target and --save go together")
    if options.target and options.device:
        parser.error("--target is where the compiler is, --device where the device is")
    if options.packages and not options.device:
        parser.error("--packages needs --device")
    unused = {"device": [*GRID, "threads", "cpu"], "save": ["peers", "threads", "json"]}
    for mode, names in unused.items():
        for name in names if getattr(options, mode) else ():
            if getattr(options, name) is not None:
                parser.error(f"--{name} says nothing beside --{mode}")
    known = torch_peers.DEVICE_PEERS if options.device else PEERS
    for name in options.peers or []:
        if name not in known:
            parser.error(f"peer '{name}' is none of {', '.join(known)}")


def check_grid(parser, options):
    for mask in options.masks:
        if mask not in ("full", "causal") and not (mask.startswith("window=") and mask[7:].isdigit() and int(mask[7:])):
            parser.error(f"mask '{mask}' is none of full, causal, window=W")
    for name in ("length", "features", "decode"):
        if any(value < 1 for value in getattr(options, name)):
            parser.error(f"--{name} needs positive numbers")
    if options.batch < 1 or options.heads < 0 or options.groups < 0 or (options.threads or 0) < 0:
        parser.error("--batch needs a positive number, --heads, --groups and --threads none below 0")
    heads = options.heads or (32 if options.decode else 8)
    if options.groups and heads % options.groups:
        parser.error(f"--heads {heads} is no multiple of --groups {options.groups}")


def parse(description, arguments):
    parser = make_parser(description)
    options = parser.parse_args(arguments)
    check_modes(parser, options)
    check_timing(parser, options)
    for name, default in GRID.items():
        if getattr(options, name) is None:
            setattr(options, name, default)
    check_grid(parser, options)
    if options.quick:
        options.length, options.rounds = [512], 3
    return options


def write(path, content):
    if path:
        path.write_text(json.dumps(content, indent=2) + "\n")


def run_on_cpu(options):
    machine = cpu.Machine(HERE, options.threads, options.cpu)
    for name in sorted(PEERS) if options.peers is None else options.peers:
        try:
            machine.systems.append(PEERS[name](machine.threads))
        except ImportError as error:
            say(f"{name} is left out: {error}")
    print(machine.describe() + "\n")
    rows = compare(list(make_grid(options)), machine, options.rounds)
    write(options.json, {"threads": machine.threads, "versions": machine.versions(), "rows": rows})
    return report_failures(rows)


def run_on_device(options):
    packages = Packages(options.packages or HERE)
    if not packages.files:
        raise Failure(f"{packages.folder} has no problems")
    with contextlib.ExitStack() as stack:
        machine = device.Machine(packages, options, stack)
        print(machine.describe() + "\n")
        rows = compare(list(packages.files), machine, options.rounds)
    write(options.json, {**machine.about, "rows": rows})
    return report_failures(rows)


def main(description, arguments=None):
    options = parse(description, arguments)
    try:
        if options.save:
            save(options.save, list(make_grid(options)), options.target, options.cpu, HERE)
            kind = next((kind for kind in DEVICE_TYPES if f"{kind}:" in options.target), "cuda")
            say(f"{options.save} is ready: python {options.save / 'attn-bench'} --device={kind}:0")
            return 0
        return run_on_device(options) if options.device else run_on_cpu(options)
    except (Failure, OSError) as error:
        sys.exit(f"error: {error}")
