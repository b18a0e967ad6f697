"""What `Function.plan`, `check` and `benchmark` give."""

from __future__ import annotations

import re
import statistics
from html import escape

import numpy as np


class TileMap:
    """What a sweep visits, for one batch element and head.

    Attributes:
      stream, sweep: which one of the plan.
      rows, keys: extents of the matrix.
      block: rows and keys of a tile.
      tiles: uint8 [rows / block, keys / block]: 0 where nothing is visited, 1
        where masks are looked at, 2 where all entries are present.
    """

    def __init__(self, stream, sweep, rows, keys, tiles, block):
        self.stream, self.sweep, self.rows, self.keys, self.block = stream, sweep, rows, keys, block
        self.tiles = np.frombuffer(tiles, np.uint8).reshape(-(-rows // block), -(-keys // block))

    @property
    def num_visited(self) -> int:
        return int((self.tiles > 0).sum())

    def __repr__(self):
        full, partial = int((self.tiles == 2).sum()), int((self.tiles == 1).sum())
        return (f"stream {self.stream} sweep {self.sweep}: {self.rows} x {self.keys}, tiles of {self.block}: "
                f"{full + partial} of {self.tiles.size} visited, {full} full, {partial} partial")


class Plan:
    """Kernels and sweeps of a program. Printing it gives the text; a notebook
    shows the picture.

    Attributes:
      text: streams, their sweeps, and what they carry.
      maps: a `TileMap` per sweep.
    """

    def __init__(self, text, name, maps):
        self.text = text
        self.name = name
        self.maps = maps

    @property
    def num_kernels(self) -> int:
        """Streams: each is one kernel."""
        found = re.search(r"(\d+) streams?", self.text)
        return int(found.group(1)) if found else 0

    def __str__(self):
        return "\n".join([self.text.rstrip(), *map(repr, self.maps)])

    __repr__ = __str__

    def to_svg(self) -> str:
        """The maps as a picture: dark tiles are full, light ones are masked."""
        size, gap, top, left = 240, 40, 44, 16
        parts, width = [], left
        for tile_map in self.maps:
            rows, keys = tile_map.tiles.shape
            scale = size / max(rows, keys, 1)
            title = f"stream {tile_map.stream}, sweep {tile_map.sweep}: {tile_map.rows} rows, {tile_map.keys} keys"
            parts.append(f'<text x="{width}" y="20">{escape(title)}</text>')
            count = f"{tile_map.num_visited} of {tile_map.tiles.size} tiles of {tile_map.block} visited"
            parts.append(f'<text x="{width}" y="36">{count}</text>')
            parts.append(f'<rect x="{width}" y="{top}" width="{keys * scale:.2f}" height="{rows * scale:.2f}" '
                         f'fill="#f2f2f2"/>')
            for kind, colour in ((1, "#9ec5e8"), (2, "#2b6cb0")):
                runs = "".join(f"M{width + j0 * scale:.2f} {top + i * scale:.2f}h{(j1 - j0) * scale:.2f}"
                               f"v{scale:.2f}h{(j0 - j1) * scale:.2f}z"
                               for i in range(rows) for j0, j1 in _runs(tile_map.tiles[i] == kind))
                if runs:
                    parts.append(f'<path d="{runs}" fill="{colour}"/>')
            width += max(size, 300) + gap
        height = top + size + 16
        style = "<style>text { font: 12px sans-serif; fill: #222 }</style>"
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
                f'viewBox="0 0 {width} {height}"><rect width="100%" height="100%" fill="white"/>'
                f'{style}{"".join(parts)}</svg>')

    _repr_svg_ = to_svg

    def save(self, path) -> None:
        """Writes the picture, as SVG."""
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.to_svg())


def _runs(bits):
    """Beginnings and ends of runs of true elements."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], bits.astype(np.int8), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist()))


class Check:
    """Results beside their reference: true if all of them pass.

    Attributes:
      results: (name, error, budget, magnitude, mismatches, passes) each.
    """

    def __init__(self, results):
        self.results = results

    def __bool__(self):
        return all(result[5] for result in self.results)

    def __repr__(self):
        lines = []
        for name, error, budget, magnitude, mismatches, passes in self.results:
            extra = f", {mismatches} mismatches" if mismatches else ""
            lines.append(f"{name}: error {error:.3g}, budget {budget:.3g} of magnitude {magnitude:.3g}{extra}: "
                         f"{'ok' if passes else 'FAILED'}")
        return "\n".join(lines)


class Timing:
    """Seconds per call: all of them, `median`, `minimum`."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.median = statistics.median(seconds)
        self.minimum = min(seconds)

    def __repr__(self):
        return (f"median {self.median * 1e3:.3f} ms, minimum {self.minimum * 1e3:.3f} ms over "
                f"{len(self.seconds)} calls")
