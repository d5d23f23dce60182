"""Clients of buckets and containers: endpoints, credentials, certificates, time limits.

Knows what obstore has to be told to reach a place, and where credentials come from when none are
given. Must not know what is stored there, nor where the settings were read.

Credentials that are not given are found as the provider's own tools find them. For AWS: the
environment, a web identity, a container's or an instance's role by obstore itself; profiles, SSO
and whatever else a profile can say by botocore, where that is installed.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from otlp2parquet.errors import ConfigError
from otlp2parquet.stores.location import Location
from otlp2parquet.stores.obstore import ObstoreStore

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig, S3Credential

TIMEOUT_SECS: Final = 30.0
_CONNECT_SECS: Final = 5.0
_REPEATS: Final = 2
"""How often a request that may be sent twice is; beyond that the caller decides."""
_ASK_AGAIN: Final = timedelta(minutes=5)

_OWN_AWS_CREDENTIALS: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
"""Variables by which obstore itself finds credentials."""


@dataclass(frozen=True, slots=True)
class Access:
    """How a place is reached, besides where it is. What is empty is found in the environment."""

    key_id: str = ""
    secret: str = ""
    """An access key's secret, an account's key, or a service account's key as JSON."""
    path_style: bool = True
    """Whether the bucket stands in the path of S3's URLs, not in the host's name."""
    timeout_secs: float = TIMEOUT_SECS
    ca_file: Path | None = None


def open_store(
    location: Location, access: Access | None = None, environ: Mapping[str, str] = os.environ
) -> ObstoreStore:
    """The store at ``location``. Nothing is asked of it yet.

    Raises ``ConfigError`` when there is a contradiction, a file that cannot be read, or
    credentials that need a package which is not installed.
    """
    access = Access() if access is None else access
    make = {"s3": _s3, "r2": _r2, "gcs": _gcs, "azure": _azure}[location.backend]
    client = _client_options(access, _endpoint(location, environ))
    try:
        once = make(location, access, environ, client, _retries(0, access))
        again = make(location, access, environ, client, _retries(_REPEATS, access))
    except ConfigError:
        raise
    except Exception as error:
        # obstore judges its options with several classes of errors.
        text = str(error).partition("\n")[0]
        raise ConfigError(f"{location.url} cannot be used: {text}") from error
    return ObstoreStore(once, again, location.url)


def _retries(count: int, access: Access) -> "RetryConfig":
    backoff: Any = {
        "init_backoff": timedelta(milliseconds=200),
        "max_backoff": timedelta(seconds=2),
        "base": 2,
    }
    # Time for one that hangs and one after it.
    limit = timedelta(seconds=2 * access.timeout_secs)
    return {"max_retries": count, "retry_timeout": limit, "backoff": backoff}


def _client_options(access: Access, endpoint: str) -> "ClientConfig":
    options: ClientConfig = {
        "timeout": timedelta(seconds=access.timeout_secs),
        "connect_timeout": timedelta(seconds=min(_CONNECT_SECS, access.timeout_secs)),
        # Plain HTTP is spoken only where the endpoint says so.
        "allow_http": endpoint.lower().startswith("http://"),
    }
    if access.ca_file is not None:
        try:
            options["root_certificate"] = access.ca_file.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"the file {access.ca_file} cannot be read: {error.strerror}, expected "
                "certificates in PEM form (storage.ca_file)"
            ) from error
    return options


def _endpoint(location: Location, environ: Mapping[str, str]) -> str:
    """The endpoint that counts: the one given, for S3 else the environment's."""
    if location.endpoint or location.backend != "s3":
        return location.endpoint
    return environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or ""


def _s3(
    location: Location,
    access: Access,
    environ: Mapping[str, str],
    client: "ClientConfig",
    retries: "RetryConfig",
) -> "ObjectStore":
    from obstore.store import S3Store  # noqa: PLC0415 - loaded where it is needed

    options: dict[str, Any] = {"disable_bulk_delete": True}
    endpoint = _endpoint(location, environ)
    if endpoint:
        if not access.path_style:
            scheme, _, host = endpoint.partition("://")
            endpoint = f"{scheme}://{location.container}.{host}"
        # The second is the environment's AWS_ENDPOINT_URL_S3, which would come first.
        options["endpoint"] = options["aws_endpoint_url_s3"] = endpoint
    options["virtual_hosted_style_request"] = not access.path_style
    provider, region = None, location.region
    if access.key_id:
        provider = _fixed_credentials(access)
    elif not any(environ.get(name) for name in _OWN_AWS_CREDENTIALS):
        provider, of_profile = _profile_credentials(environ)
        region = region or of_profile
    if region:
        options["region"] = region
    return S3Store(
        location.container,
        prefix=location.prefix or None,
        client_options=client,
        retry_config=retries,
        credential_provider=provider,
        **options,
    )


def _r2(
    location: Location,
    access: Access,
    environ: Mapping[str, str],  # noqa: ARG001 - as the others
    client: "ClientConfig",
    retries: "RetryConfig",
) -> "ObjectStore":
    from obstore.store import S3Store  # noqa: PLC0415 - as above

    endpoint = location.endpoint or f"https://{location.account}.r2.cloudflarestorage.com"
    return S3Store(
        location.container,
        prefix=location.prefix or None,
        endpoint=endpoint,
        aws_endpoint_url_s3=endpoint,
        region="auto",
        virtual_hosted_style_request=False,
        disable_bulk_delete=True,
        client_options=client,
        retry_config=retries,
        # Not as options: a session token of AWS in the environment would join them.
        credential_provider=_fixed_credentials(access),
    )


def _gcs(
    location: Location,
    access: Access,
    environ: Mapping[str, str],  # noqa: ARG001 - as the others
    client: "ClientConfig",
    retries: "RetryConfig",
) -> "ObjectStore":
    from obstore.store import GCSStore  # noqa: PLC0415 - as above

    options: dict[str, Any] = {}
    if access.secret:
        options["service_account_key"] = access.secret
    if location.endpoint:
        options["base_url"] = location.endpoint
        if not access.secret and location.endpoint.lower().startswith("http://"):
            options = {"service_account_key": _emulators_key(location.endpoint)}
    return GCSStore(
        location.container,
        prefix=location.prefix or None,
        client_options=client,
        retry_config=retries,
        **options,
    )


def _emulators_key(endpoint: str) -> str:
    """A key by which nothing is signed: in the clear, an emulator is all that can be meant."""
    key = {"gcs_base_url": endpoint, "disable_oauth": True}
    return json.dumps(key | dict.fromkeys(("client_email", "private_key", "private_key_id"), ""))


def _azure(
    location: Location,
    access: Access,
    environ: Mapping[str, str],  # noqa: ARG001 - as the others
    client: "ClientConfig",
    retries: "RetryConfig",
) -> "ObjectStore":
    from obstore.store import AzureStore  # noqa: PLC0415 - as above

    options: dict[str, Any] = {}
    if location.account:
        options["account_name"] = location.account
    if access.secret:
        options["account_key"] = access.secret
    if location.endpoint:
        options["endpoint"] = location.endpoint
    return AzureStore(
        location.container,
        prefix=location.prefix or None,
        client_options=client,
        retry_config=retries,
        **options,
    )


def _fixed_credentials(access: Access) -> Callable[[], "S3Credential"]:
    def credentials() -> "S3Credential":
        return {
            "access_key_id": access.key_id,
            "secret_access_key": access.secret,
            "token": None,
            "expires_at": None,
        }

    return credentials


def _profile_credentials(
    environ: Mapping[str, str],
) -> tuple[Callable[[], "S3Credential"] | None, str]:
    """Credentials and region of an AWS profile, if there is one; botocore renews them."""
    named = environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE")
    files = (
        Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials"),
        Path(environ.get("AWS_CONFIG_FILE") or "~/.aws/config"),
    )
    try:
        if not named and not any(file.expanduser().exists() for file in files):
            return None, ""
    except (OSError, RuntimeError):  # no home folder, or not ours to look into
        return None, ""
    try:
        import botocore.session  # noqa: PLC0415 - an extra
    except ImportError as error:
        if not named:
            return None, ""
        raise ConfigError(
            f"the AWS profile {named} cannot be used: botocore is not installed, expected it "
            "(pip install 'otlp2parquet[aws]'), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from error
    session = botocore.session.Session(profile=named)
    try:
        found = session.get_credentials()
        region = str(session.get_config_variable("region") or "")
    except Exception as error:
        raise ConfigError(f"the AWS profile {named} cannot be used: {error}") from error
    if found is None:
        return None, region

    def credentials() -> "S3Credential":
        frozen = found.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            # Not when they expire, but when to ask again: botocore renews in time.
            "expires_at": datetime.now(UTC) + _ASK_AGAIN,
        }

    return credentials, region
