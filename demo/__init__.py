"""The demonstration: a small shop, watched by OpenTelemetry SDKs, ends up in Parquet files.

``python -m demo`` (or ``make demo``) starts the real server, sends it real telemetry, ends it,
and shows with DuckDB what is in the files.
"""
