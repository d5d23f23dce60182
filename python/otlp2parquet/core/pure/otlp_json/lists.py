"""Lists: values, packed numbers, and the entries of OTLP, of which a bad one is left out.

Knows what a list costs while it is read, and what is counted and told of what it leaves out. Must
not know members and their keys (``transcoder``).
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from struct import pack
from typing import Final

from otlp2parquet.core.pure import limits
from otlp2parquet.core.pure.error import payload_too_large, too_many_records
from otlp2parquet.core.pure.fields import DESCRIPTORS, Descriptor
from otlp2parquet.core.pure.otlp_json.fault import (
    Finding,
    JsonMalformedError,
    JsonMisfitError,
)
from otlp2parquet.core.pure.otlp_json.output import begin, end, push_len
from otlp2parquet.core.pure.otlp_json.reader import COMMA, END_LIST, LIST, OBJECT, QUOTE
from otlp2parquet.core.pure.otlp_json.scalars import Scalars
from otlp2parquet.core.pure.otlp_json.tally import (
    EMPTY_GROUPS,
    RECORDS,
    REJECTED,
    Mark,
    Tally,
    mark_text,
)
from otlp2parquet.core.pure.otlp_json.usual import push_usual_key_value
from otlp2parquet.core.pure.request import MOST_EXPLAINED
from otlp2parquet.core.pure.wire import U64, varint
from otlp2parquet.errors import TooLargeError

_KEY_VALUE: Final = DESCRIPTORS["KeyValue"]


class Lists(Scalars):
    """Reads lists, in which whoever reads messages stands."""

    def __init__(self, text: bytes, max_payload_bytes: int) -> None:
        super().__init__(text)
        self.max_payload_bytes = max_payload_bytes
        self.marks: list[Mark] = []
        self.explained: list[Finding] = []
        """What was left out, in the order of the text; the first few."""
        self.level = 0

    def read_message(self, message: Descriptor, depth: int) -> None:
        """Read the object at hand: see ``Transcoder``."""
        raise NotImplementedError

    def _items(self) -> Iterator[int]:
        """Where the items of the list at hand begin, each of which is read before the next."""
        if self.peek() != LIST:
            raise self.misfit("a list")
        self.at += 1
        if self.take(END_LIST):
            return
        while True:
            self.peek()
            yield self.at
            byte = self.peek()
            if byte == COMMA:
                self.at += 1
            elif byte == END_LIST:
                break
            else:
                raise self.unexpected("a comma or a closing bracket")
        self.at += 1

    def read_messages(self, tag: bytes, message: Descriptor, depth: int) -> None:
        """Read a list of messages; a misfit comes to light when it has been read to its end."""
        misfit: JsonMisfitError | None = None
        out, is_key_value = self.out, message is _KEY_VALUE
        for item in self._items():
            if misfit is not None:
                # The list does not fit, whatever else is in it; but it must be JSON.
                self.skip_value()
                continue
            if is_key_value:
                after = push_usual_key_value(out, tag, self.text, self.at, self.end)
                if after:
                    self.at = after
                    continue
            try:
                start = begin(out, tag, message.length_bytes)
                self.read_message(message, depth)
                end(out, start, message.length_bytes)
            except JsonMisfitError as error:
                misfit = error
                self.pass_over(item)
        if misfit is not None:
            raise misfit

    def _read_items(self, read_item: Callable[[], None]) -> None:
        """As ``read_messages``, of a list of something else."""
        misfit: JsonMisfitError | None = None
        for item in self._items():
            if misfit is not None:
                self.skip_value()
                continue
            try:
                read_item()
            except JsonMisfitError as error:
                misfit = error
                self.pass_over(item)
        if misfit is not None:
            raise misfit

    def read_texts(self, tag: bytes, *, are_labels: bool) -> None:
        """Read a list of texts, or of labels, of which only the number counts."""

        def read_item() -> None:
            if are_labels:
                self.skip_value()
                push_len(self.out, tag, b"")
                return
            if self.peek() != QUOTE:
                raise self.misfit("text")
            push_len(self.out, tag, self.read_string())

        self._read_items(read_item)

    def _check_room(self) -> None:
        """The limit on a payload's bytes holds for the protobuf too."""
        if len(self.out) > self.max_payload_bytes:
            raise TooLargeError(payload_too_large(len(self.out), self.max_payload_bytes))

    def read_packed(self, tag: bytes, kind: str) -> None:
        """Read a list of numbers, and write it packed."""
        out = self.out
        start = begin(out, tag, 1)

        def read_item() -> None:
            self._check_room()
            if kind == "Doubles":
                out.extend(pack("<d", self.read_double()))
                return
            value = self.read_integer(0, U64)
            out.extend(value.to_bytes(8, "little") if kind == "Fixed64s" else varint(value))

        self._read_items(read_item)
        end(out, start, 1)

    def read_entries(self, tag: bytes, message: Descriptor, *, is_record: bool) -> None:
        """Read records, of which a bad one is left out and counted; or what holds records.

        "A bad value in a resource, scope or metric rejects every record below it."
        """
        self.level += 1

        def read_item() -> None:
            before = tuple(self.tally)
            if is_record:
                self.tally[RECORDS] += 1
                if self.tally[RECORDS] > limits.RECORDS:
                    raise TooLargeError(too_many_records(limits.RECORDS))
            self._check_room()
            if self.byte() != OBJECT:
                self._leave_out_other(before)
                return
            mark = Mark(len(self.out), self.at, self.level)
            self.marks.append(mark)
            try:
                start = begin(self.out, tag, message.length_bytes)
                self.read_message(message, 0)
                end(self.out, start, message.length_bytes)
            except JsonMisfitError as misfit:
                self._leave_out(misfit.finding, mark, before)
                return
            if self.tally[RECORDS] == before[RECORDS]:
                # Nothing will be said of a place without records, and there may be many.
                self._forget_marks(mark)

        try:
            self._read_items(read_item)
        finally:
            self.level -= 1

    def _leave_out_other(self, before: Tally) -> None:
        """Pass over what stands where an entry belongs and is no object."""
        if len(self.explained) < MOST_EXPLAINED:
            misfit = self.misfit("an object")
            if isinstance(misfit, JsonMalformedError):
                raise misfit
            self.explained.append(misfit.finding)
        self.skip_value()
        self._count_left_out(before)

    def _count_left_out(self, before: Tally) -> None:
        records = self.tally[RECORDS] - before[RECORDS]
        self.tally[REJECTED] += records
        self.tally[EMPTY_GROUPS] += records == 0

    def _forget_marks(self, first: Mark) -> None:
        """Forget a mark and those behind it."""
        marks = self.marks
        del marks[bisect_left(marks, first.text, key=mark_text) :]

    def _leave_out(self, finding: Finding, mark: Mark, before: Tally) -> None:
        """Take back a record or a group of records that began at ``mark``, and say why."""
        self.pass_over(mark.text)
        del self.out[mark.out :]
        self._forget_marks(mark)
        records = self.tally[RECORDS]
        self.tally = list(before)
        self.tally[RECORDS] = records
        self._count_left_out(before)
        self.explained = [other for other in self.explained if other.at < mark.text]
        if len(self.explained) < MOST_EXPLAINED:
            self.explained.append(finding)
