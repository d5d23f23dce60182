"""{four forms of events} x the answer matrix: a function answers what the server answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from otlp2parquet.errors import StorageError
from tests.support.answer_matrix import LIMIT, OUTCOMES, SECRET, answer, cases
from tests.support.lambda_bench import FunctionBench
from tests.support.lambda_events import FORMS, response_of

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = {
    "OTLP2PARQUET_SERVER_AUTH_TOKENS": f"another,{SECRET}",
    "OTLP2PARQUET_MAX_PAYLOAD_BYTES": str(LIMIT),
}


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("form", FORMS)
def test_a_function_answers_the_same(
    form: str, outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte for byte, in the form that the event used; and what is answered with 200 is stored."""

    def fail(*_: Any, **__: Any) -> None:
        raise StorageError("the disk is full")

    kept = 0
    with FunctionBench(tmp_path, SETTINGS) as bench:
        if outcome == "503":
            monkeypatch.setattr(bench.assembly.ingest, "append", fail)
        for case in cases():
            if case.outcome != outcome:
                continue
            result = bench.handle(FORMS[form](case.method, case.path, case.headers, case.body))
            got, same = response_of(result), answer(case)
            assert (got.status, got.body) == (same.status, same.body), case
            assert dict(got.headers) == dict(same.headers), case
            kept += {"ok": 2, "partial": 1}.get(outcome, 0)
        assert bench.rows == kept
        assert bench.assembly.budget.used == 0
