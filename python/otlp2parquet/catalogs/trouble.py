"""What catalogs and their libraries raise, as the three errors of a catalog.

Knows the exceptions of pyiceberg, requests, SQLAlchemy and botocore. Must not know what was tried:
an error that says nothing of the outcome is ``CatalogUnavailableError``, and who asked looks it up.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pyiceberg import exceptions as iceberg
from requests.exceptions import RequestException

from otlp2parquet.catalogs.answers import THROTTLED
from otlp2parquet.errors import (
    CatalogConflictError,
    CatalogError,
    CatalogRefusedError,
    CatalogUnavailableError,
)

_CONFLICTS: Final = (
    iceberg.CommitFailedException,
    iceberg.NoSuchTableError,
    iceberg.NoSuchNamespaceError,
    iceberg.TableAlreadyExistsError,
    iceberg.NamespaceAlreadyExistsError,
)
_LATER: Final = (
    iceberg.CommitStateUnknownException,
    iceberg.ServiceUnavailableError,
    iceberg.ServerError,
    iceberg.TooManyRequestsError,
    iceberg.AuthorizationExpiredError,
    RequestException,
    OSError,
)
_REFUSALS: Final = (
    iceberg.BadRequestError,
    iceberg.ForbiddenError,
    iceberg.UnauthorizedError,
    iceberg.OAuthError,
    iceberg.NoSuchPropertyException,
    iceberg.NotInstalledError,
)
_LOST_BASE: Final = "Cannot find starting snapshot"
_BOTO_CONFLICTS: Final = frozenset(
    {"ConcurrentModificationException", "ConflictException", "AlreadyExistsException"}
)
_BOTO_REFUSALS: Final = re.compile(
    r"AccessDenied|InvalidInput|Validation|Unauthorized|InvalidClientToken|SignatureDoesNotMatch"
    r"|UnrecognizedClient|ExpiredToken|EntityNotFound|NotFoundException"
)


@contextmanager
def told() -> Iterator[None]:
    """Raise what a catalog raises as one of the three errors."""
    try:
        yield
    except CatalogError:
        raise
    except Exception as error:
        raise as_catalog_error(error) from error


def as_catalog_error(error: Exception) -> CatalogError:
    """The error of ours that stands for ``error``."""
    text = _words(error)
    if isinstance(error, iceberg.ValidationException) and _LOST_BASE in str(error):
        # Nessie shows the newest snapshot alone: the one that was loaded is not that any more.
        return CatalogConflictError(text)
    if isinstance(error, _CONFLICTS):
        return CatalogConflictError(text)
    if THROTTLED.search(text):
        return CatalogUnavailableError(text)
    code = _boto_code(error)
    if code is not None:
        if code in _BOTO_CONFLICTS:
            return CatalogConflictError(text)
        refused = _BOTO_REFUSALS.search(code) is not None
        return CatalogRefusedError(text) if refused else CatalogUnavailableError(text)
    if isinstance(error, _LATER):
        return CatalogUnavailableError(text)
    if isinstance(error, _REFUSALS):
        return CatalogRefusedError(text)
    if type(error).__module__.startswith("sqlalchemy"):
        is_race = type(error).__name__ == "IntegrityError"
        return CatalogConflictError(text) if is_race else CatalogUnavailableError(text)
    return CatalogUnavailableError(text)


def _boto_code(error: Exception) -> str | None:
    """The code of an error that botocore raises, None for any other error."""
    if not type(error).__module__.startswith("botocore"):
        return None
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code", "") if isinstance(response, dict) else ""
    return str(code)


def _words(error: Exception) -> str:
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first[:500]}" if first else type(error).__name__
