"""``otlp2parquet deploy``: what it takes to run on somebody's cloud, written into a folder.

Knows the terminal. The work is in ``otlp2parquet.deploy``. Calls no cloud.
"""

from pathlib import Path
from typing import Final, cast

import click

from otlp2parquet.cli import CONTEXT_SETTINGS
from otlp2parquet.cli.failure import Failure
from otlp2parquet.deploy import artifact, worker
from otlp2parquet.deploy.artifact import MACHINES, Architecture
from otlp2parquet.deploy.template import template
from otlp2parquet.errors import ConfigError

_MIB: Final = 1 << 20
_KIB: Final = 1 << 10


@click.group(context_settings=CONTEXT_SETTINGS)
def deploy() -> None:
    """Write what it takes to run on AWS Lambda or on Cloudflare Workers.

    Nothing at a cloud is called: what is written says with which commands it is deployed.
    """


@deploy.command(context_settings=CONTEXT_SETTINGS)
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Folder for the Worker, made if missing. [default: the current one]",
)
def cloudflare(output: Path) -> None:
    """Write the folder of a Cloudflare Worker; nothing at Cloudflare is called.

    It holds wrangler's configuration, the sources that the Worker needs, and a README.md with the
    commands that deploy it. Nothing is overwritten.
    """
    try:
        made = worker.write(output)
    except ConfigError as error:
        raise Failure(error) from error
    click.echo(
        f"{output}: a Worker of {made.modules} modules, {made.source_bytes / _KIB:.0f} KiB, "
        f"{made.compressed_bytes / _KIB:.1f} KiB compressed, of which "
        f"{made.catalog_bytes / _KIB:.1f} KiB are loaded only with a catalog"
    )
    click.echo(f"{output / 'README.md'} says how it is deployed, and how it is closed by a token")


@deploy.command(context_settings=CONTEXT_SETTINGS)
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("deploy"),
    show_default=True,
    help="Folder for the template and the zips, made if missing.",
)
@click.option(
    "--package",
    is_flag=True,
    help="Also make the function's zip, of wheels that pip gets.",
)
@click.option(
    "--arch",
    "architectures",
    type=click.Choice(list(MACHINES)),
    multiple=True,
    help="Processor of the function; several make several zips, the first is the template's. "
    "[default: x86_64]",
)
@click.option(
    "--wheels",
    metavar="FOLDER",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with wheels of otlp2parquet, as `make wheels` makes them. [default: pip's]",
)
@click.option(
    "--force",
    is_flag=True,
    help="Write over a template that is there and differs, as one that was edited does.",
)
def aws(
    *,
    output: Path,
    package: bool,
    architectures: tuple[str, ...],
    wheels: Path | None,
    force: bool,
) -> None:
    """Write what it takes to run on AWS Lambda; nothing at AWS is called.

    The template makes a function with a URL, a table bucket or a bucket for files, a bucket for
    receipts, a role that may do no more than that, and a schedule for reconcile. It says in its
    comments what each is for, and how it is deployed. Byte code in the zip is for the Python that
    runs this command, and so is the runtime in the template.
    """
    chosen = cast("tuple[Architecture, ...]", architectures or ("x86_64",))
    text = template(
        zip_name=artifact.zip_name(chosen[0]),
        runtime=artifact.runtime(),
        architecture=chosen[0],
    )
    path = output / "template.yaml"
    if not force and path.exists() and path.read_bytes() != text.encode():
        # Before minutes go into a zip.
        raise Failure(
            f"{path}: found a template that differs, expected none, because it may have been "
            "edited: write to another folder (--output) and compare, or over it (--force)"
        )
    output.mkdir(parents=True, exist_ok=True)
    for architecture in chosen if package else ():
        own = sorted(wheels.glob("*.whl")) if wheels is not None else ()
        try:
            made = artifact.build(architecture, output, own)
        except ConfigError as error:
            raise Failure(error) from error
        click.echo(
            f"{made.path}: {made.zipped_bytes / _MIB:.1f} MiB zipped, "
            f"{made.unzipped_bytes / _MIB:.1f} MiB unzipped (Lambda takes 250)"
        )
        if made.zipped_bytes > artifact.DIRECT_BYTES:
            click.echo("more than 50 MiB: it has to be uploaded by way of a bucket")
    path.write_text(text, encoding="utf-8")
    click.echo(f"{path}: its first lines say how it is deployed")
