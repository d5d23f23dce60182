"""Web pages of others: whether a request comes from one, through the browser of somebody else.

Knows the header fields by which browsers say who asks. It must not know what is asked for. What
web pages may send (``server.cors``) is another matter than what they may read or have done.
"""

from collections.abc import Mapping
from ipaddress import ip_address

from otlp2parquet.platforms.server.asgi import Scope


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
    """Whether a loopback address is called by a name of its own (not by DNS rebinding)."""
    server = scope.get("server")
    if server is None or not _is_loopback(str(server[0])):
        return True
    host = headers.get(b"host", b"").decode("latin-1").lower()
    name = host.rpartition("]")[0].strip("[") if host.startswith("[") else host.partition(":")[0]
    return name == "localhost" or name.endswith(".localhost") or not name or _is_loopback(name)


def may_command(scope: Scope) -> bool:
    """Whether a POST that needs no body may come from where it does.

    Browsers send such a one for every page, unasked, and name the page's origin with it. Who names
    none is no browser, and may call a loopback address as a proxy before it is called.
    """
    headers = dict(scope["headers"])
    return is_own_page(headers) and (b"origin" not in headers or is_own_name(scope, headers))


def _is_loopback(name: str) -> bool:
    try:
        address = ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
