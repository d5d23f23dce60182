"""convert: captured OTLP files become the same Parquet files that the server writes.

    inputs    which files, of which signal and compression
    frames    a file as export requests, one after another
    chunks    requests packed into pieces of bounded size, each with its identity
    pipeline  chunks decoded and written on all cores, reported in order

Knows files, the decode and writers. Must not know the terminal.
"""

from otlp2parquet.convert.inputs import InputFile, Inputs, find_inputs
from otlp2parquet.convert.pipeline import ChunkReport, ConvertOptions, convert_files
from otlp2parquet.convert.problems import Problem

__all__ = [
    "ChunkReport",
    "ConvertOptions",
    "InputFile",
    "Inputs",
    "Problem",
    "convert_files",
    "find_inputs",
]
