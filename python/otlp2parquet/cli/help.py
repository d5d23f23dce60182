"""``otlp2parquet help``: the page that ``--help`` shows, for who asks in this order."""

import click

from otlp2parquet.cli import CONTEXT_SETTINGS


@click.command(context_settings=CONTEXT_SETTINGS)
@click.argument("names", metavar="[COMMAND]...", nargs=-1)
@click.pass_context
def help(ctx: click.Context, names: tuple[str, ...]) -> None:  # noqa: A001 - the command's name
    """Show the help of COMMAND, such as "convert" or "deploy aws", or of the program."""
    shown = ctx.find_root()
    for name in names:
        group = shown.command
        command = group.get_command(shown, name) if isinstance(group, click.Group) else None
        if command is None:
            raise click.UsageError(f"found {' '.join(names)}, expected one of the commands")
        shown = click.Context(command, info_name=name, parent=shown)
    click.echo(shown.get_help())
