"""What `Function.plan`, `check` and `benchmark` give."""

from __future__ import annotations

import statistics


class Plan:
    """Kernels and sweeps of a program. Printing it gives the text."""

    def __init__(self, text, name):
        self.text = text
        self.name = name

    @property
    def num_kernels(self) -> int:
        """Streams: each is one kernel."""
        return self.text.count("attn.stream") if "attn.stream" in self.text else self.text.count("stream ")

    def __str__(self):
        return self.text

    __repr__ = __str__


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
