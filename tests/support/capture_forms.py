"""The forms of captures: one made of each, read, and the page that says what becomes of it.

Knows how to write every form, and no reader: what is here is written from the formats' own
descriptions. ``python -m tests.support.capture_forms`` prints ``docs/captures.md``: what is read,
not what was meant to be.
"""

from __future__ import annotations

import gzip
import io
import json
import lzma
import re
import sys
import tarfile
import tempfile
import zipfile
from bz2 import compress as bzip2
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.internal.encoder import _VarintBytes

from otlp2parquet import process_otlp
from otlp2parquet.captures import Problem, find_inputs, read_requests
from otlp2parquet.errors import OtlpError
from tests.support.conversion import json_request, stream, zstd
from tests.support.requests import START, logs_request, traces_request

A, B, C = (json_request(text) for text in "abc")
PA, PB, PC = (logs_request(1, first=number) for number in range(3))
SPANS = traces_request(1)
SPAN = {"startTimeUnixNano": str(START), "name": "s"}
RESOURCE_SPANS: dict[str, Any] = {"resource": {}, "scopeSpans": [{"spans": [SPAN]}]}
TIME = b"2026-07-01T09:00:00.000000001Z"


def pretty(request: bytes) -> bytes:
    """Over many lines."""
    return json.dumps(json.loads(request), indent=2).encode()


def lines(*parts: bytes) -> bytes:
    """Each on a line."""
    return b"".join(part + b"\n" for part in parts)


def delimited(*requests: bytes) -> bytes:
    """Each request after its length as a varint, as protobuf's own functions write them."""
    return b"".join(_VarintBytes(len(request)) + request for request in requests)


def docker(text: bytes, *, cut: int = 16_384) -> bytes:
    """What Docker's json-file driver makes of lines: an object for each part of one."""
    found = []
    for line in text.splitlines(keepends=True):
        for begin in range(0, len(line), cut):
            part = line[begin : begin + cut].decode()
            entry = {"log": part, "stream": "stdout", "time": TIME.decode()}
            found.append(json.dumps(entry).encode() + b"\n")
    return b"".join(found)


def cri(text: bytes, *, cut: int = 16_384) -> bytes:
    """What CRI makes of lines: parts marked P, and F where a line ends."""
    found = []
    for line in text.splitlines():
        parts = [line[begin : begin + cut] for begin in range(0, len(line), cut)] or [b""]
        for part in parts:
            tag = b"F" if part is parts[-1] else b"P"
            found.append(b" ".join((TIME, b"stdout", tag, part)) + b"\n")
    return b"".join(found)


def skippable(content: bytes = b"index") -> bytes:
    """A frame that zstd's decoders pass over."""
    return b"\x50\x2a\x4d\x18" + len(content).to_bytes(4, "little") + content


def archive_zip(data: bytes) -> bytes:
    """A ZIP archive with one file."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("logs.json", data)
    return target.getvalue()


def archive_tar(data: bytes) -> bytes:
    """A tar archive with one file."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        entry = tarfile.TarInfo("logs.json")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return target.getvalue()


@dataclass(frozen=True, slots=True)
class Example:
    """One form: ``data`` under ``name``, the rows that it must give, and what must be told."""

    what: str
    name: str
    data: bytes
    rows: int
    told: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was read of an example."""

    rows: int
    told: tuple[str, ...]


THREE = lines(A, B, C)

SECTIONS: dict[str, list[Example]] = {
    "Compression": [
        Example("gzip, whatever the name", "x.json", gzip.compress(THREE), 3),
        Example("several gzip members", "x", gzip.compress(lines(A)) + gzip.compress(lines(B)), 2),
        Example("zstd, whatever the name", "logs.pb", zstd(THREE), 3),
        Example("several zstd frames", "x.zst", zstd(lines(A)) + zstd(lines(B)), 2),
        Example("zstd frames to be skipped", "x", skippable() + zstd(THREE) + skippable(), 3),
        Example("gzip in gzip", "x.json.gz.gz", gzip.compress(gzip.compress(THREE)), 3),
        Example("gzip, cut off", "x.gz", gzip.compress(THREE)[:-8], 3, "Truncated"),
        Example("zstd, cut off", "x.zst", zstd(lines(A, B)) + zstd(C)[:-3], 2, "Truncated"),
        Example("zeros behind gzip", "x.gz", gzip.compress(THREE) + bytes(500), 3, "500 zeros"),
        Example("other bytes behind gzip", "x.gz", gzip.compress(THREE) + b"?!", 3, "not gzip"),
    ],
    "The Collector's file exporter": [
        Example("`format: json`", "logs.json", THREE, 3),
        Example("`format: proto`", "logs.pb", stream(PA, PB, PC), 3),
        Example("`format: proto`, a file of no known name", "data", stream(PA, PB), 2),
        Example(
            "`compression: zstd`, a frame a request", "logs", stream(*map(zstd, (PA, PB, PC))), 3
        ),
        Example("`compression: zstd`, `format: json`", "x.zst", stream(*map(zstd, (A, B, C))), 3),
        Example("one zstd stream", "logs.json.zst", zstd(THREE), 3),
        Example("rotated", "traces-2026-07-01T09-00-00.000.json", THREE, 3),
        Example("cut within a request", "x.pb", stream(PA, PB, PC)[:-5], 2, "the file ends after"),
    ],
    "Protobuf": [
        Example("one request", "logs.pb", PA, 1),
        Example("one request, no name: its fields tell the signal", "capture.bin", SPANS, 1),
        Example("a length as a varint before each", "logs.pb", delimited(PA, PB, PC), 3),
        Example("another signal than the name says", "logs.pb", SPANS, 0, "fits traces, not logs"),
    ],
    "JSON": [
        Example("a request a line", "x", THREE, 3),
        Example("lines that end in CR and LF", "x", THREE.replace(b"\n", b"\r\n"), 3),
        Example("lines that end in CR", "x", THREE.replace(b"\n", b"\r"), 3),
        Example("no line break between requests", "x", A + B + C, 3),
        Example("over many lines", "x", lines(pretty(A), pretty(B)), 2),
        Example("an array", "x", b"[" + b",".join((A, B, C)) + b"]", 3),
        Example("an array over many lines", "x", b"[\n" + A + b",\n" + B + b"\n]\n", 2),
        Example("records of RFC 7464", "x", b"\x1e" + A + b"\n\x1e" + B + b"\n", 2),
        Example("blanks and empty lines", "x", b"\n  " + A + b"\n\n\t" + B, 2),
        Example("a byte order mark", "x", b"\xef\xbb\xbf" + THREE, 3),
        Example("a byte order mark within gzip", "x", gzip.compress(b"\xef\xbb\xbf" + THREE), 3),
        Example("UTF-16, as PowerShell writes", "x", THREE.decode().encode("utf-16"), 3),
        Example("NULs before a line", "x", bytes(5000) + lines(A) + bytes(300) + lines(B), 2),
        Example(
            "lines of several signals",
            "x",
            lines(A, json.dumps({"resourceSpans": [RESOURCE_SPANS]}).encode(), b"{}"),
            2,
        ),
        Example(
            "several signals in one object",
            "x",
            json.dumps({**json.loads(A), "resourceSpans": [RESOURCE_SPANS]}).encode(),
            2,
        ),
        Example(
            "names of before 2022",
            "x",
            A.replace(b"scopeLogs", b"instrumentationLibraryLogs"),
            1,
        ),
    ],
    "Logs of containers, and other output": [
        Example("Docker's json-file", "x-json.log", docker(THREE), 3),
        Example("Docker's, long lines in parts", "x-json.log", docker(THREE, cut=40), 3),
        Example("CRI", "0.log", cri(THREE), 3),
        Example("CRI, long lines in parts", "0.log", cri(THREE, cut=40), 3),
        Example("CRI, documents over many lines", "0.log", cri(lines(pretty(A), pretty(B))), 2),
        Example("`kubectl logs --timestamps`", "x", lines(TIME + b" " + A, TIME + b" " + B), 2),
        Example("`docker compose logs`", "x", lines(b"app-1  | " + A, b"app-1  | " + B), 2),
        Example("a logger's prefix", "x", lines(b"[agent 2026-07-01] INFO io.Exporter - " + A), 1),
        Example("journald's prefix", "x", lines(b"Jul 01 09:00:00 host app[7]: " + A), 1),
        Example("other lines between", "x", lines(b"listening on :80", A, b"bye"), 1, "text"),
        Example("a key before the request (Kafka)", "x", lines(b"key\t" + A), 1, "key"),
    ],
    "Parts of requests, and answers": [
        Example("a ResourceSpans", "x", json.dumps(RESOURCE_SPANS).encode(), 1),
        Example("Tempo's `batches`", "x", json.dumps({"batches": [RESOURCE_SPANS]}).encode(), 1),
        Example(
            "Tempo's `trace`",
            "x",
            json.dumps({"trace": {"resourceSpans": [RESOURCE_SPANS]}, "metrics": {}}).encode(),
            1,
        ),
    ],
    "Damage": [
        Example("a torn line", "x", lines(A, B[:40], C), 2, "malformed json"),
        Example("a torn line, and the next one behind it", "x", lines(A, B[:40] + C), 2, "malform"),
        Example("torn outside of quotes, joined", "x", A[:17] + B + C, 2, "malformed json"),
        Example("a torn document of many lines", "x", lines(pretty(A)[:60], pretty(B)), 1, "malf"),
        Example("the end of a line at the front", "x", lines(A[30:], B), 1, "malformed JSON"),
        Example("a comma behind a request", "x", lines(A + b",", B), 2, "comma"),
        Example("text behind a request", "x", lines(A + b" done", B), 2, "text"),
        Example("an array without its end", "x", b"[" + A + b",\n" + B, 2, "not closed"),
    ],
    "What is no capture": [
        Example("a ZIP archive", "x.zip", archive_zip(A), 0, "is a ZIP archive"),
        Example("a tar archive", "x.tar.gz", gzip.compress(archive_tar(A)), 0, "tar archive"),
        Example("bzip2", "x.bz2", bzip2(A), 0, "is bzip2"),
        Example("xz", "x.xz", lzma.compress(A), 0, "is xz"),
        Example("lz4", "x.lz4", b"\x04\x22\x4d\x18" + bytes(30), 0, "is lz4"),
        Example("snappy", "x.sz", b"\xff\x06\0\0sNaPpY" + bytes(30), 0, "is snappy"),
        Example("Parquet", "x.parquet", b"PAR1" + bytes(30) + b"PAR1", 0, "is Parquet"),
        Example(
            "the Collector's debug exporter",
            "x.log",
            lines(b"ResourceLog #0", b"Resource SchemaURL: ", b"ScopeLogs #0"),
            0,
            "debug exporter",
        ),
        Example("Jaeger's API", "x", b'{"data":[{"traceID":"abc","spans":[]}]}', 0, "Jaeger"),
        Example("profiles", "x", b'{"resourceProfiles":[]}', 0, "profiles"),
        Example(
            "a request within another object",
            "x",
            b'{"result":' + A + b"}",
            0,
            "jq -c .result",
        ),
        Example(
            "a request as text within another object (kcat -J)",
            "x",
            json.dumps({"topic": "t", "payload": A.decode()}).encode(),
            0,
            "jq -r .payload",
        ),
        Example(
            "requests as text in a list (an export of CloudWatch Logs)",
            "x",
            json.dumps({"logEvents": [{"timestamp": 1, "message": A.decode()}]}).encode(),
            0,
            "jq -r '.. | strings",
        ),
        Example("other binary data", "x", bytes(range(200, 256)) * 9, 0, "neither JSON nor"),
    ],
}


def read(example: Example, folder: Path) -> Outcome:
    """What the package reads of an example that is a file."""
    path = folder / example.name
    path.write_bytes(example.data)
    (file,) = find_inputs([path]).files
    rows, told = 0, []
    for item in read_requests(file, 64 << 20):
        if isinstance(item, Problem):
            told.append(item.reason)
            continue
        try:
            result = process_otlp(item.payload, item.signal, content_type=item.content_type)
        except OtlpError as error:
            told.append(str(error))
        else:
            rows += result.accepted
    path.unlink()
    return Outcome(rows, tuple(told))


_INTRO = """\
# Forms of captures

<!-- Generated by `python -m tests.support.capture_forms > docs/captures.md`; do not edit. -->

What `otlp2parquet convert`, and the function of AWS Lambda for objects in S3, read as export
requests. What a file holds decides, first of all its first bytes; its name only where they leave
something open. Each line below is a small capture that was made in this form and read for this
page.

- **Signal.** JSON tells its own. A request in protobuf is of the signal that `--signal`, a whole
  word of the file's name (`otel-logs.pb`, not `blogs.pb`) or else of its folder's says, and of
  the one that its fields fit where none says. One that fits another signal than is said is
  refused with that reason.
- **Names.** Named files are read whatever they are called. In folders, files that end in `.json`,
  `.jsonl`, `.ndjson`, `.pb`, `.binpb`, `.otlp`, `.proto` or `.protobuf` (also rotated or
  compressed) are; of any other the first 64 KiB are looked at, and what is no capture is counted
  by kind.
- **By hand.** `--format json`, `protobuf`, `length-prefixed` or `varint-delimited` says the form,
  `-` is standard input.
- **Damage.** Whole requests are kept, and the broken place is named with its file and byte
  (counted in the decompressed text; in UTF-8, where it is UTF-16); the exit code is 1. Behind
  broken compression nothing more of that file is read.
- **Identity.** A request is known again by the bytes of its text or protobuf, not by what is
  around it: the same request in another wrapping adds nothing.
- **Memory.** Files are read as they come, however large. A file takes at most four times
  `--max-payload-bytes` (64 MiB unless said otherwise) while it is read, and 128 MiB for zstd's
  window, also where it is one line of many gigabytes or compressed zeros. Time is linear in its
  size.
"""


def _stable(told: str) -> str:
    """A message as a cell, without what depends on the compressor's version."""
    return re.sub(r"byte \d+ of the compressed", "byte … of the compressed", told).replace(
        "|", "\\|"
    )


def page() -> str:
    """docs/captures.md."""
    parts = [_INTRO]
    with tempfile.TemporaryDirectory() as folder:
        for title, examples in SECTIONS.items():
            parts.append(f"\n## {title}\n\n| form | rows | told |\n|---|--:|---|\n")
            for example in examples:
                outcome = read(example, Path(folder))
                told = "<br>".join(_stable(one) for one in dict.fromkeys(outcome.told))
                parts.append(f"| {example.what} | {outcome.rows} | {told} |\n")
    return "".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page())
