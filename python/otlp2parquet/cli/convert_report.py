"""What ``otlp2parquet convert`` says: problems as they come, a bar, and a summary.

Knows the terminal, and what a conversion reports.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from otlp2parquet.captures import Inputs, Problem
from otlp2parquet.convert import ChunkReport
from otlp2parquet.printable import printable

_MOST_TOLD: Final = 100
"""Problems of one file that are told one by one."""
_MOST_NAMED: Final = 10
"""Files with problems that the summary names."""


class Problems:
    """Problems, each told on a line; of one file no more than some."""

    def __init__(self, errors: Console) -> None:
        self._errors = errors
        self._told: Counter[str] = Counter()
        self._left_out: Counter[str] = Counter()

    @property
    def left_out(self) -> bool:
        """Whether something is missing from the output."""
        return bool(self._left_out)

    def tell(self, problems: Iterable[Problem]) -> None:
        """Print each problem."""
        for problem in problems:
            self._told[problem.path] += 1
            if problem.left_out:
                self._left_out[problem.path] += 1
            if self._told[problem.path] <= _MOST_TOLD:
                self.line(str(problem))

    def line(self, text: str) -> None:
        """Print something else."""
        self._errors.print(printable(text), markup=False)

    def end(self) -> None:
        """Say how many problems of which files were not told one by one."""
        for path, count in self._told.items():
            if count > _MOST_TOLD:
                more = count - _MOST_TOLD
                self.line(f"{path}: {more:,} more problems, {count:,} in all")

    def summary(self) -> list[str]:
        """Which files have parts that are not in the output."""
        files = [
            f"{path} ({count:,} problem{'s' if count > 1 else ''})"
            for path, count in self._left_out.most_common(_MOST_NAMED)
        ]
        if not files:
            return []
        more = len(self._left_out) - len(files)
        others = f" and {more:,} more" if more > 0 else ""
        return [f"not all is converted of {printable(', '.join(files))}{others}"]


@contextmanager
def progress_bar(errors: Console, found: Inputs) -> Iterator[Progress]:
    """A bar on a terminal, nothing elsewhere."""
    progress = Progress(
        TextColumn("converting"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )
    with progress:
        progress.add_task("convert", total=sum(file.size for file in found.files))
        yield progress


def summary(
    found: Inputs, total: ChunkReport, seconds: float, place: str, problems: Problems
) -> None:
    """What was converted, from where, to where, and what was not."""
    output = Console(highlight=False, soft_wrap=True)
    if total.rows:
        table = Table("table", box=None, pad_edge=False)
        table.add_column("rows", justify="right")
        for name, rows in sorted(total.rows.items()):
            table.add_row(name, f"{rows:,}")
        output.print(table)
    rows = total.rows.total()
    seconds = max(seconds, 1e-9)
    written, there = total.bytes_written / 1e6, f"{total.files_there:,}"
    requests, files = f"{total.requests:,} new requests", f"{len(found.files):,} files"
    megabytes = total.payload_bytes / 1e6
    lines = [
        f"{rows:,} rows from {requests} in {files} ({megabytes:,.1f} MB of OTLP)",
        f"{total.files_written:,} files written ({written:,.1f} MB), {there} already there",
        f"{seconds:.2f} s: {megabytes / seconds:,.1f} MB/s, {rows / seconds:,.0f} rows/s",
        f"output: {printable(place)}",
    ]
    if total.converted_before:
        known = f"{total.converted_before:,} requests were converted before"
        lines.insert(1, f"{known}: nothing of them was added (--again converts them once more)")
    if total.rejected:
        lines.append(f"{total.rejected:,} records rejected")
    if found.passed_over:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(found.passed_over.items()))
        lines.append(
            f"{sum(found.passed_over.values()):,} other files in the folders ignored: {kinds} (a "
            "file that is named itself is read whatever it is called)"
        )
    for line in [*lines, *problems.summary()]:
        output.print(line, markup=False)
    sys.stdout.flush()
