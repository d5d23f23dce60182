"""``python -m tests.components``: build every component that is missing, and say where it is."""

from __future__ import annotations

import sys

from . import (
    ENVIRONMENTS,
    ComponentError,
    build_collector,
    build_javascript,
    build_python_sdk,
    build_spark,
    build_telemetrygen,
)


def main() -> int:
    """Build all; 1 when one could not be built."""
    try:
        for build in (build_telemetrygen, build_collector, build_javascript, build_spark):
            print(f"{build.__name__.removeprefix('build_')}: {build()}", flush=True)
        for name in ENVIRONMENTS:
            print(f"python sdk {name}: {build_python_sdk(name)}", flush=True)
    except ComponentError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
