"""What a function is when nobody sets anything, and what it must not be told."""

from __future__ import annotations

import pytest

from otlp2parquet.errors import ConfigError
from otlp2parquet.platforms.aws_lambda.settings import FOLDER, function_settings

ARN = "arn:aws:s3tables:us-west-2:111122223333:bucket/telemetry"
BUCKET = {"OTLP2PARQUET_STORAGE_BACKEND": "s3", "OTLP2PARQUET_S3_BUCKET": "data"}


def test_the_arn_alone_is_enough() -> None:
    """Nothing is kept in the function but what goes with it: a commit is what keeps the rows."""
    settings = function_settings({"OTLP2PARQUET_ICEBERG_BUCKET_ARN": ARN})
    config = settings.config
    assert config.catalog_type == "s3tables"
    assert not settings.keeps_receipts
    assert config.durability.mode == "stored"
    assert not config.batch.enabled
    assert str(config.storage.fs.path) == FOLDER
    assert str(config.log_path).startswith(FOLDER)
    assert config.server.log_format == "json"


def test_a_bucket_keeps_receipts() -> None:
    """With it a catalog that is down fails no request; without a catalog it is all there is."""
    assert function_settings(BUCKET).keeps_receipts
    both = function_settings({**BUCKET, "OTLP2PARQUET_ICEBERG_BUCKET_ARN": ARN})
    assert both.keeps_receipts
    assert both.config.catalog_type == "s3tables"


def test_a_folder_counts_when_it_is_named() -> None:
    """A file system may be mounted there; the function's own disk is none that stays."""
    assert function_settings({"OTLP2PARQUET_STORAGE_PATH": "/data"}).keeps_receipts


@pytest.mark.parametrize("memory_mb", [128, 256, 512, 1024, 1769, 10240])
def test_memory_decides_over_the_largest_request(memory_mb: int) -> None:
    """Six times a request fits beside what the process itself takes, from 512 MB on."""
    environ = {**BUCKET, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory_mb)}
    config = function_settings(environ).config
    payload = config.request.max_payload_bytes
    assert 6 << 20 <= payload <= 64 << 20
    if memory_mb >= 512:
        assert 6 * payload + (256 << 20) <= memory_mb << 20
    smaller = function_settings({**environ, "OTLP2PARQUET_MAX_PAYLOAD_BYTES": "1MiB"}).config
    assert smaller.request.max_payload_bytes == 1 << 20


def test_what_is_set_precedes() -> None:
    """Defaults of a platform are the lowest layer of all."""
    content = '[server]\nlog_format = "text"\n[iceberg]\ntimeout_secs = 9\n'
    environ = {**BUCKET, "OTLP2PARQUET_CONFIG_CONTENT": content, "OTLP2PARQUET_LOG_LEVEL": "debug"}
    config = function_settings(environ).config
    assert (config.server.log_format, config.iceberg.timeout_secs) == ("text", 9.0)
    assert config.server.log_level == "debug"


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "storage.backend (default)"),
        ({**BUCKET, "OTLP2PARQUET_DURABILITY_MODE": "fsync"}, "OTLP2PARQUET_DURABILITY_MODE"),
        ({**BUCKET, "OTLP2PARQUET_BATCH_ENABLED": "true"}, "OTLP2PARQUET_BATCH_ENABLED"),
    ],
)
def test_what_would_make_a_200_a_lie_is_an_error(environ: dict[str, str], said: str) -> None:
    """Named with its source: a disk that goes, memory that goes, a batch that nobody fills."""
    with pytest.raises(ConfigError) as caught:
        function_settings(environ)
    assert said in str(caught.value)
    assert "expected" in str(caught.value)
