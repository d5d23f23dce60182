"""The command line: which commands there are, and ``serve`` when none is named.

Loads a command's module only when that command runs, because start-up time counts for small
conversions. Knows no work of any command.
"""

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "serve": "Receive OTLP over HTTP and gRPC and write Parquet files (the default).",
        "dev": "Receive OTLP at a desk: shown in the terminal and on a page, stored every second.",
        "tail": "Follow what a running server receives.",
        "connect": "Print what to set so that a program sends its telemetry here.",
        "flush": "Have a running server write what it has received to files now.",
        "convert": "Convert captured OTLP files to Parquet files.",
        "reconcile": "Commit stored files that are in no table of the catalog yet.",
        "query": "Answer a question in SQL about stored telemetry.",
        "ls": "Show which tables and hours a storage holds.",
        "schema": "Show the columns of the tables.",
        "config": "Show the configuration in effect and its sources, or check it.",
        "deploy": "Write what it takes to run on AWS Lambda or Cloudflare Workers.",
        "completion": "Print what makes a shell complete this command's lines.",
        "help": "Show the help of a command.",
        "version": "Show the versions of the package, its decoder and pyarrow.",
    }
)
"""Every command: the module of its name in this package holds it under that name."""

_DEFAULT: Final = "serve"

CONTEXT_SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
"""For the group and for each command: click remembers a command's help option from the first
context that it meets, which need not be below the group."""


class _Commands(click.Group):
    """Commands by name, loaded when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"{__name__}.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # An option that is not ours belongs to serve: "otlp2parquet -p 4319" is enough.
        # A shell that completes a line without a command is told of all of them.
        is_short = not args and not ctx.resilient_parsing
        if is_short or (args and args[0].startswith("-") and not self._is_own(ctx, args[0])):
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)

    def _is_own(self, ctx: click.Context, argument: str) -> bool:
        return any(argument in parameter.opts for parameter in self.get_params(ctx))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - for this alone

        # From the table above, as below: a key is pressed, and somebody waits.
        names = [name for name in COMMANDS if name.startswith(incomplete)]
        items = [CompletionItem(name, help=COMMANDS[name]) for name in names]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        # From the table above, so that --help loads no command.
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _show_version(ctx: click.Context, _parameter: click.Parameter, wanted: object) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    # Loaded here: neither the decoder nor package metadata is needed to print a help page.
    from otlp2parquet.cli.version import version_text  # noqa: PLC0415

    click.echo(version_text())
    ctx.exit()


@click.group(
    cls=_Commands,
    context_settings=CONTEXT_SETTINGS,
)
@click.option(
    "-V",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the versions of the package, its decoder and pyarrow, and exit.",
)
def main() -> None:
    """OpenTelemetry logs, traces and metrics (OTLP) in, Parquet files out.

    Without a command this is serve, whose options may follow directly: "otlp2parquet -p 4319".
    """
