"""Web pages of others: what a request may have that comes from one, through somebody's browser.

Knows the header fields by which browsers say who asks, and what each of the server's paths is
about. It must not know how a request is answered.

A program says nothing of itself, and may call the server by any name. A browser names the page's
origin with every POST (Fetch: "if request's method is neither GET nor HEAD, append Origin"), and no
page can change that. Two kinds of pages are refused, before anything of a body is read:

- those of other origins. They may send what ``server.cors`` allows them to, and read nothing.
- those that a foreign name leads to a loopback address (DNS rebinding): to the browser such a page
  is the server's own. It is told by that name, in ``Host``.

A token that only its owner knows settles both: a page of somebody else has none.
"""

from collections.abc import Mapping
from enum import Enum
from ipaddress import ip_address
from types import MappingProxyType
from typing import Final, Literal

from otlp2parquet.platforms.server.asgi import Scope


class Access(Enum):
    """What a path gives, and so who may have it."""

    OPEN = "nothing that anybody could use"
    OUTLINE = "whether it is ready; to a foreign page not why, nor where things are"
    READ = "what the server holds"
    COMMAND = "an effect"
    SEND = "an effect, for pages that server.cors allows, too"


PATHS: Final[Mapping[str, Access]] = MappingProxyType(
    {
        "/": Access.OUTLINE,
        "/health": Access.OPEN,
        "/ready": Access.OUTLINE,
        "/metrics": Access.READ,
        "/live": Access.READ,
        "/flush": Access.COMMAND,
    }
)
"""All other paths are for exports: ``Access.SEND``."""

ALLOWED_PAGE: Final = "otlp2parquet.allowed_page"
"""In the scope of a request whose page ``server.cors`` allows to send."""

Verdict = Literal["admitted", "outline", "refused"]


def judge(path: str, scope: Scope, *, has_tokens: bool) -> Verdict:
    """What a request for ``path`` gets; ``has_tokens`` says that who has none is not here."""
    access = PATHS.get(path, Access.SEND)
    headers = dict(scope["headers"])
    if access is Access.OPEN:
        return "admitted"
    if access is Access.READ:
        is_admitted = is_own_page(headers) and (has_tokens or is_own_name(scope, headers))
    elif has_tokens:
        is_admitted = True
    elif access is Access.OUTLINE:
        is_admitted = is_own_page(headers) and is_own_name(scope, headers)
    elif access is Access.SEND and scope.get(ALLOWED_PAGE):
        is_admitted = True
    else:
        # Who names no origin is no browser, and may call a loopback address as a proxy before it
        # is called.
        is_admitted = is_own_page(headers) and (
            b"origin" not in headers or is_own_name(scope, headers)
        )
    if is_admitted:
        return "admitted"
    return "outline" if access is Access.OUTLINE else "refused"


def is_own_page(headers: Mapping[bytes, bytes]) -> bool:
    """Whether the request comes from no web page of another origin.

    A page's own origin is not sent with a GET, or is the server's own address.
    """
    site = headers.get(b"sec-fetch-site", b"none")
    if site not in (b"none", b"same-origin"):
        return False
    origin = headers.get(b"origin")
    return origin is None or origin.partition(b"://")[2] == headers.get(b"host", b"")


def is_own_name(scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a loopback address is called by a name of its own (not by DNS rebinding).

    A page of https that reaches a server without TLS came through a proxy that has a certificate
    for its name: a name that somebody has only led here has none.
    """
    server = scope.get("server")
    if server is None or not _is_loopback(str(server[0])):
        return True
    if headers.get(b"origin", b"").startswith(b"https://") and scope.get("scheme") == "http":
        return True
    host = headers.get(b"host", b"").decode("latin-1").lower()
    name = host.rpartition("]")[0].strip("[") if host.startswith("[") else host.partition(":")[0]
    return name == "localhost" or name.endswith(".localhost") or not name or _is_loopback(name)


def _is_loopback(name: str) -> bool:
    try:
        address = ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
