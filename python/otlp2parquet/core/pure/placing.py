"""Where the records below one scope (and metric) go: the group of their service and hour.

A group is a list of rows, and a row a tuple in the order of its table's columns. Knows what groups
and shared values cost. Must not know the fields of records.
"""

from typing import Any, Final

from otlp2parquet.core.pure import limits
from otlp2parquet.core.pure.error import Reject, too_many_groups
from otlp2parquet.core.pure.owner import KEYS_BYTES, Owner
from otlp2parquet.core.pure.request import Request
from otlp2parquet.errors import TooLargeError

Key = tuple[str, str | None, int]
"""Table, service, and hour since the epoch."""
Row = tuple[Any, ...]

GROUP_BYTES: Final = 1 << 10
"""What a group costs beside its rows."""


class Group:
    """The rows of one table, service and hour."""

    __slots__ = ("held", "rows")

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.held = [0, 0, 0]
        """Name the resource, scope and metric that the last row repeats."""


class Rows:
    """The rows that a request has for one table."""

    def __init__(self, table: str, opened: dict[Key, Any]) -> None:
        self.table = table
        self.opened = opened
        """The groups that a builder has from earlier requests."""
        self.groups: dict[Key, Group] = {}
        self.stamps = [0, 0, 0]
        """Name the resource, scope and metric whose values were charged last."""
        self.bytes = [0, 0, 0]
        """What those take in a row."""

    def group(self, request: Request, service: str | None, hour: int) -> Group:
        """The group of a service and hour, opened if need be."""
        key = (self.table, service, hour)
        group = self.groups.get(key)
        if group is None:
            if request.groups_left == 0:
                raise TooLargeError(too_many_groups(limits.GROUPS))
            request.groups_left -= 1
            group = self.groups[key] = Group()
            if key not in self.opened:
                request.charge(GROUP_BYTES)
        return group

    def set(self, request: Request, which: int, stamp: int, text_bytes: int, keys: int) -> None:
        """Say that the rows to come repeat other values."""
        if self.stamps[which] != stamp:
            request.charge(keys + text_bytes)
            self.stamps[which] = stamp
            self.bytes[which] = text_bytes

    def enter(self, request: Request, group: Group) -> None:
        """Say that the rows to come are the group's; a batch has its own copy of shared values."""
        for which in range(3):
            if group.held[which] != self.stamps[which]:
                request.charge(self.bytes[which])
                group.held[which] = self.stamps[which]


class Placing:
    """The resource and scope of the records being read, and the group that the last one went to."""

    def __init__(self, rows: Rows, resource: Owner, scope: Owner) -> None:
        self.rows = rows
        self.resource = resource
        self.scope = scope
        self.shared = resource.values + scope.values
        self.reject: Reject | None = resource.reject or scope.reject
        """Why every record below is rejected, if it is."""
        self.hour = -1
        self.metric = 0
        self.group: Group | None = None
        self.shared_bytes = 0
        """What shared values take in each row."""

    def find(self, request: Request, hour: int) -> Group:
        """The group of the rows to come, of this hour."""
        rows = self.rows
        group = self.group
        if group is None or hour != self.hour:
            group = rows.group(request, self.resource.values[0], hour)
        elif self.metric == rows.stamps[2]:
            return group
        rows.set(request, 0, self.resource.stamp, self.resource.text_bytes, KEYS_BYTES)
        rows.set(request, 1, self.scope.stamp, self.scope.text_bytes, KEYS_BYTES)
        rows.enter(request, group)
        self.hour, self.group, self.metric = hour, group, rows.stamps[2]
        self.shared_bytes = sum(rows.bytes)
        return group
