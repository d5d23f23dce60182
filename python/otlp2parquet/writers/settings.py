"""How files are compressed and how large row groups get: the choices that an operator has.

Knows which compressions and levels there are, whoever writes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from otlp2parquet.errors import ConfigError

Compression = Literal["zstd", "snappy", "gzip", "none"]

_DEFAULT_LEVELS: Final[Mapping[str, int]] = {"zstd": 1, "gzip": 6}
_LEVELS: Final[Mapping[str, range]] = {"zstd": range(1, 23), "gzip": range(1, 10)}


@dataclass(frozen=True, slots=True)
class ParquetSettings:
    """The choices an operator has; ``level`` ``None`` is the compression's default."""

    compression: Compression = "zstd"
    level: int | None = None
    row_group_rows: int = 262_144

    def __post_init__(self) -> None:
        if self.compression not in get_args(Compression):
            known = ", ".join(get_args(Compression))
            raise ConfigError(f"compression is {self.compression!r}: expected one of {known}")
        if self.level is not None:
            levels = _LEVELS.get(self.compression)
            if levels is None:
                raise ConfigError(f"{self.compression} has no level, but level is {self.level}")
            if self.level not in levels:
                raise ConfigError(
                    f"{self.compression} level is {self.level}: "
                    f"expected {levels[0]} to {levels[-1]}"
                )
        if self.row_group_rows < 1:
            raise ConfigError(f"row_group_rows is {self.row_group_rows}: expected at least 1")

    @property
    def effective_level(self) -> int | None:
        """The level that is used; ``None`` for a compression without levels."""
        return self.level if self.level is not None else _DEFAULT_LEVELS.get(self.compression)
