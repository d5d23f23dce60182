"""One hostile input against the gRPC front of one server: what came back, and that it lives on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.hostile import wire
from tests.hostile.grpc_inputs import OK, SILENCE, GrpcInput
from tests.hostile.grpc_wire import call, exchange
from tests.hostile.memory import Watch
from tests.hostile.trying import Outcome
from tests.support.shapes import log, string_value
from tests.support.strategies import delimited

if TYPE_CHECKING:
    from tests.components import Server

GOOD_BODY = log(delimited(5, string_value(b"good")))
GOOD_CALL = call(GOOD_BODY)
GOOD_REQUEST = wire.request("logs", GOOD_BODY)


def grpc_port(server: Server) -> int:
    """Where it takes OTLP/gRPC."""
    return int(server.grpc_address.rpartition(":")[2])


def attempt(server: Server, hostile: GrpcInput) -> Outcome:
    """Send one input, and make sure that both fronts take a good request afterwards.

    Raises ``AssertionError`` when the server is gone, or does not answer as it may.
    """
    port = grpc_port(server)
    sent = hostile.make()
    with Watch(server.process.pid) as watch:
        # What has to be answered is waited for, however slow the machine is.
        patience_secs = 0.3 if SILENCE in hostile.statuses else wire.PATIENCE_SECS
        statuses = exchange(port, sent, patience_secs=patience_secs)
        good = exchange(port, GOOD_CALL, patience_secs=wire.PATIENCE_SECS)
        assert good == [OK], f"{hostile.name}: a good call was refused after"
        assert wire.exchange(server.port, GOOD_REQUEST) == [200], hostile.name
    assert server.process.poll() is None
    assert set(statuses or [SILENCE]) <= hostile.statuses, f"{hostile.name}: answered {statuses}"
    answer = statuses[0] if statuses else SILENCE
    return Outcome(len(sent), answer, watch.cpu_secs, watch.before, watch.grown, watch.peak_pss)
