"""The ``rest`` family: any Iceberg REST catalog, with a token or OAuth2, or none of them.

Knows HTTP as far as pyiceberg leaves it open: a time limit for every request, and a field of
schemas that older servers ask for. Tables come out of ``iceberg``.
"""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from pyiceberg.catalog.rest import Endpoints, RestCatalog
from pyiceberg.catalog.rest.response import _handle_non_200_response
from pyiceberg.exceptions import (
    AuthorizationExpiredError,
    CommitFailedException,
    CommitStateUnknownException,
    NoSuchTableError,
)
from pyiceberg.table import (
    CommitTableRequest,
    CommitTableResponse,
    Namespace,
    Table,
    TableIdentifier,
)
from pyiceberg.table.update import AddSchemaUpdate, TableRequirement, TableUpdate
from requests import HTTPError, Session

from otlp2parquet.catalogs.connection import Connection, properties_of
from otlp2parquet.config import Config

CONNECT_SECS: Final = 10.0
_TIMEOUT: Final = "otlp2parquet.timeout-secs"
_CODES: Final[Mapping[int, type[Exception]]] = {
    # The same token was good for loading the table: it has expired, and loading gets a new one.
    401: AuthorizationExpiredError,
    404: NoSuchTableError,
    409: CommitFailedException,
    500: CommitStateUnknownException,
    502: CommitStateUnknownException,
    504: CommitStateUnknownException,
}


def connection(config: Config) -> Connection:
    """See ``connection_of``."""
    properties = rest_properties(config, config.iceberg.rest_uri)
    return Connection(
        f"rest {config.iceberg.rest_uri}",
        properties,
        LimitedRestCatalog,
        # Glue makes a table at once, whether it is asked to wait for its first snapshot or not.
        stages_tables=properties.get("rest.signing-name") != "glue",
    )


def rest_properties(
    config: Config, uri: str, own: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The properties that all REST catalogs share."""
    iceberg = config.iceberg
    given = {
        "uri": uri,
        "warehouse": iceberg.warehouse,
        "token": iceberg.token,
        "credential": iceberg.credential,
        # Where it is said by nobody, the specification's own place: pyiceberg would warn of it.
        "oauth2-server-uri": f"{uri.rstrip('/')}/v1/oauth/tokens" if iceberg.credential else "",
        _TIMEOUT: str(iceberg.timeout_secs),
        **(own or {}),
    }
    return properties_of(config, given)


class LimitedRestCatalog(RestCatalog):
    """pyiceberg's REST catalog, in which no request waits for ever."""

    def _create_session(self) -> Session:
        session = super()._create_session()
        limit = float(self.properties.get(_TIMEOUT, "30"))
        limits = (min(CONNECT_SECS, limit), limit)
        session.request = partial(_request, session.request, limits)  # type: ignore[method-assign]
        return session

    def commit_table(
        self,
        table: Table,
        requirements: tuple[TableRequirement, ...],
        updates: tuple[TableUpdate, ...],
    ) -> CommitTableResponse:
        """One request, one attempt.

        The specification calls ``last-column-id`` of an added schema deprecated and optional;
        Nessie 0.99 takes no schema without it, and pyiceberg leaves it out.
        """
        name = table.name()
        identifier = TableIdentifier(namespace=Namespace(list(name[:-1])), name=name[-1])
        request = CommitTableRequest(
            identifier=identifier, requirements=requirements, updates=updates
        )
        body: dict[str, Any] = json.loads(request.model_dump_json())
        for packed, update in zip(body["updates"], updates, strict=True):
            if isinstance(update, AddSchemaUpdate):
                packed["last-column-id"] = update.schema_.highest_field_id
        path = self._split_identifier_for_path(identifier)
        response = self._session.post(
            self.url(Endpoints.update_table, prefixed=True, **path),
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            response.raise_for_status()
        except HTTPError as error:
            _handle_non_200_response(error, dict(_CODES))
        return CommitTableResponse.model_validate_json(response.text)


def _request(request: Any, limits: tuple[float, float], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - of requests
    kwargs.setdefault("timeout", limits)
    if kwargs["timeout"] is None:
        kwargs["timeout"] = limits
    return request(*args, **kwargs)
