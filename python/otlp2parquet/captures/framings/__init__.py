"""Framings: how requests follow one another in a capture. Each knows its first bytes.

    one_request       protobuf: the whole file is one request
    length_prefixed   each request after its length in 4 bytes: the Collector's file exporter
    varint_delimited  each request after its length as a varint: protobuf's own functions
    text              JSON: lines, documents of many lines, joined ones, arrays
    lines             the lines of a text, however long
    documents         what of a text is a JSON object, and what is something else
    torn              the whole requests in text that is damaged

Knows bytes, and what a request begins with. Must not know names of files nor compression.
"""
