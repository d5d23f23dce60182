"""What is wrong with an input: which file, where in it, and why.

Knows no cause and no terminal; a line of text is all it becomes.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to tell. ``offset`` counts decompressed bytes; ``None``: the whole file.

    ``left_out`` is false for a mere warning: then nothing is missing from the output.
    """

    path: str
    offset: int | None
    reason: str
    left_out: bool = True

    def __str__(self) -> str:
        place = "" if self.offset is None else f"byte {self.offset}: "
        kind = "" if self.left_out else "warning: "
        return f"{_printable(self.path)}: {place}{kind}{self.reason}"


def _printable(path: str) -> str:
    """A path on one line: names may hold line breaks, terminal codes and bytes that are no text."""
    if path.isprintable():
        return path
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in path
    )
