"""Captures: files in which somebody kept OTLP export requests, read as those requests.

    inputs     which files, in which order, and what their names tell
    reading    the bytes of a file, decompressed
    frames     binary content as requests: framed in any way, or one for the whole file
    json_lines text as requests: lines, documents of many lines, arrays
    wrappings  requests inside of what log collectors and query APIs put around them
    problems   what cannot be read, and where

Knows files and OTLP's encodings; what a name says is a hint, what a file holds decides. Must not
know the tables, nor who reads.
"""

from otlp2parquet.captures.frames import read_requests
from otlp2parquet.captures.inputs import InputFile, Inputs, find_inputs
from otlp2parquet.captures.problems import Problem
from otlp2parquet.captures.reading import Request

__all__ = [
    "InputFile",
    "Inputs",
    "Problem",
    "Request",
    "find_inputs",
    "read_requests",
]
