"""The long comparison finds what differs, names it, and makes the same messages again."""

from __future__ import annotations

import pytest

from tests.proofs import equivalence
from tests.proofs.equivalence import MAKERS, chunk, compare, message


@pytest.mark.parametrize("form", MAKERS)
def test_a_number_is_a_message(form: str) -> None:
    """The same one each time, every signal's, and most are not empty."""
    some = [message(form, 1, number) for number in range(300)]
    assert some == [message(form, 1, number) for number in range(300)]
    assert {one.signal for one in some} == {"logs", "traces", "metrics"}
    assert len({one.body for one in some}) > 200
    for one in some:
        compare(one)


def test_what_differs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder that is wrong about one message in a chunk is named with that message."""
    wrong = message("protobuf", 1, 1_007)

    def compare_badly(one: equivalence.Message) -> None:
        assert one != wrong, "differs"

    monkeypatch.setattr(equivalence, "compare", compare_badly)
    (size, findings) = chunk("protobuf", 1, 1_000)
    assert size > 10_000
    assert len(findings) == 1
    assert findings[0].startswith("protobuf 1 1007 ")
    assert repr(wrong.body) in findings[0]
