"""scapy's ISO-TP state machine as a node of a virtual bus: its scheduler is the world, so it needs no thread and no waiting."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

from scapy.automaton import select_objects
from scapy.contrib.isotp import isotp_soft_socket
from scapy.layers.can import CAN, CANFD

from wire.can_bus import CanBus
from wire.frame import EXTENDED, EXTENDED_MASK, Frame, checked
from wire.world import World

POLL_NS = 100_000
"""Its polls "at once" come this much later: a poll without time passing would never end."""


class _Handle:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> bool:
        pending, self.callback = self.callback is not None, None
        return pending

    def run(self) -> None:
        callback, self.callback = self.callback, None
        if callback is not None:
            callback()


class _WorldScheduler:
    """What scapy's `TimeoutScheduler` offers, in the world's time."""

    def __init__(self, world: World) -> None:
        self._world = world

    def schedule(self, timeout: float, callback: Callable[[], None]) -> _Handle:
        handle = _Handle(callback)
        self._world.call_at(self._world.now_ns + max(round(timeout * 1e9), POLL_NS), handle.run)
        return handle

    def _time(self) -> float:
        return self._world.now_ns / 1e9


class ScapyIsoTpPeer:
    """One scapy ISO-TP socket's implementation on `bus`, and the CAN socket it sees (`select`, `recv`, `send`, `closed`)."""

    closed = False

    def __init__(self, bus: CanBus, tx_id: int, rx_id: int, *, fd: bool = False, **options: object) -> None:
        self._inbox: deque[CAN] = deque()
        self._port = bus.attach("scapy")
        self._port.listen([rx_id], self._hear)
        self.received: list[bytes] = []
        self._socket = isotp_soft_socket.ISOTPSocketImplementation(
            self, tx_id & EXTENDED_MASK, rx_id & EXTENDED_MASK, fd=fd, **options
        )

    def begin_send(self, payload: bytes) -> None:
        self._socket.begin_send(payload)

    @property
    def idle(self) -> bool:
        return self._socket.tx_state == self._socket.rx_state == isotp_soft_socket.ISOTP_IDLE

    def collect(self) -> list[bytes]:
        """Return every message received so far."""
        while select_objects([self._socket.rx_queue], 0):
            self.received.append(bytes(self._socket.recv()[0]))
        return self.received

    def close(self) -> None:
        self._socket.close()

    # ---- the CAN socket it polls

    def select(self, sockets: list, remain: float | None = None) -> list:
        return [self] if self._inbox else []

    def recv(self) -> CAN | None:
        return self._inbox.popleft() if self._inbox else None

    def send(self, packet: CAN) -> None:
        raw = bytes(packet)  # SocketCAN: identifier and flags, length, FD flags, reserved, data
        size = raw[4]
        can_id = int.from_bytes(raw[:4], "big")
        self._port.send(checked(Frame(can_id, raw[8 : 8 + size], isinstance(packet, CANFD))))

    def _hear(self, frame: Frame) -> None:
        kind = CANFD if frame.fd else CAN
        flags = "extended" if frame.can_id >= EXTENDED else 0
        self._inbox.append(kind(identifier=frame.can_id & EXTENDED_MASK, flags=flags, data=frame.data))


@contextmanager
def scapy_in_world_time(world: World) -> Iterator[None]:
    """Let scapy's timers run in this world."""
    with mock.patch.object(isotp_soft_socket, "TimeoutScheduler", _WorldScheduler(world)):
        yield
