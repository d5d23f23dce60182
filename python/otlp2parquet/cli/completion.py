"""``otlp2parquet completion``: the script that makes a shell complete lines of this command.

The script is click's own; what it asks at each key is answered by the table of commands, without
loading their work.
"""

from typing import Final

import click
from click.shell_completion import get_completion_class

from otlp2parquet.cli import CONTEXT_SETTINGS, main
from otlp2parquet.cli.failure import Failure

_NAME: Final = "otlp2parquet"
_VARIABLE: Final = f"_{_NAME.upper()}_COMPLETE"
"""By which click's script asks."""


@click.command(context_settings=CONTEXT_SETTINGS)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes bash, zsh or fish complete lines of this command.

    \b
    bash  otlp2parquet completion bash > ~/.local/share/bash-completion/completions/otlp2parquet
    zsh   eval "$(otlp2parquet completion zsh)" in ~/.zshrc, behind compinit
    fish  otlp2parquet completion fish > ~/.config/fish/completions/otlp2parquet.fish
    """  # noqa: D301 - click knows lines by this character that stay as they are
    made = get_completion_class(shell)
    if made is None:
        raise Failure(f"click knows no completion for {shell}")
    click.echo(made(main, {}, _NAME, _VARIABLE).source())
