"""``python -m tests.components``: build every component that is missing, and say where it is.

``python -m tests.components stores`` builds those that only ``make stores`` needs, ``catalogs``
those of ``make catalogs``.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from . import (
    ENVIRONMENTS,
    ComponentError,
    build_collector,
    build_duckdb_oldest,
    build_duckdb_s3,
    build_go_sdk,
    build_java_sdk,
    build_javascript,
    build_python_sdk,
    build_spark,
    build_spark_iceberg,
    build_spark_s3a,
    build_telemetrygen,
)
from .azurite import build_azurite
from .browser_sdk import build_browser_sdk
from .chromium import find_chromium
from .deploy_tools import build_deploy_tools, find_promtool
from .gcs import build_fake_gcs
from .lambda_runtime import build_cfn_lint, build_lambda_emulator, build_lambda_runtime
from .ministack import build_ministack
from .nessie import build_nessie
from .s3 import build_minio, build_versitygw
from .worker_runtime import build_worker_runtime

if TYPE_CHECKING:
    from collections.abc import Callable


def tell(*builds: Callable[[], object]) -> None:
    """Build each, and say where it is."""
    for build in builds:
        print(f"{build.__name__.removeprefix('build_')}: {build()}", flush=True)


def main() -> int:
    """Build all; 1 when one could not be built."""
    try:
        if sys.argv[1:] == ["stores"]:
            tell(build_minio, build_fake_gcs, build_azurite)
            return 0
        if sys.argv[1:] == ["catalogs"]:
            tell(build_nessie, build_ministack, build_spark_iceberg)
            tell(build_fake_gcs, build_azurite)
            return 0
        tell(build_telemetrygen, build_collector, build_javascript, build_browser_sdk)
        tell(build_versitygw, build_go_sdk, build_java_sdk)
        tell(build_spark, build_spark_s3a, build_duckdb_s3, build_duckdb_oldest)
        tell(build_lambda_emulator, build_lambda_runtime, build_cfn_lint, build_worker_runtime)
        tell(build_deploy_tools)
        print(f"chromium: {find_chromium()}", flush=True)
        print(f"promtool: {find_promtool()}", flush=True)
        for name in ENVIRONMENTS:
            print(f"python sdk {name}: {build_python_sdk(name)}", flush=True)
    except ComponentError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
