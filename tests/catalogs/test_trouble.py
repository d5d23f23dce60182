"""What catalogs raise: a race, a trouble that passes or a refusal, each told as what it is."""

from __future__ import annotations

import botocore.exceptions
import pytest
import requests
import sqlalchemy.exc
from pyiceberg import exceptions as iceberg

from otlp2parquet.catalogs.trouble import told
from otlp2parquet.errors import (
    CatalogConflictError,
    CatalogError,
    CatalogRefusedError,
    CatalogUnavailableError,
)


def of_aws(code: str, message: str = "") -> Exception:
    """What botocore raises for a code."""
    response = {"Error": {"Code": code, "Message": message}}
    made: Exception = botocore.exceptions.ClientError(response, "UpdateTable")
    return made


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (iceberg.CommitFailedException("branch main has changed"), CatalogConflictError),
        # Nessie shows the newest snapshot alone.
        (
            iceberg.ValidationException("Cannot find starting snapshot 5"),
            CatalogConflictError,
        ),
        (iceberg.TableAlreadyExistsError("t"), CatalogConflictError),
        (iceberg.NoSuchTableError("dropped meanwhile"), CatalogConflictError),
        (of_aws("ConcurrentModificationException"), CatalogConflictError),
        (sqlalchemy.exc.IntegrityError("s", {}, Exception("x")), CatalogConflictError),
        (iceberg.CommitStateUnknownException("504"), CatalogUnavailableError),
        (iceberg.ServiceUnavailableError("503"), CatalogUnavailableError),
        (iceberg.TooManyRequestsError("429"), CatalogUnavailableError),
        (iceberg.AuthorizationExpiredError("419"), CatalogUnavailableError),
        (requests.ConnectionError("reset"), CatalogUnavailableError),
        (requests.Timeout("slow"), CatalogUnavailableError),
        (OSError("metadata cannot be written"), CatalogUnavailableError),
        (sqlalchemy.exc.OperationalError("s", {}, Exception("locked")), CatalogUnavailableError),
        # Glue says it with a 400.
        (of_aws("ThrottlingException", "Rate exceeded"), CatalogUnavailableError),
        (iceberg.BadRequestError("ThrottlingException: Rate exceeded"), CatalogUnavailableError),
        (of_aws("InternalServiceException"), CatalogUnavailableError),
        (ValueError("a defect"), CatalogUnavailableError),
        (iceberg.BadRequestError("no such field"), CatalogRefusedError),
        (iceberg.ForbiddenError("403"), CatalogRefusedError),
        (iceberg.UnauthorizedError("401"), CatalogRefusedError),
        (of_aws("AccessDeniedException"), CatalogRefusedError),
        (CatalogRefusedError("ours"), CatalogRefusedError),
    ],
    ids=lambda one: f"{type(one).__name__} {one}" if isinstance(one, Exception) else "",
)
def test_each_is_told_as_one_of_three(raised: Exception, expected: type[CatalogError]) -> None:
    """By class, code and words; the cause stays with it."""
    with pytest.raises(CatalogError) as caught, told():
        raise raised
    assert type(caught.value) is expected
    assert caught.value is raised or caught.value.__cause__ is raised


def test_nothing_of_a_crash_is_hidden() -> None:
    """What ends a process is not an error of a catalog."""
    with pytest.raises(KeyboardInterrupt), told():
        raise KeyboardInterrupt
