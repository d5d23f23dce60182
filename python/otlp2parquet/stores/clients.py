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

from obstore.store import AzureStore, GCSStore, S3Store

from otlp2parquet.errors import ConfigError
from otlp2parquet.stores.location import Location
from otlp2parquet.stores.obstore import ObstoreStore

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig, S3Credential

    _Options = Callable[[Location, "Access", Mapping[str, str]], dict[str, Any]]

TIMEOUT_SECS: Final = 30.0
_CONNECT_SECS: Final = 5.0
_REPEATS: Final = 2
"""How often a request that may be sent twice is; beyond that the caller decides."""
_ASK_AGAIN: Final = timedelta(minutes=5)


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
    given: dict[str, Any] = {
        "prefix": location.prefix or None,
        "client_options": _client_options(access, _endpoint(location, environ)),
    }
    kind, options = _KINDS[location.backend]
    try:
        given |= options(location, access, environ)
        once, again = (
            kind(location.container, retry_config=_retries(count, access), **given)
            for count in (0, _REPEATS)
        )
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


def _s3(location: Location, access: Access, environ: Mapping[str, str]) -> dict[str, Any]:
    options: dict[str, Any] = {"disable_bulk_delete": True}
    endpoint = _endpoint(location, environ)
    if endpoint and not access.path_style:
        scheme, _, host = endpoint.partition("://")
        endpoint = f"{scheme}://{location.container}.{host}"
    if endpoint:
        # The second is the environment's AWS_ENDPOINT_URL_S3, which would come first.
        options["endpoint"] = options["aws_endpoint_url_s3"] = endpoint
    options["virtual_hosted_style_request"] = not access.path_style
    region = location.region
    if access.key_id:
        options["credential_provider"] = _fixed_credentials(access)
    elif not _are_found_by_obstore(environ):
        options["credential_provider"], of_profile = _found_by_botocore(environ)
        region = region or of_profile
    if region:
        options["region"] = region
    return options


def _r2(location: Location, access: Access, _environ: Mapping[str, str]) -> dict[str, Any]:
    endpoint = location.endpoint or f"https://{location.account}.r2.cloudflarestorage.com"
    return {
        "endpoint": endpoint,
        "aws_endpoint_url_s3": endpoint,
        "region": "auto",
        "virtual_hosted_style_request": False,
        "disable_bulk_delete": True,
        # Not as options: a session token of AWS in the environment would join them.
        "credential_provider": _fixed_credentials(access),
    }


def _gcs(location: Location, access: Access, _environ: Mapping[str, str]) -> dict[str, Any]:
    endpoint = location.endpoint
    if endpoint.lower().startswith("http://") and not access.secret:
        # Nothing is signed: in the clear, an emulator is all that can be meant.
        key = {"gcs_base_url": endpoint, "disable_oauth": True}
        key |= dict.fromkeys(("client_email", "private_key", "private_key_id"), "")
        return {"service_account_key": json.dumps(key)}
    options = {"service_account_key": access.secret, "base_url": endpoint}
    return {name: value for name, value in options.items() if value}


def _azure(location: Location, access: Access, _environ: Mapping[str, str]) -> dict[str, Any]:
    options = {
        "account_name": location.account,
        "account_key": access.secret,
        "endpoint": location.endpoint,
    }
    return {name: value for name, value in options.items() if value}


_KINDS: Final[Mapping[str, tuple[Callable[..., "ObjectStore"], "_Options"]]] = {
    "s3": (S3Store, _s3),
    "r2": (S3Store, _r2),
    "gcs": (GCSStore, _gcs),
    "azure": (AzureStore, _azure),
}
"""For each backend obstore's class, and what it is told besides what all are told."""


def _fixed_credentials(access: Access) -> Callable[[], "S3Credential"]:
    def credentials() -> "S3Credential":
        return {
            "access_key_id": access.key_id,
            "secret_access_key": access.secret,
            "token": None,
            "expires_at": None,
        }

    return credentials


def _are_found_by_obstore(environ: Mapping[str, str]) -> bool:
    """Whether the environment has what obstore itself finds credentials by."""
    endpoint = environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    return bool(
        environ.get("AWS_ACCESS_KEY_ID")
        or environ.get("AWS_WEB_IDENTITY_TOKEN_FILE")
        or environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
        or (endpoint and environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"))
    )


def _found_by_botocore(
    environ: Mapping[str, str],
) -> tuple[Callable[[], "S3Credential"] | None, str]:
    """Credentials and region of an AWS profile, if there is one; botocore renews them.

    Also those of a container that has no file with its token, which obstore does not know.
    """
    named = environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE")
    endpoint = environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    if not named and not endpoint and not _has_profiles(environ):
        return None, ""
    what = f"the AWS profile {named or 'default'}"
    if endpoint and not named:
        what = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
    try:
        import botocore.session  # noqa: PLC0415 - an extra
    except ImportError as error:
        if not named and not endpoint:
            return None, ""
        raise ConfigError(
            f"{what} cannot be used: botocore is not installed, expected it "
            "(pip install 'otlp2parquet[aws]'), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from error
    session = botocore.session.Session(profile=named)
    try:
        found = session.get_credentials()
        region = str(session.get_config_variable("region") or "")
    except Exception as error:
        raise ConfigError(f"{what} cannot be used: {error}") from error
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


def _has_profiles(environ: Mapping[str, str]) -> bool:
    """Whether one of the files is there that profiles are in."""
    files = (
        Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials"),
        Path(environ.get("AWS_CONFIG_FILE") or "~/.aws/config"),
    )
    try:
        return any(file.expanduser().exists() for file in files)
    except (OSError, RuntimeError):  # no home folder, or not ours to look into
        return False
