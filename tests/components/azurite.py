"""Azurite: Microsoft's own emulator of Azure Blob Storage, under Node.

Knows npm, its options and the one request that makes a container. Must not know who asks it.
"""

from __future__ import annotations

import base64
import hmac
import http.client
import shutil
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from .cache import locked, run_build
from .process import RunningProcess, free_port

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "3.37.0"
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
"""The emulator's own, which is public."""
CONTAINER = "telemetry"


def build_azurite() -> Path:
    """The script that starts it, installed on first use."""
    with locked("azurite") as cache:
        folder = cache / f"azurite-{VERSION}"
        if not folder.exists():
            building = cache / ".azurite.building"
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir()
            command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(building)]
            run_build([*command, f"azurite@{VERSION}"])
            building.replace(folder)
    return folder / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"


def signature_of(text: str) -> str:
    """The account's signature under a text."""
    key = base64.b64decode(ACCOUNT_KEY)
    return base64.b64encode(hmac.digest(key, text.encode(), "sha256")).decode()


def shared_access_signature() -> str:
    """A query by which whoever has it may read, write, list and delete for many years."""
    version, expiry = "2021-12-02", "2099-01-01T00:00:00Z"
    rights = {"sp": "rwdlac", "ss": "b", "srt": "sco", "st": "", "se": expiry, "sip": "", "spr": ""}
    lines = (ACCOUNT, *rights.values(), version, "", "")
    given = {name: value for name, value in rights.items() if value}
    return urlencode({"sv": version, **given, "sig": signature_of("\n".join(lines))})


class Azurite(RunningProcess):
    """A running emulator with an empty container, on a free port of 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}/{ACCOUNT}"
        command: list[str | Path] = ["node", build_azurite(), "--blobHost", "127.0.0.1"]
        command += ["--blobPort", str(self.port), "--location", folder / "blobs"]
        command += ["--silent", "--disableTelemetry", "--skipApiVersionCheck"]
        super().__init__(command, folder / "azurite.log")
        self.wait_ready(self._make_container)

    def _make_container(self) -> bool:
        date = formatdate(usegmt=True)
        head = {"x-ms-date": date, "x-ms-version": "2021-12-02"}
        signed = "\n".join(f"{name}:{value}" for name, value in sorted(head.items()))
        path = f"/{ACCOUNT}/{CONTAINER}"
        text = "PUT" + "\n" * 12 + f"{signed}\n/{ACCOUNT}{path}\nrestype:container"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            authorization = {"Authorization": f"SharedKey {ACCOUNT}:{signature_of(text)}"}
            head |= authorization | {"Content-Length": "0"}
            connection.request("PUT", f"{path}?restype=container", headers=head)
            return connection.getresponse().status == http.HTTPStatus.CREATED
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
