"""Spark reads a folder of Parquet files: run by the Python of an environment of its own.

    python spark_reader.py FOLDER QUERIES ROWS

QUERIES is a JSON file with SQL by name, on the table ``files``; ROWS is written: the rows of each.
It needs nothing of this project, and fails unless every query succeeded.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
os.environ["PYSPARK_PYTHON"] = sys.executable
os.environ.pop("SPARK_HOME", None)

from pyspark.sql import SparkSession

if TYPE_CHECKING:
    from collections.abc import Mapping


def new_session(settings: Mapping[str, str]) -> SparkSession:
    """A session for a process that lives for seconds, with further settings."""
    builder = SparkSession.builder.master("local[2]").appName("spark_reader")
    for name, value in {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "512m",
        # Nothing that pays later.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.files.openCostInBytes": "0",
        "spark.sql.sources.parallelPartitionDiscovery.threshold": "10000",
        "spark.ui.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1",
        **settings,
    }.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def main(folder: str, queries: str, rows: str) -> None:
    """Ask everything of one session."""
    session = new_session({})
    session.read.parquet(Path(folder).as_uri()).createOrReplaceTempView("files")
    answers = {
        name: [list(row) for row in session.sql(query).collect()]
        for name, query in json.loads(Path(queries).read_text(encoding="utf-8")).items()
    }
    session.stop()
    Path(rows).write_text(json.dumps(answers, default=str), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
