"""One row of the table of settings, and the field that holds it.

Knows how a setting is described. Must not know which settings there are.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from otlp2parquet.config.values import Kind

T = TypeVar("T")

PREFIX = "OTLP2PARQUET_"


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table; ``key`` is the dotted TOML path, filled in by ``settings``."""

    kind: Kind[Any]
    doc: str
    default_doc: str
    short: str | None
    secret: bool
    guard: bool = False
    """Whether it keeps somebody out. Given without a value it is an error, because what its
    operator meant to close must not be open."""
    key: str = ""

    @property
    def env_names(self) -> tuple[str, ...]:
        """The environment variables that set it: the long name, then the short form."""
        long = PREFIX + self.key.upper().replace(".", "_")
        return (long,) if self.short is None else (long, PREFIX + self.short)


def setting(
    kind: Kind[T],
    default: T | Callable[[], T],
    doc: str,
    *,
    default_doc: str | None = None,
    short: str | None = None,
    secret: bool = False,
    guard: bool = False,
) -> T:
    """A dataclass field that is also a row of the table."""
    if callable(default):
        factory = default
    else:
        constant = default

        def factory() -> T:
            return constant

    if default_doc is None:
        default_doc = json.dumps(kind.show(factory())).strip('"')
    row = Setting(kind, doc, default_doc, short, secret, guard)
    made: Any = field(default_factory=factory, metadata={"setting": row})
    return cast("T", made)
