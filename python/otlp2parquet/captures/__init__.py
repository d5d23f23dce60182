"""Captures: files in which somebody kept OTLP export requests, read as those requests.

    inputs         which files, in which order, and what is no capture
    input_file     what a file's name tells
    forms          the table of forms, and which one a file has
    framings/      how requests follow one another: a module for each way
    wrappings/     what others put around a request: a module for each
    compression    gzip and zstd undone
    text_encoding  UTF-16 and UTF-32 as UTF-8
    source         bytes as they are asked for
    signals        which signal protobuf is
    foreign        what is no OTLP, by its name
    request        a request as it was read
    problems       what cannot be read, and where

Knows files and OTLP's encodings; what a name says is a hint, what a file holds decides. Must not
know the tables, nor who reads.
"""

from otlp2parquet.captures.forms import read_requests
from otlp2parquet.captures.input_file import Format, InputFile
from otlp2parquet.captures.inputs import Inputs, find_inputs
from otlp2parquet.captures.problems import Problem
from otlp2parquet.captures.request import Request

__all__ = [
    "Format",
    "InputFile",
    "Inputs",
    "Problem",
    "Request",
    "find_inputs",
    "read_requests",
]
