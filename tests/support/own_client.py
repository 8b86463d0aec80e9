"""udsoncan's own client on a unit without a bus: both judges read along, and each call is noted for the ledger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import udsoncan
from ecu_bench import Ecu
from judge_ledger import LEDGER
from uds_judges import judge
from udsoncan import DidCodec
from udsoncan.client import Client
from udsoncan.connections import BaseConnection

Ask = Callable[[bytes], list[bytes]]
"""A request to all its answers, 0x78 included."""


class Bytes(DidCodec):
    """Data as they are, of a fixed size."""

    def __init__(self, size: int) -> None:
        self.size = size

    def encode(self, *values: Any) -> bytes:
        return bytes(values)

    def decode(self, payload: bytes) -> bytes:
        return payload

    def __len__(self) -> int:
        return self.size


class Straight(BaseConnection):
    """Hands udsoncan's bytes to a unit, and lets the judges read each of them. `talks` keeps them."""

    def __init__(self, ask: Ask) -> None:
        super().__init__("unit")
        self.ask = ask
        self.talks: list[tuple[bytes, list[bytes]]] = []
        self._waiting: list[bytes] = []

    def open(self) -> Straight:
        return self

    def close(self) -> None:
        """Nothing to close."""

    def is_open(self) -> bool:
        return True

    def empty_rxqueue(self) -> None:
        self._waiting.clear()

    def specific_send(self, payload: bytes, timeout: float | None = None) -> None:
        self._waiting = self.ask(payload)
        self.talks.append((payload, list(self._waiting)))
        LEDGER.call(payload[0])
        judge(payload, self._waiting)

    def specific_wait_frame(self, timeout: float | None = None) -> bytes | None:
        return self._waiting.pop(0) if self._waiting else None


def asking(ecu: Ecu) -> Ask:
    """Ask a unit; time goes by while it works."""

    def ask(payload: bytes) -> list[bytes]:
        first = ecu.ask(payload)
        answers = [first] if first else []
        while ecu.server.busy:
            due_ns = ecu.server.next_deadline()
            assert due_ns is not None
            answers += [answer for _, answer in ecu.run_for(due_ns - ecu.now_ns)]
        return [bytes.fromhex(answer) for answer in answers]

    return ask


def client_of(unit: Ecu | Ask, **config: Any) -> Client:
    """Return udsoncan's client, which waits for no clock."""
    usual = {"request_timeout": None, "p2_timeout": None, "use_server_timing": False, "standard_version": 2020}
    connection = Straight(asking(unit) if isinstance(unit, Ecu) else unit)
    return Client(connection, config={**udsoncan.configs.default_client_config, **usual, **config})
