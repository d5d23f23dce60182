"""The URL of a storage, and its parts.

Knows how places are written. Must not know how they are reached: it only takes text apart and
puts it together, and the text that a ``Location`` gives leads to an equal one.

``s3://bucket/prefix``, ``r2://bucket/prefix``, ``gs://bucket/prefix``, ``az://container/prefix``,
``file:///folder``, and any other scheme is one of fsspec's. Behind ``?`` may stand what tells two
places of one name apart: ``endpoint``, ``region``, ``account``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from otlp2parquet.stores.protocol import checked_path

SCHEMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "file": "fs",
        "s3": "s3",
        "s3a": "s3",
        "r2": "r2",
        "gs": "gcs",
        "az": "azure",
    }
)
"""The backend of each scheme that is our own."""

_SCHEME_OF: Final = {"s3": "s3", "r2": "r2", "gcs": "gs", "azure": "az"}
_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)(://|::)")
_CONTAINER: Final = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._$-]{1,254}")
_QUERY: Final = frozenset({"endpoint", "region", "account"})


@dataclass(frozen=True, slots=True)
class Location:
    """Where a storage is. ``container`` is the bucket, of Azure the container."""

    backend: str
    container: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    account: str = ""
    """R2's account id, Azure's account name."""

    @property
    def url(self) -> str:
        """The location as text. The region is no part of a place's name."""
        query = {"endpoint": self.endpoint, "account": self.account}
        given = {key: value for key, value in query.items() if value}
        path = f"/{self.prefix}" if self.prefix else ""
        text = f"{_SCHEME_OF[self.backend]}://{self.container}{path}"
        return f"{text}?{urlencode(given, safe=':/')}" if given else text


def is_url(text: str) -> bool:
    """Whether it is a URL, and no path of this machine."""
    return _URL.match(text) is not None


def backend_of(url: str) -> str:
    """The backend that a URL is for; ``fsspec`` for the schemes that are not ours."""
    match = _URL.match(url)
    if match is None:
        raise ValueError(f"{url[:300]!r} is no URL: expected one such as s3://bucket/prefix")
    return "fsspec" if match[2] == "::" else SCHEMES.get(match[1].lower(), "fsspec")


def folder_of(url: str) -> str:
    """The folder of a ``file://`` URL."""
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise ValueError(f"{url[:300]!r}: expected file:///folder, with three slashes")
    return unquote(parts.path)


def parse_location(url: str) -> Location:
    """The location that a URL of s3, r2, gs or az names; ``ValueError`` if it is none."""
    backend = backend_of(url)
    if backend not in _SCHEME_OF:
        raise ValueError(f"{url[:300]!r}: expected a URL of {', '.join(_SCHEME_OF.values())}")
    rest = url.partition("://")[2]
    rest, _, query = rest.partition("?")
    container, _, prefix = rest.partition("/")
    if not _CONTAINER.fullmatch(container):
        raise ValueError(f"{url[:300]!r}: found the bucket {container[:300]!r}, expected a name")
    given = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := sorted(set(given) - _QUERY):
        raise ValueError(
            f"{url[:300]!r}: found {', '.join(unknown)} behind the ?, expected only "
            f"{', '.join(sorted(_QUERY))}"
        )
    return Location(backend, container, checked_prefix(prefix), **given)


def check_url(url: str) -> None:
    """Raise ``ValueError`` unless a storage can be named so."""
    backend = backend_of(url)
    if backend == "fs":
        folder_of(url)
    elif backend != "fsspec":
        parse_location(url)


def check_endpoint(endpoint: str) -> None:
    """Raise ``ValueError`` unless it is the address of a service."""
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise ValueError(
            f"found {endpoint[:300]!r}, expected a URL that begins with https:// or http://"
        )


def checked_prefix(prefix: str) -> str:
    """A prefix without slashes around it, if it is a path or empty; else ``ValueError``."""
    stripped = prefix.strip("/")
    return checked_path(stripped) if stripped else ""


def object_uri(root: str, path: str) -> str:
    """The URI by which others know an object of a store: no endpoint, account or region in it.

    ``root`` is what names the store. Azure's is ``abfss://container@account.dfs.core.windows.net``,
    as Iceberg's readers have it, where the account is known.
    """
    if not is_url(root):
        folder = root.replace("\\", "/")
        # Nothing is escaped: Iceberg's readers undo no %XX.
        return f"file://{'' if folder.startswith('/') else '/'}{folder}/{path}"
    if backend_of(root) not in _SCHEME_OF:
        return f"{root.rstrip('/')}/{path}"
    location = parse_location(root)
    key = f"{location.prefix}/{path}" if location.prefix else path
    if location.backend == "azure" and location.account:
        return f"abfss://{location.container}@{location.account}.dfs.core.windows.net/{key}"
    scheme = {"gcs": "gs", "azure": "abfss"}.get(location.backend, "s3")
    return f"{scheme}://{location.container}/{key}"


def root_of(uri: str) -> str:
    """The root of a store for the folder at a URI as ``object_uri`` or a catalog gives it."""
    scheme, sign, rest = uri.partition("://")
    if not sign or scheme == "file":
        return rest if sign else uri.removeprefix("file:")
    if scheme in ("s3a", "s3n"):
        return f"s3://{rest}"
    if scheme in ("abfss", "abfs", "wasbs"):
        place, _, path = rest.partition("/")
        container, _, host = place.partition("@")
        account = host.partition(".")[0]
        return Location("azure", container, path, account=account).url
    return uri
