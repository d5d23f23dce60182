"""Which file each row of a batch belongs into, given what was planned before.

Pure functions of groups of rows and planned files. Knows no thread, no log and no storage.
"""

from collections.abc import Callable, Iterable, Sequence

from otlp2parquet.core import Batch
from otlp2parquet.core.files import GroupKey, PlannedFile, group_key, plan_files
from otlp2parquet.core.layout import Layout


def plan_again(
    rows: Sequence[Batch],
    before: Sequence[PlannedFile],
    layout: Layout,
    is_stored: Callable[[PlannedFile], bool],
) -> tuple[tuple[PlannedFile, ...], int]:
    """The planned files for ``rows``, and in how many of them the rows are not as planned.

    Files that were planned ``before`` keep their names and the rows that were planned: one that
    was written then has as many. One without rows is left out unless ``is_stored``. What was not
    planned gets files of its own, under names that are free.
    """
    homes = _homes(before)
    counted: dict[PlannedFile, dict[str | None, int]] = {file: {} for file in before}
    unplanned: list[Batch] = []
    for group in rows:
        file = homes.get(group_key(group))
        if file is None:
            unplanned.append(group)
            continue
        services, (_, _, service) = counted[file], group_key(group)
        services[service] = services.get(service, 0) + group.num_rows
    files = [file for file, services in counted.items() if services or is_stored(file)]
    differences = sum(services != dict(file.services) for file, services in counted.items())
    added = plan_files(unplanned, layout, planned=before)
    return (*files, *added), differences + len(added)


def share_out(
    rows: Iterable[Batch], files: Iterable[PlannedFile]
) -> tuple[dict[PlannedFile, list[Batch]], list[Batch]]:
    """The rows of each file, in the order in which it holds them, and those of no file."""
    homes = _homes(files)
    parts: dict[PlannedFile, list[Batch]] = {}
    homeless: list[Batch] = []
    for group in rows:
        home = homes.get(group_key(group))
        (homeless if home is None else parts.setdefault(home, [])).append(group)
    return {file: _in_order(part, file) for file, part in parts.items()}, homeless


def _in_order(part: list[Batch], file: PlannedFile) -> list[Batch]:
    """One service after another, as the file has them; within a service as they came."""
    places = {service: place for place, service in enumerate(file.services)}
    return sorted(part, key=lambda group: places[group.service or None])


def _homes(files: Iterable[PlannedFile]) -> dict[GroupKey, PlannedFile]:
    """The file of each group."""
    return {key: file for file in files for key in file.groups}
