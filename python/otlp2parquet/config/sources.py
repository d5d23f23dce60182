"""Where settings come from: TOML documents and environment variables.

Each source becomes a ``Layer``: raw values by dotted key. Knows names (also the ones that
Kubernetes puts into the environment); it must not judge values, nor know which layer wins.
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from otlp2parquet.config.row import PREFIX, Setting
from otlp2parquet.config.settings import NOT_YET
from otlp2parquet.config.values import found
from otlp2parquet.core.decoder import VARIABLE as DECODER

CLIENT_TOKEN = PREFIX + "TOKEN"
"""What a client of a server shows; no setting."""
CONFIG_PATH = PREFIX + "CONFIG"
CONFIG_CONTENT = PREFIX + "CONFIG_CONTENT"

# Kubernetes describes every service of the namespace to every pod. A service called
# "otlp2parquet" or "otlp2parquet-<anything>" gives variables that begin like ours.
_SERVICE = re.compile(r"(.*_)?SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|(.*_)?PORT_\d+_(TCP|UDP|SCTP).*")
_SERVICE_PORT = re.compile(r"(.*_)?PORT")
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://")


@dataclass(frozen=True, slots=True)
class Raw:
    """One value as written; ``is_text`` when it is text that stands for another type."""

    value: object
    source: str
    is_text: bool = False


@dataclass(slots=True)
class Layer:
    """What one source sets, and what is wrong or odd about it."""

    values: dict[str, Raw] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What only who looks for it wants to know."""


def _not_yet(key: str) -> bool:
    return any(key == name or key.startswith(name + ".") for name in NOT_YET)


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.75)
    return f"; the nearest known one is {near[0]}" if near else ""


def read_document(
    content: str, source: str, table: Mapping[str, Setting], *, if_ours: bool = False
) -> Layer:
    """The layer of one TOML document. ``source`` names it in messages.

    With ``if_ours`` a document in which no table at the top is called as one of our sections is
    somebody else's: it sets nothing, and that is noted.
    """
    layer = Layer()
    try:
        document = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        layer.errors.append(f"{source}: not valid TOML: {error}")
        return layer
    ours = {key.partition(".")[0] for key in (*table, *NOT_YET)}
    if if_ours and not any(isinstance(document.get(name), dict) for name in ours):
        layer.notes.append(f"{source} has no section of otlp2parquet, it is not read")
        return layer
    _walk(document, "", source, table, layer)
    return layer


def _walk(
    section: Mapping[str, object],
    prefix: str,
    source: str,
    table: Mapping[str, Setting],
    layer: Layer,
) -> None:
    for name, value in section.items():
        key = prefix + name
        is_section = any(known.startswith(key + ".") for known in table)
        secret = key.removesuffix("_file")
        if key in table:
            if key in layer.values:
                layer.errors.append(_twice(key, source))
            layer.values[key] = Raw(value, source)
        elif secret != key and secret in table and table[secret].secret:
            given = _read_secret(secret, f"{source}, {key}", value, layer)
            if given and secret in layer.values:
                layer.errors.append(_twice(secret, source))
            if given:
                (layer.values[secret],) = given
        elif _not_yet(key):
            layer.errors.append(f"{key} ({source}): not available in this version")
        elif is_section and isinstance(value, dict):
            _walk(value, key + ".", source, table, layer)
        elif is_section:
            layer.errors.append(f"{key} ({source}): found {found(value)}, expected a section")
        elif isinstance(value, dict) and any(later.startswith(key + ".") for later in NOT_YET):
            _walk(value, key + ".", source, table, layer)
        else:
            layer.errors.append(f"{key} ({source}): unknown key{_nearest(key, table)}")


def _why_unreadable(error: OSError | ValueError | RuntimeError) -> str:
    """Why a file of text could not be read, in words."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return str(error).lower()  # a NUL in the path, or the home folder of nobody


def read_file(path: Path, table: Mapping[str, Setting], *, if_ours: bool = False) -> Layer:
    """The layer of a TOML file; one that cannot be read is an error, never nothing."""
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, ValueError, RuntimeError) as error:
        return Layer(errors=[f"file {path}: cannot be read: {_why_unreadable(error)}"])
    return read_document(content, f"file {path}", table, if_ours=if_ours)


def read_environment(environ: Mapping[str, str], table: Mapping[str, Setting]) -> Layer:
    """The layer of the environment. A variable that is empty counts as not set, but for guards."""
    layer = Layer()
    # The decoder was chosen before any setting is read.
    known = {CONFIG_PATH, CONFIG_CONTENT, CLIENT_TOKEN, DECODER}
    for key, row in table.items():
        given: list[Raw] = []
        for name in row.env_names:
            known.add(name)
            if environ.get(name):
                given.append(Raw(environ[name], f"environment {name}", is_text=True))
            elif row.guard and name in environ:
                layer.errors.append(_empty_guard(row, name))
            if row.secret:
                known.add(name + "_FILE")
                path = environ.get(name + "_FILE")
                if path:
                    given += _read_secret(key, f"environment {name}_FILE", path, layer)
                elif row.guard and path is not None:
                    layer.errors.append(_empty_guard(row, f"{name}_FILE"))
        if len({raw.value for raw in given}) > 1:
            sources = " and ".join(raw.source for raw in given)
            layer.errors.append(f"{key} ({sources}): set twice, to different values")
        elif given:
            layer.values[key] = given[0]
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known and environ[name]:
            _judge_unknown(name, environ[name], known, layer)
    return layer


def _empty_guard(row: Setting, name: str) -> str:
    return (
        f"{row.key} (environment {name}): found an empty variable, expected {row.kind.expected}, "
        "or no such variable"
    )


def _twice(key: str, source: str) -> str:
    return f"{key} ({source}): set twice, as {key} and as {key}_file"


def _read_secret(key: str, source: str, path: object, layer: Layer) -> list[Raw]:
    """The content of the file that a secret is kept in; empty, with an error, if there is none."""
    if not isinstance(path, str) or not path:
        layer.errors.append(f"{key} ({source}): found {found(path)}, expected a path")
        return []
    try:
        content = Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError, RuntimeError) as error:
        layer.errors.append(
            f"{key} ({source}): file {path} cannot be read: {_why_unreadable(error)}"
        )
        return []
    return [Raw(content.rstrip("\r\n"), source, is_text=True)]


def _judge_unknown(name: str, value: str, known: Iterable[str], layer: Layer) -> None:
    rest = name.removeprefix(PREFIX)
    if _SERVICE.fullmatch(rest) or (_SERVICE_PORT.fullmatch(rest) and _SERVICE_URL.match(value)):
        return
    later = [key.upper().replace(".", "_") for key in NOT_YET]
    if any(rest == word or rest.startswith(word + "_") for word in later):
        layer.errors.append(f"environment {name}: not available in this version")
    else:
        layer.warnings.append(
            f"environment {name}: unknown variable, ignored{_nearest(name, known)}"
        )
