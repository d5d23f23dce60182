"""convert: captured OTLP becomes the same Parquet files that the server writes, once.

    naming     what a request is called, so that it is recognised when it comes again
    keys       which requests have been converted, sorted on the disk
    journal    what has been converted and what was begun, beside the output
    lock       one conversion into a folder at a time
    selection  which requests are new, in chunks of bounded size
    pipeline   chunks decoded and written on all cores, reported in order
    single     chunks as one file for each table

Knows captures, the decode, stores and writers. Must not know the terminal.
"""

from otlp2parquet.convert.journal import Journal, open_journal
from otlp2parquet.convert.pipeline import ChunkReport, ConvertOptions, convert_files
from otlp2parquet.convert.single import convert_single

__all__ = [
    "ChunkReport",
    "ConvertOptions",
    "Journal",
    "convert_files",
    "convert_single",
    "open_journal",
]
