"""udsoncan over our link: the connection class, a client that keeps our errors, and a configuration that makes sense here.

udsoncan times with `time.monotonic`, which knows nothing of virtual time, so it is told not to time at all
(`request_timeout=None`) and the link enforces P2, P2*, N_Cr and the overall limit in world time. A time-out reaches the caller
as `EcuTimeout`: a `NoAnswer` with the facts, and udsoncan's `TimeoutException` too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, cast

from udsoncan import DidCodec
from udsoncan.BaseService import BaseService
from udsoncan.client import Client
from udsoncan.connections import BaseConnection
from udsoncan.exceptions import InvalidResponseException, NegativeResponseException, TimeoutException
from udsoncan.Request import Request
from udsoncan.Response import Response
from udsoncan.typing import ClientConfig

from vci_driver.link import DiagnosticLink
from vci_driver.link_errors import NoAnswer
from wire.uds import POSITIVE_OFFSET, Nrc

LOGGER_NAME = "sgw-bench"
"""udsoncan's clients log as `UdsClient[sgw-bench]`: silent unless a level is set there, for a refusal is what is tested here."""

SecurityAlgorithm = Callable[[int, bytes, object], bytes]


class EcuTimeout(NoAnswer, TimeoutException):
    """A `NoAnswer` of the link, as users of udsoncan expect to catch it."""


class RawCodec(DidCodec):
    """A data identifier's bytes as they are, all that is left in the answer."""

    def encode(self, *did_value: Any) -> bytes:
        """Return the bytes."""
        (value,) = did_value
        return bytes(value)

    def decode(self, did_payload: bytes) -> bytes:
        """Return the bytes."""
        return did_payload

    def __len__(self) -> int:
        raise DidCodec.ReadAllRemainingData


class UdsonConnection(BaseConnection):
    """A udsoncan connection to one control unit over a `DiagnosticLink`.

    `send` and `wait_frame` are udsoncan's own entry points and are overridden whole: the base class would format each
    payload for a log that nobody reads. Time-out arguments are ignored, the link knows better.
    """

    def __init__(self, link: DiagnosticLink, target: str) -> None:
        super().__init__(target)
        link.car.ecu(target)  # an unknown unit is an error here, not at the first request
        self.link = link
        self.target = target
        self.failure: NoAnswer | None = None
        self._begin = link.begin
        self._wait = link.wait
        self._under_way: Any = None
        self._opened = True

    def open(self) -> UdsonConnection:
        """Open; the link is there already."""
        self._opened = True
        return self

    def close(self) -> None:
        """Close this connection; the link stays."""
        self._opened = False

    def is_open(self) -> bool:
        """Return whether the connection is open."""
        return self._opened

    def empty_rxqueue(self) -> None:
        """Do nothing: the link discards what comes too late, and counts it."""

    def send(self, data: bytes | Request | Response, timeout: float | None = None) -> None:  # noqa: ARG002 - udsoncan's
        """Send a request. One that suppresses its positive answer is on the bus when this returns."""
        if not self._opened:
            raise RuntimeError(f"the connection to {self.target!r} is closed: open it first")
        payload = data if isinstance(data, bytes) else data.get_payload()
        assert payload is not None
        self._under_way = peer = self._begin(self.target, payload)
        if peer.suppressed:
            self.link.wait_until_sent(peer)

    def wait_frame(self, timeout: float | None = None, exception: bool = False) -> bytes | None:  # noqa: ARG002, FBT001, FBT002 - udsoncan's signature
        """Return the next answer, 0x78 included; raise udsoncan's `TimeoutException` where none comes."""
        if self._under_way is None:
            raise RuntimeError(f"nothing was sent to {self.target!r}: there is no answer to wait for")
        try:
            return self._wait(self._under_way) or None
        except NoAnswer as failure:
            self.failure = failure
            if not exception:
                return None
            raise TimeoutException(str(failure)) from failure  # type: ignore[no-untyped-call]

    def specific_send(self, payload: bytes, timeout: float | None = None) -> None:
        """Send bytes (udsoncan's inner hook)."""
        self.send(payload, timeout)

    def specific_wait_frame(self, timeout: float | None = None) -> bytes | None:
        """Return the next answer (udsoncan's inner hook)."""
        return self.wait_frame(timeout, exception=True)


class EcuClient(Client):
    """udsoncan's client for one control unit; a time-out says which unit, which service, and how long it took.

    A positive answer to the request is taken as it is: udsoncan finds the names of service and code by reflection, anew for
    each answer, which costs more than everything else together. Every other answer goes udsoncan's own way.
    """

    conn: UdsonConnection

    def send_request(self, request: Request, timeout: int = -1) -> Response | None:
        """Send a request and return the answer, as udsoncan does. The time-out is the link's."""
        try:
            if (
                self.suppress_positive_response.enabled
                or self.payload_override.enabled
                or request.suppress_positive_response
                or request.service is None
            ):
                return super().send_request(request, timeout)
            return self._send_and_wait(request)
        except TimeoutException:
            failure, self.conn.failure = self.conn.failure, None
            if failure is None:
                raise
            raise EcuTimeout(
                str(failure), target=failure.target, sid=failure.sid, waited_ns=failure.waited_ns
            ) from failure

    def _send_and_wait(self, request: Request) -> Response:
        service = request.service
        assert service is not None
        conn = self.conn
        payload = request.get_payload()
        conn.send(payload)
        while True:
            answer = conn.wait_frame(exception=True)
            assert answer is not None  # only a suppressed positive answer is None
            if answer[0] == payload[0] + POSITIVE_OFFSET and len(answer) > 1:
                self.last_response = response = _positive(service, answer)
                response.original_request = request
                return response
            self.last_response = response = Response.from_payload(answer)
            response.original_request = request
            if not response.valid:
                raise InvalidResponseException(response)  # type: ignore[no-untyped-call]
            if response.positive:
                return response
            if response.code != Nrc.requestCorrectlyReceivedResponsePending:
                raise NegativeResponseException(response)
            callback = self.config["nrc78_callback"]
            if callback is not None:
                callback()


def _positive(service: type[BaseService], answer: bytes) -> Response:
    """Return what `Response.from_payload` returns for a positive answer of this service."""
    response = Response()
    response.original_payload = answer
    response.service = service
    response.positive = True
    response.valid = True
    response.invalid_reason = ""
    response.code = 0
    response.code_name = "PositiveResponse"
    response.data = answer[1:]
    return response


def client_config(security_algorithm: SecurityAlgorithm | None = None) -> ClientConfig:
    """Return a configuration for our units: the 2020 edition, no time-outs of its own, data identifiers as raw bytes."""
    logging.getLogger(f"UdsClient[{LOGGER_NAME}]").setLevel(logging.CRITICAL)
    return cast(
        "ClientConfig",
        {
            "request_timeout": None,
            "standard_version": 2020,
            "use_server_timing": True,
            "logger_name": LOGGER_NAME,
            "data_identifiers": {"default": RawCodec()},
            "input_output": {"default": RawCodec()},
            "security_algo": security_algorithm,
            "security_algo_params": None,
            "tolerate_zero_padding": False,
            "ignore_all_zero_dtc": False,
        },
    )


def make_client(link: DiagnosticLink, target: str, security_algorithm: SecurityAlgorithm | None = None) -> EcuClient:
    """Return an open udsoncan client for a unit. `security_algorithm(level=, seed=, params=)` returns the key for a seed."""
    return EcuClient(UdsonConnection(link, target), config=client_config(security_algorithm))
