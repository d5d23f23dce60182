"""What has to be known of an Iceberg table to write files for it.

Plain data: whoever knows it needs no pyiceberg.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TableShape:
    """What files for a table have to look like, and where they go."""

    location: str
    """The URI of the folder for its data files."""
    field_ids: tuple[int, ...]
    """The table's ids for our fields: of the columns, then of the items of lists."""
