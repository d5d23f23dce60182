"""Spark as a reader of Parquet, in an environment of its own: ``spark_reader.py`` and its twin.

Knows pip, Maven and the scripts' arguments; needs Java 17 or newer. Must not know what is in the
files.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .cache import locked, python_environment, run_build
from .sender import run_sender

if TYPE_CHECKING:
    from collections.abc import Mapping

SCRIPT = Path(__file__).with_name("spark_reader.py")
STATEMENT_SCRIPT = Path(__file__).with_name("spark_statement.py")
STATEMENTS_SCRIPT = Path(__file__).with_name("spark_statements.py")
S3A = Path(__file__).with_name("spark_s3a.xml")
COPY_JARS = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
REQUIREMENTS = ("pyspark==4.1.4",)
COPY_JAR = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
ICEBERG = ("iceberg-spark-runtime-4.1_2.13", "1.12.0")
QUERY_SECS = 900
"""Ten seconds on an idle machine, most of it for starting; two minutes have been seen on one
that had other things to do."""


def build_spark() -> Path:
    """The Python of the environment with PySpark, made on first use."""
    return python_environment("spark", REQUIREMENTS)


def build_spark_s3a() -> Path:
    """The folder of the jars with which Spark reads s3a://, fetched on first use."""
    digest = hashlib.sha256(S3A.read_bytes()).hexdigest()[:12]
    with locked("spark-s3a") as cache:
        folder = cache / f"spark-s3a-{digest}"
        if not folder.exists():
            building = cache / f".spark-s3a-{digest}.building"
            shutil.rmtree(building, ignore_errors=True)
            into = ("-DincludeScope=runtime", f"-DoutputDirectory={building}")
            run_build(["mvn", "-q", "-B", "-f", S3A, COPY_JARS, *into])
            building.replace(folder)
    return folder


def build_spark_iceberg() -> Path:
    """The jar with which Spark reads Iceberg tables, fetched on first use."""
    name, version = ICEBERG
    with locked("spark-iceberg") as cache:
        folder = cache / f"spark-iceberg-{version}"
        if not folder.exists():
            building = cache / f".spark-iceberg-{version}.building"
            shutil.rmtree(building, ignore_errors=True)
            artifact = f"-Dartifact=org.apache.iceberg:{name}:{version}"
            into = f"-DoutputDirectory={building}"
            run_build(["mvn", "-q", "-B", COPY_JAR, artifact, into])
            building.replace(folder)
    return folder / f"{name}-{version}.jar"


def run_statement(
    statement: str, settings: Mapping[str, str], scratch: Path, *, iceberg: bool = False
) -> list[list[Any]]:
    """The rows of ``errors`` after a statement that finds ``spark``, with s3a:// at hand.

    ``iceberg``: and Iceberg's tables. Raises ``ComponentError`` with Spark's output when it failed.
    """
    names = ("statement.py", "settings.json", "spark_rows.json")
    asked, chosen, answered = (scratch / name for name in names)
    found = sorted(build_spark_s3a().glob("*.jar"))
    jars = ",".join(map(str, [*found, build_spark_iceberg()] if iceberg else found))
    asked.write_text(statement, encoding="utf-8")
    chosen.write_text(json.dumps({"spark.jars": jars, **settings}), encoding="utf-8")
    command = [build_spark(), STATEMENT_SCRIPT, asked, chosen, answered]
    run_sender([str(word) for word in command], QUERY_SECS)
    rows: list[list[Any]] = json.loads(answered.read_text(encoding="utf-8"))
    return rows


def query_with_spark(
    folder: Path, queries: Mapping[str, str], scratch: Path
) -> dict[str, list[list[Any]]]:
    """The rows of each query on the table ``files``, which is all Parquet below ``folder``.

    Values come as JSON has them; what JSON has no word for, such as a date, as its text. Raises
    ``ComponentError`` with Spark's output when a query failed.
    """
    asked, answered = scratch / "queries.json", scratch / "rows.json"
    asked.write_text(json.dumps(dict(queries)), encoding="utf-8")
    command = [str(build_spark()), str(SCRIPT), str(folder), str(asked), str(answered)]
    run_sender(command, QUERY_SECS)
    rows: dict[str, list[list[Any]]] = json.loads(answered.read_text(encoding="utf-8"))
    return rows


def ask_spark(
    folder: Path, setup: str, statements: Mapping[str, str], scratch: Path
) -> dict[str, list[list[Any]]]:
    """The rows of each statement as JSON has them; one session in ``folder``, behind ``setup``.

    Raises ``ComponentError`` with Spark's output when one failed.
    """
    asked, answered = scratch / "spark_asked.json", scratch / "spark_answered.json"
    asked.write_text(json.dumps({"setup": setup, "statements": dict(statements)}), encoding="utf-8")
    command = [build_spark(), STATEMENTS_SCRIPT, folder, asked, answered]
    run_sender([str(word) for word in command], QUERY_SECS)
    rows: dict[str, list[list[Any]]] = json.loads(answered.read_text(encoding="utf-8"))
    return rows
