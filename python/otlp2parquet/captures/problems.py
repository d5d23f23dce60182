"""What is wrong with an input: which file, where in it, and why.

Knows no cause and no terminal; a line of text is all it becomes.
"""

from dataclasses import dataclass

from otlp2parquet.printable import printable


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
        return f"{printable(self.path)}: {place}{kind}{self.reason}"
