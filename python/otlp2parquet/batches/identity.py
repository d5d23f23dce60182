"""The batch id: what every file of a batch is named by. It is drawn in ``otlp2parquet.batch_id``."""

from otlp2parquet.batch_id import new_batch_id

__all__ = ["new_batch_id"]
