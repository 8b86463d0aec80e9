"""The peer: udsoncan over can-isotp over python-can's `virtual` bus, with a small server of the same libraries behind it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import can
import isotp
import udsoncan
from udsoncan.client import Client
from udsoncan.connections import PythonIsoTpConnection

from benchmarks.measure import Act

TX, RX = 0x714, 0x77E
READ_VIN = bytes((0x22, 0xF1, 0x90))
PARAMS = {"stmin": 0, "blocksize": 0, "tx_padding": 0x55, "blocking_send": False}


@contextmanager
def _buses(channel: str) -> Iterator[tuple[can.BusABC, can.BusABC]]:
    tester = can.Bus(interface="virtual", channel=channel)
    ecu = can.Bus(interface="virtual", channel=channel)
    try:
        yield tester, ecu
    finally:
        tester.shutdown()
        ecu.shutdown()


@contextmanager
def pumped_by_hand(answer_len: int) -> Iterator[Act]:
    """Two can-isotp layers pumped in turn in one thread: the fastest way to use them."""
    answer = bytes((0x62, 0xF1, 0x90)) + bytes(answer_len - 3)
    with _buses(f"hand-{answer_len}") as (tester_bus, ecu_bus):
        tester = isotp.CanStack(tester_bus, address=isotp.Address(txid=TX, rxid=RX), params=PARAMS)
        ecu = isotp.CanStack(ecu_bus, address=isotp.Address(txid=RX, rxid=TX), params=PARAMS)

        def exchange() -> None:
            tester.send(READ_VIN)
            while not tester.available():
                tester.process()
                ecu.process()
                if ecu.available():
                    ecu.recv()
                    ecu.send(answer)
            if len(tester.recv() or b"") != answer_len:
                raise RuntimeError("the peer lost bytes")

        yield exchange


@contextmanager
def _threaded_server(channel: str, answer: bytes) -> Iterator[isotp.CanStack]:
    with _buses(channel) as (tester_bus, ecu_bus):
        params = {**PARAMS, "blocking_send": True}
        ecu = isotp.CanStack(ecu_bus, address=isotp.Address(txid=RX, rxid=TX), params=params)
        tester = isotp.CanStack(tester_bus, address=isotp.Address(txid=TX, rxid=RX), params=params)
        ending = threading.Event()

        def serve() -> None:
            while not ending.is_set():
                if ecu.recv(block=True, timeout=0.1) is not None:
                    ecu.send(answer)

        ecu.start()
        server = threading.Thread(target=serve)
        server.start()
        try:
            yield tester
        finally:
            ending.set()
            server.join()
            ecu.stop()


@contextmanager
def with_its_threads(answer_len: int) -> Iterator[Act]:
    """Two can-isotp stacks with the threads they bring along."""
    answer = bytes((0x62, 0xF1, 0x90)) + bytes(answer_len - 3)
    with _threaded_server(f"threads-{answer_len}", answer) as tester:
        tester.start()

        def exchange() -> None:
            tester.send(READ_VIN)
            received = tester.recv(block=True, timeout=5)
            if received is None or len(received) != answer_len:
                raise RuntimeError("the peer lost bytes")

        try:
            yield exchange
        finally:
            tester.stop()


@contextmanager
def through_udsoncan(answer_len: int) -> Iterator[Act]:
    """Udsoncan's client over the threaded stack: what a user of these libraries runs."""
    answer = bytes((0x62, 0xF1, 0x90)) + bytes(answer_len - 3)
    with _threaded_server(f"udsoncan-{answer_len}", answer) as tester:
        config = udsoncan.configs.default_client_config.copy()
        config["data_identifiers"] = {0xF190: _Raw(answer_len - 3)}
        with Client(PythonIsoTpConnection(tester), config=config) as client:
            yield lambda: client.read_data_by_identifier(0xF190)


class _Raw(udsoncan.DidCodec):
    def __init__(self, size: int) -> None:
        self._size = size

    def encode(self, *values: bytes) -> bytes:
        return values[0]

    def decode(self, payload: bytes) -> bytes:
        return payload

    def __len__(self) -> int:
        return self._size
