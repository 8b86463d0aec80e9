"""A control unit's cyclic traffic, as a `wire.endpoint.Core`: what it sends, what it hears, what a gateway carries on.

A message goes out at its cycle time while its unit runs, is awake, may speak (CommunicationControl 0x28) and, where the message
says so, has terminal 15. Only the newest frame of a message waits for the bus: a full bus makes frames rare, never late.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ecu_sim.restbus.heard import HeardVehicle, Reception
from ecu_sim.restbus.message import CyclicMessage
from ecu_sim.restbus.sources import SIGNAL_SOURCES
from ecu_sim.server import UdsServer
from ecu_sim.vehicle_state import VehicleState
from wire.errors import LocalMisuse
from wire.frame import Frame
from wire.names import suggestion


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlan:
    """What one unit does on a rest bus. Ports are numbered as its places on buses are.

    `sends`: each message with the ports on which it goes out. `hears`: for each port, the messages it takes there.
    `carries`: for (port, identifier) of what it hears, the other ports on which a gateway repeats the frame as it is.
    """

    sends: tuple[tuple[CyclicMessage, tuple[int, ...]], ...] = ()
    hears: tuple[tuple[CyclicMessage, ...], ...] = ()
    carries: Mapping[tuple[int, int], tuple[int, ...]] = field(default_factory=dict)

    @property
    def messages(self) -> tuple[CyclicMessage, ...]:
        """Return the messages that this unit sends itself."""
        return tuple(message for message, _ in self.sends)


class Sending:
    """One message as its unit sends it, and what may be made wrong about it from outside; the unit's restart mends nothing."""

    __slots__ = (
        "_feeds",
        "_frames",
        "_values",
        "checksum_wrong",
        "count",
        "counter_frozen",
        "due_ns",
        "message",
        "ports",
        "raw",
        "stopped",
    )

    def __init__(self, message: CyclicMessage, ports: tuple[int, ...], due_ns: int) -> None:
        self.message = message
        self.ports = ports
        self.due_ns = due_ns
        self.count = -1
        self.stopped = self.counter_frozen = self.checksum_wrong = False
        self.raw: dict[str, int] = {}
        self._feeds = tuple(
            (signal, SIGNAL_SOURCES[signal.source]) for signal in message.signals.values() if signal.source is not None
        )
        self._values: tuple[float, ...] = ()
        self._frames: dict[int, Frame] = {}

    def set_raw(self, name: str, raw: int | None) -> None:
        """Send this raw value in a signal, whatever the vehicle does; None: the vehicle's own again. Raises `LocalMisuse`."""
        signals = self.message.signals
        if name not in signals:
            raise LocalMisuse(f"message {self.message.name!r} has no signal {name!r}{suggestion(name, signals)}")
        low, high = signals[name].raw_range
        if raw is None:
            self.raw.pop(name, None)
        elif low <= raw <= high:
            self.raw[name] = raw
        else:
            raise LocalMisuse(f"{self.message.name}.{name} holds raw values from {low} to {high}, not {raw}")
        self._frames.clear()

    def break_checksum(self, *, wrong: bool) -> None:
        """Send a wrong checksum from now on, or the right one. Raises `LocalMisuse` where the message has none."""
        if self.message.checksum_at is None:
            raise LocalMisuse(f"message {self.message.name!r} has no checksum")
        self.checksum_wrong = wrong
        self._frames.clear()

    def freeze_counter(self, *, frozen: bool) -> None:
        """Let the counter stand from now on, or run. Raises `LocalMisuse` where the message has none."""
        if self.message.counter is None:
            raise LocalMisuse(f"message {self.message.name!r} has no counter")
        self.counter_frozen = frozen

    def next_frame(self, vehicle: VehicleState) -> Frame:
        """Return the next frame. While the vehicle does not change, it is one of those that were made before."""
        if not (self.counter_frozen and self.count >= 0):
            self.count = (self.count + 1) % self.message.counter_end
        values = tuple([getattr(vehicle, source.value) for _, source in self._feeds])
        if values != self._values:
            self._values = values
            self._frames.clear()
        frame = self._frames.get(self.count)
        if frame is None:
            frame = self._frames[self.count] = self._made()
        return frame

    def _made(self) -> Frame:
        message = self.message
        feeds = zip(self._feeds, self._values, strict=True)
        raw = {signal.name: signal.to_raw(value / source.divisor) for (signal, source), value in feeds}
        data = message.encode({**raw, **self.raw}, self.count)
        at = message.checksum_at
        if self.checksum_wrong and at is not None:
            data = data[:at] + bytes((data[at] ^ 0xFF,)) + data[at + 1 :]
        return Frame(message.can_id, data, fd=message.fd, brs=message.fd)


class RestBusNode:
    """One unit on a rest bus. `vehicle` is the truth that it tells; `view` is the vehicle as it hears it.

    It is told what becomes of its unit's supply and sleep (the last four methods). A reset it sees by itself: counters begin
    anew, and what was heard is forgotten.
    """

    def __init__(
        self, name: str, server: UdsServer, vehicle: VehicleState, plan: NodePlan, *, ports: int, now_ns: int
    ) -> None:
        self.name = name
        self.outputs: deque[tuple[int, Frame]] = deque()
        self.sendings = {message.name: Sending(message, on, now_ns) for message, on in plan.sends}
        self.receptions = {
            (port, message.can_id): Reception(message)
            for port, messages in enumerate(plan.hears)
            for message in messages
        }
        self.view = HeardVehicle(vehicle, plan.messages, self.receptions.values())
        self._server = server
        self._vehicle = vehicle
        self._carries = plan.carries
        self._state = server.state
        self._supplied = self._awake = True
        self._next_ns = now_ns
        self._in_flight = [False] * ports
        self._waiting: Sequence[dict[int, Frame]] = [{} for _ in range(ports)]

    def listen_ids(self, port: int) -> tuple[int, ...]:
        """Return the identifiers it hears on a port."""
        return tuple(can_id for on, can_id in self.receptions if on == port)

    # ---- in

    def receive(self, port: int, frame: Frame, now_ns: int) -> None:
        """Hear a cyclic frame, and carry it on where this unit is the gateway for it."""
        server = self._server
        if not (self._supplied and self._awake and server.reachable):
            return
        self._notice_restart()
        if not server.state.may_receive_normal():
            return
        key = (port, frame.can_id)
        reception = self.receptions.get(key)
        if reception is not None:
            reception.take(frame.data, now_ns)
        if server.state.may_send_normal():
            for other in self._carries.get(key, ()):
                self._send(other, frame)

    def _notice_restart(self) -> None:
        """A reset gives the unit a new volatile state: what this node had in its own goes with the old one."""
        if self._server.state is not self._state:
            self._state = self._server.state
            for sending in self.sendings.values():
                sending.count = -1
            self._forget()

    def _forget(self) -> None:
        for reception in self.receptions.values():
            reception.forget()
        for waiting in self._waiting:
            waiting.clear()

    # ---- out

    def _send(self, port: int, frame: Frame) -> None:
        if self._in_flight[port]:
            self._waiting[port][frame.can_id] = frame
        else:
            self._in_flight[port] = True
            self.outputs.append((port, frame))

    def frame_sent(self, port: int, now_ns: int) -> None:  # noqa: ARG002 - the contract of cores
        """A frame went out: the most urgent one that waits is next."""
        waiting = self._waiting[port]
        if waiting:
            self.outputs.append((port, waiting.pop(min(waiting))))
        else:
            self._in_flight[port] = False

    def handle_timer(self, now_ns: int) -> None:
        """Send what is due."""
        if now_ns < self._next_ns or not (self._supplied and self._awake):
            return
        up = self._server.reachable
        if up:
            self._notice_restart()
        speaks = up and self._server.state.may_send_normal()
        for sending in self.sendings.values():
            if sending.due_ns <= now_ns:
                sending.due_ns = _next_due(sending, now_ns)
                if speaks and not sending.stopped:
                    self._send_due(sending)
        self._plan_next()

    def _send_due(self, sending: Sending) -> None:
        if sending.message.with_terminal_15 and not self._vehicle.terminal_15:
            return
        frame = sending.next_frame(self._vehicle)
        for port in sending.ports:
            self._send(port, frame)

    def _plan_next(self) -> None:
        self._next_ns = min((sending.due_ns for sending in self.sendings.values()), default=0)

    def next_deadline(self) -> int | None:
        """Return when the next message is due."""
        return self._next_ns if self.sendings and self._supplied and self._awake else None

    # ---- supply and sleep

    def lose_supply(self) -> None:
        """Terminal 30 is gone: silence; what was on its way, and what was heard, is gone too."""
        self._supplied = False
        self._in_flight = [False] * len(self._in_flight)
        self._forget()

    def regain_supply(self, now_ns: int) -> None:
        """Terminal 30 is back."""
        self._supplied = True
        self._go_on(now_ns)

    def sleep(self) -> None:
        """Neither send nor hear; what was heard does not count afterwards."""
        self._awake = False
        self._forget()

    def wake(self, now_ns: int) -> None:
        """Go on, with every message at once: who wakes up lets the others know."""
        self._awake = True
        self._go_on(now_ns)

    def _go_on(self, now_ns: int) -> None:
        for sending in self.sendings.values():
            sending.due_ns = now_ns
        self._plan_next()


def _next_due(sending: Sending, now_ns: int) -> int:
    """Return when a message is due again, in its own rhythm; a stop of the machine is not made up for with a burst."""
    due_ns = sending.due_ns + sending.message.cycle_ns
    return due_ns if due_ns > now_ns else now_ns + sending.message.cycle_ns
