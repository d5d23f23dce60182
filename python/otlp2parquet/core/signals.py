"""The three signals, by the names that paths, options and the OTLP/HTTP routes use.

Knows nothing else; everything may import it.
"""

from typing import Final, Literal, get_args

Signal = Literal["logs", "traces", "metrics"]

SIGNALS: Final[tuple[Signal, ...]] = get_args(Signal)
