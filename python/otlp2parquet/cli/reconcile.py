"""``otlp2parquet reconcile``: commit what no server has committed.

Knows the terminal. The work is in ``otlp2parquet.reconciling``.
"""

import json
from dataclasses import asdict
from pathlib import Path

import click

from otlp2parquet.catalogs.reconciled import Report
from otlp2parquet.cli import CONTEXT_SETTINGS
from otlp2parquet.cli.failure import Failure
from otlp2parquet.cli.options import config_option, form_option, timeout_option
from otlp2parquet.config import Flags, load
from otlp2parquet.errors import OtlpError
from otlp2parquet.printable import printable
from otlp2parquet.reconciling import reconcile as run


@click.command(context_settings=CONTEXT_SETTINGS)
@config_option
@timeout_option(300.0, "How long it is tried again what fails.")
@form_option("text for people; json as one line.")
@click.pass_context
def reconcile(ctx: click.Context, path: Path | None, timeout_secs: float, form: str) -> None:
    """Commit stored files that are in no table of the catalog yet, and report.

    Receipts in the storage say which files they are. A server commits its own; this takes the
    receipts of servers that are gone: those older than an hour, and, run with the durability
    folder of a server, that server's at once. Safe at any time, beside servers that run, and cut
    off anywhere: a file becomes part of its table once. The exit code is 1 while something is
    left.
    """
    try:
        report = run(load(Flags(config=path)).config, timeout_secs)
    except OtlpError as error:
        raise Failure(error) from error
    click.echo(json.dumps(asdict(report)) if form == "json" else as_text(report))
    ctx.exit(0 if report.is_complete else 1)


def as_text(report: Report) -> str:
    """The report in lines."""
    lines = [
        f"committed {report.files:,} files with {report.rows:,} rows in {report.commits:,} commits"
    ]
    if report.already:
        lines.append(f"{report.already:,} receipts were committed before, and are removed")
    if report.younger:
        lines.append(
            f"{report.younger:,} receipts are left to the servers that wrote them: younger than "
            "an hour"
        )
    lines += [f"{count:,} receipts wait for {table}" for table, count in report.waiting.items()]
    if report.unreadable:
        lines.append(f"{report.unreadable:,} receipts cannot be read")
    if report.error:
        lines.append(f"the last error: {report.error}")
    return "\n".join(map(printable, lines))
