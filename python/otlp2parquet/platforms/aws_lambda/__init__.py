"""AWS Lambda: a function that takes OTLP over HTTP, converts objects of S3, and reconciles.

    events         what an event is, and one that is none
    http_events    events that stand for HTTP requests, and their results
    object_events  events that tell of objects in S3
    settings       defaults of a function, and what it must not be told
    function       one environment's function: what becomes of each event
    objects        captures in S3 become files, each version of an object once
    claims         who is at a version of an object, and whether it is done
    metrics        counts as lines that CloudWatch takes for metrics

``otlp2parquet.platforms.aws_lambda.handler`` is the function's handler. In the runtime everything
is put together when this module is loaded: for that time AWS lends a whole processor.
"""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otlp2parquet.platforms.aws_lambda.function import Function

_functions: "list[Function]" = []


def handler(event: Any, context: Any = None) -> Any:  # noqa: ANN401 - AWS's interface
    """Answer one event of AWS."""
    return _function().handle(event, context)


def _function() -> "Function":
    if not _functions:
        from otlp2parquet.platforms.aws_lambda.function import start  # noqa: PLC0415 - loads all

        _functions.append(start())
    return _functions[0]


if "AWS_LAMBDA_RUNTIME_API" in os.environ:
    _function()
