"""TLS: certificate files of the configuration, checked, as Granian takes them.

Knows the ``ssl`` module's checks and Granian's arguments. Granian itself would go on without TLS
when a file is missing from its arguments, and without client certificates when their authority
is, and it panics over a key that is encrypted (2.8.9: with its password, too). Whatever is wrong
must be an error before the socket is open.
"""

import ssl
from pathlib import Path
from typing import Any

from granian.constants import SSLProtocols

from otlp2parquet.config import TlsConfig
from otlp2parquet.errors import ConfigError

_VERSIONS = {"1.2": SSLProtocols.tls12, "1.3": SSLProtocols.tls13}


def granian_arguments(tls: TlsConfig) -> dict[str, Any]:
    """What Granian's server is made with; empty without TLS. Raises ``ConfigError``."""
    if tls.cert is None or tls.key is None:
        return {}
    check(tls, tls.cert, tls.key)
    return {
        "ssl_cert": tls.cert,
        "ssl_key": tls.key,
        "ssl_ca": tls.client_ca,
        "ssl_client_verify": tls.client_ca is not None,
        "ssl_protocol_min": _VERSIONS[tls.min_version],
    }


def check(tls: TlsConfig, cert: Path, key: Path) -> None:
    """Raise ``ConfigError`` for files that cannot be read or do not belong together."""
    for name, path in (("cert", cert), ("key", key), ("client_ca", tls.client_ca)):
        if path is None:
            continue
        try:
            path.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"cannot read {path}: {(error.strerror or str(error)).lower()}, expected a file "
                f"in PEM form (server.tls.{name})"
            ) from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without any password OpenSSL would ask for that of an encrypted key on the terminal.
        context.load_cert_chain(cert, key, "")
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError(
            f"cannot use {cert} with {key}: expected a certificate and its own private key, both "
            "in PEM form and not encrypted (server.tls.cert, server.tls.key)"
        ) from error
    if tls.client_ca is not None:
        try:
            context.load_verify_locations(tls.client_ca)
        except ssl.SSLError as error:
            raise ConfigError(
                f"cannot use {tls.client_ca}: expected certificates in PEM form "
                "(server.tls.client_ca)"
            ) from error
