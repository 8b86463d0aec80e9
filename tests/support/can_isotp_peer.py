"""python-can-isotp as a node of a virtual bus: pumped by hand, its timers fed with the world's time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from unittest import mock

import isotp
import isotp.tools

from wire.can_bus import CanBus
from wire.frame import EXTENDED, EXTENDED_MASK, Frame
from wire.world import World

POLL_NS = 10_000_000
"""How often its time-outs are looked at while it waits for something."""


class CanIsoTpPeer:
    """One can-isotp layer on `bus`. `received` and `errors` fill while the world runs."""

    def __init__(self, world: World, bus: CanBus, tx_id: int, rx_id: int, **params: object) -> None:
        self.received: list[bytes] = []
        self.errors: list[isotp.IsoTpError] = []
        self._inbox: deque[isotp.CanMessage] = deque()
        self._world = world
        self._timer = world.timer("can-isotp", lambda _: self._pump())
        self._port = bus.attach("can-isotp")
        self._port.listen([rx_id], self._hear)
        extended = tx_id >= EXTENDED
        mode = isotp.AddressingMode.Normal_29bits if extended else isotp.AddressingMode.Normal_11bits
        address = isotp.Address(mode, txid=tx_id & EXTENDED_MASK, rxid=rx_id & EXTENDED_MASK)
        self._layer = isotp.TransportLayerLogic(
            rxfn=lambda _: self._inbox.popleft() if self._inbox else None,
            txfn=self._say,
            address=address,
            error_handler=self.errors.append,
            params={"wftmax": 20, "max_frame_size": 100_000, **params},
        )

    def send(self, payload: bytes) -> None:
        self._layer.send(payload)
        self._pump()

    @property
    def busy(self) -> bool:
        return self._layer.transmitting() or self._layer.is_rx_active()

    def _hear(self, frame: Frame) -> None:
        self._inbox.append(
            isotp.CanMessage(
                arbitration_id=frame.can_id & EXTENDED_MASK,
                extended_id=frame.extended,
                data=frame.data,
                dlc=len(frame.data),
                is_fd=frame.fd,
                bitrate_switch=frame.brs,
            )
        )
        self._pump()

    def _say(self, message: isotp.CanMessage) -> None:
        can_id = message.arbitration_id | (EXTENDED if message.is_extended_id else 0)
        self._port.send(Frame(can_id, bytes(message.data), message.is_fd, message.bitrate_switch))

    def _pump(self) -> None:
        self._layer.process()
        while self._layer.available():
            self.received.append(bytes(self._layer.recv()))
        delay_s = self._layer.next_cf_delay()
        if delay_s is not None:
            self._timer.set(self._world.now_ns + round(delay_s * 1e9) + 1)  # it asks for more than STmin, not as much
        else:
            self._timer.set(self._world.now_ns + POLL_NS if self.busy or self._inbox else None)


@contextmanager
def in_world_time(world: World) -> Iterator[None]:
    """Let can-isotp's timers read the world's clock."""
    with mock.patch.object(isotp.tools, "time", SimpleNamespace(perf_counter_ns=lambda: world.now_ns)):
        yield
