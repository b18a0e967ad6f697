"""What goes wrong, said at the line of the user that it is about."""

from __future__ import annotations

import linecache

__all__ = ["CompileError", "NO_GRADIENT"]

NO_GRADIENT = ("gradients of compiled functions are not available yet: call under torch.no_grad(), or detach the "
               "arguments")


class CompileError(Exception):
    """A program that cannot be compiled.

    Attributes:
      reason: the step that failed, in a sentence.
      messages: (severity, text, file, line, column) of everything the compiler
        said, in its order; the file is empty where no line is to blame.
    """

    def __init__(self, reason, messages=()):
        self.reason = reason
        self.messages = [tuple(message) for message in messages]
        super().__init__(self._format())

    def _format(self):
        if not self.messages:
            return self.reason
        lines = []
        for severity, text, file, line, _ in self.messages:
            source = linecache.getline(file, line).strip() if file else ""
            lines.append(f"{file}:{line}: {severity}: {text}" if source else f"{severity}: {text}")
            if source:
                lines.append(f"    {source}")
        return "\n".join(lines)
