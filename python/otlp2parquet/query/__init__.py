"""Questions in SQL about the files of a storage, answered by DuckDB.

    views        which files are rows of which view, and the columns of each
    typed_views  the same for a DuckDB of one's own, with attributes as columns
    store_files  any store as a file system that DuckDB reads
    statements   which statements are run: those that only read
    engine       a connection with the views, and answers as Arrow batches
    trouble      what DuckDB says of a statement, as we say it
    values       values as JSON text, and text that a terminal cannot be harmed by
    formats      answers as CSV, JSON and Markdown
    grid         answers as a table for people

Knows stores, paths and columns. Must not know a terminal's size, a configuration or a server.
DuckDB is an extra, loaded when a question is asked.
"""
