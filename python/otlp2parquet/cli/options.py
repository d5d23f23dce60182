"""Options that several commands have, each said once.

Knows click. It must not know what a command does with them.
"""

from pathlib import Path
from typing import Final

import click

config_option: Final = click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TOML file with settings; it precedes ./config.toml.",
)
