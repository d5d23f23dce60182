"""An Iceberg commit through a REST catalog in plain Python, with the standard library alone.

    protocol    what is given: ``Fetch`` sends a request, ``Objects`` is the bucket
    rest        requests and tokens of the catalog
    catalog     its tables: found, made, completed, checked
    table       one table as it was loaded, and the commit on top of it
    merging     small manifests become one
    history     old snapshots go
    metadata    a table's metadata as JSON, and the updates that change it
    manifests   manifests and manifest lists from receipts
    avro        the container files that they are
    receipts    receipts in the bucket
    commits     what a request and a schedule do with all that: begin here

For where pyiceberg cannot be: no sockets, threads, files or packages. The committer, its schedule,
its rules and the order in which a table is loaded are the server's, in ``otlp2parquet.catalogs``;
only what is asked, and how, is different here, and is awaited.

A request, whose rows are one batch::

    client = RestClient(RestOptions(uri, warehouse, token), fetch)   # may outlive requests
    shapes: dict[str, TableShape] = {}                               # so may this
    ...
    catalog = PlainCatalog(client, objects, TableOptions(), shapes=shapes)
    commits = Commits(catalog, ObjectReceipts(objects), node=shared_node_of(place))
    shape = await commits.shape("otel_logs")       # CatalogError: see ``Commits.shape``
    # a Parquet file with shape.field_ids goes below shape.location: key_of_uri(shape.location)
    file = DataFile(location, rows, size, hour, columns)
    receipts = [commits.receipt(batch_id, "otel_logs", [file], shape)]
    await commits.keep(receipts)                   # from here on the rows are safe: 200
    await commits.commit(2.0)                      # False: the schedule finishes it

And a schedule: ``report = await commits.reconcile(25.0)``.
"""

from otlp2parquet.catalogs.loading import TableOptions
from otlp2parquet.catalogs.plain.catalog import PlainCatalog
from otlp2parquet.catalogs.plain.commits import Commits, shared_node_of
from otlp2parquet.catalogs.plain.protocol import Fetch, Objects
from otlp2parquet.catalogs.plain.receipts import ObjectReceipts
from otlp2parquet.catalogs.plain.rest import RestClient, RestOptions
from otlp2parquet.catalogs.plain.table import key_of_uri
from otlp2parquet.catalogs.receipts import DataFile, Receipt
from otlp2parquet.catalogs.shape import TableShape

__all__ = [
    "Commits",
    "DataFile",
    "Fetch",
    "ObjectReceipts",
    "Objects",
    "PlainCatalog",
    "Receipt",
    "RestClient",
    "RestOptions",
    "TableOptions",
    "TableShape",
    "key_of_uri",
    "shared_node_of",
]
