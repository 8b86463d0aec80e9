"""A virtual CAN bus: arbitration by identifier, bit time, delivery by identifier table, taps, error frames, bus-off.

Cost does not grow with nodes that do not listen: a frame is handed only to the ports whose table names its identifier.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Literal

from wire.errors import LocalMisuse
from wire.faults import FaultInjector
from wire.frame import EXTENDED, EXTENDED_MASK, Frame
from wire.world import World

Stuffing = Literal["none", "worst", "exact"]
Listener = Callable[[Frame], None]
Tap = Callable[[int, "CanBus", Frame, str], None]
"""Called as tap(now_ns, bus, frame, sender's name) for every frame that was acknowledged, before anyone receives it."""

BUS_OFF_LIMIT = 256
"""Transmit error counter at which a controller leaves the bus (ISO 11898-1 fault confinement; general knowledge)."""
ERROR_STEP = 8
ERROR_FRAME_BITS = 23
"""Error flag with superposition 12, delimiter 8, intermission 3."""
CATCH_UP_NS = 20_000_000
"""So much of its own delay a bus on the real clock makes up for; after a longer stop of the machine it goes on from there."""
MAX_QUEUED = 10_000
"""Frames one port may have waiting: an application that does not wait for `on_sent` is a loop, not a load."""


class BusPort:
    """One CAN controller on a bus. Send frames, listen to identifiers, be told when a frame of one's own went out.

    A frame that wins arbitration and is acknowledged is reported by `on_sent(frame)`, then delivered to the others. A port
    that reached bus-off, or was switched off, sends and hears nothing until `restart`; one that is tuned to another bit rate than
    its bus, until both agree (on a real bus it would destroy others' frames; that is left out).
    """

    __slots__ = (
        "_bus",
        "_ids",
        "bitrate",
        "errors",
        "name",
        "off",
        "on_bus_off",
        "on_sent",
        "queued",
        "send",
        "switched_off",
    )

    def __init__(self, bus: CanBus, name: str) -> None:
        self._bus = bus
        self._ids: list[tuple[int | None, Listener]] = []
        self.name = name
        self.on_sent: Callable[[Frame], None] | None = None
        self.on_bus_off: Callable[[], None] | None = None
        self.errors = 0
        self.off = False
        self.switched_off = False
        self.bitrate: int | None = None
        self.queued = 0
        self.send: Callable[[Frame], None] = partial(bus._enqueue, self)  # noqa: SLF001 - port and bus are one mechanism
        """Queue a frame for arbitration. It waits for the bus like any other; `on_sent` confirms it."""

    @property
    def bus(self) -> CanBus:
        """The bus this port stands on."""
        return self._bus

    def listen(self, can_ids: Iterable[int] | None, listener: Listener) -> None:
        """Receive frames with these identifiers (None: all) that others send."""
        self._bus._listen(self, can_ids, listener)  # noqa: SLF001

    def switch_off(self) -> None:
        """Fall silent (no supply, bus-off): what is queued or half sent is lost, nothing is heard."""
        self.switched_off = True
        self._bus._silence(self)  # noqa: SLF001

    def restart(self) -> None:
        """Come back with the error counter at zero (not after `close`), at once or when the bit rates agree again."""
        self.switched_off = False
        self._bus._restart(self)  # noqa: SLF001

    def tune(self, bitrate: int | None) -> None:
        """Run this controller at a bit rate of its own, in bit/s; None: whatever its bus has."""
        self.bitrate = bitrate
        self._bus._retune(self)  # noqa: SLF001

    @property
    def mistuned(self) -> bool:
        """Whether this controller runs at another bit rate than its bus."""
        return self.bitrate is not None and self.bitrate != self._bus.bitrate

    def close(self) -> None:
        """Leave the bus for good."""
        self._bus._detach(self)  # noqa: SLF001


class CanBus:
    """A bus of ports in one world.

    `bitrate` and `data_bitrate` in bit/s (the latter for FD frames with bit-rate switch). `stuffing` says how stuff
    bits are counted: not at all, the worst case in closed form (default), or exactly (slow). `faults` may be set any time.
    `paced=False`: frames take no time, as on a virtual interface of the kernel; the load is still counted in bit times.
    """

    def __init__(
        self,
        world: World,
        name: str,
        *,
        bitrate: int = 500_000,
        data_bitrate: int = 2_000_000,
        fd: bool = False,
        stuffing: Stuffing = "worst",
        paced: bool = True,
    ) -> None:
        self.world = world
        self.name = name
        self.paced = paced
        self.bitrate = bitrate
        self.data_bitrate = data_bitrate
        self.fd = fd
        self.stuffing = stuffing
        self.faults: FaultInjector | None = None
        self.frames_sent = 0
        self.busy_ns = 0
        self._ports: list[BusPort] = []
        self._nobody = BusPort(self, "nobody")
        self._nobody.off = True
        self._taps: list[Tap] = []
        self._table: dict[int, list[tuple[BusPort, Listener]]] = {}
        self._listen_all: list[tuple[BusPort, Listener]] = []
        self._queue: list[tuple[int, int, Frame, BusPort]] = []
        self._sequence = 0
        self._arbitrating = False
        self._end_ns = 0
        self._current: tuple[int, int, Frame, BusPort] | None = None
        self._times: dict[tuple[int, bool, bool, bool], int] = {}
        self._plain_times = (
            None if stuffing == "exact" else [self._closed_time_ns((size, False, False, False)) for size in range(9)]
        )

    def attach(self, name: str) -> BusPort:
        """Put a new controller on the bus."""
        port = BusPort(self, name)
        self._ports.append(port)
        self._arbitrate_soon()
        return port

    def tap(self, tap: Tap) -> None:
        """Watch every acknowledged frame, without a place on the bus."""
        self._taps.append(tap)

    def untap(self, tap: Tap) -> None:
        """Stop watching."""
        self._taps.remove(tap)

    def set_bitrate(self, bitrate: int) -> None:
        """Run the bus at another bit rate from the next frame on, in bit/s: who is tuned to the old one falls silent."""
        if bitrate <= 0:
            raise LocalMisuse(f"a bit rate is more than {bitrate} bit/s")
        self.bitrate = bitrate
        self._times.clear()
        if self._plain_times is not None:
            self._plain_times = [self._closed_time_ns((size, False, False, False)) for size in range(9)]
        for port in self._ports:
            self._retune(port)

    def load(self, since_ns: int, busy_then_ns: int) -> float:
        """Return the share of time the bus was busy since a moment at which `busy_ns` was `busy_then_ns`."""
        elapsed = self.world.now_ns - since_ns
        return (self.busy_ns - busy_then_ns) / elapsed if elapsed else 0.0

    def frame_time_ns(self, frame: Frame) -> int:
        """Return how long `frame` occupies this bus, interframe space included."""
        plain_times = self._plain_times
        if plain_times is None:
            return _exact_time_ns(frame, self.bitrate, self.data_bitrate)
        shape = (len(frame.data), frame.can_id >= EXTENDED, frame.fd, frame.brs)
        time_ns = self._times.get(shape)
        if time_ns is None:
            time_ns = self._times[shape] = self._closed_time_ns(shape)
        return time_ns

    def _closed_time_ns(self, shape: tuple[int, bool, bool, bool]) -> int:
        return _closed_time_ns(shape, self.bitrate, self.data_bitrate, worst=self.stuffing == "worst")

    # ---- ports call these

    def _listen(self, port: BusPort, can_ids: Iterable[int] | None, listener: Listener) -> None:
        if can_ids is None:
            self._listen_all = [*self._listen_all, (port, listener)]
            return
        for can_id in can_ids:
            self._table[can_id] = [*self._table.get(can_id, ()), (port, listener)]

    def _detach(self, port: BusPort) -> None:
        self._silence(port)
        if port in self._ports:
            self._ports.remove(port)
        self._listen_all = [entry for entry in self._listen_all if entry[0] is not port]
        for can_id, entries in self._table.items():
            self._table[can_id] = [entry for entry in entries if entry[0] is not port]

    def _silence(self, port: BusPort) -> None:
        self._queue = [entry for entry in self._queue if entry[3] is not port]
        heapq.heapify(self._queue)
        port.queued = 0
        if port.off:
            return
        port.off = True
        current = self._current
        if current is not None and current[3] is port:
            self._current = (*current[:3], self._nobody)  # the rest of its time the bus is busy with a broken frame

    def _retune(self, port: BusPort) -> None:
        if port.mistuned:
            self._silence(port)
        elif not port.switched_off:
            self._restart(port)

    def _restart(self, port: BusPort) -> None:
        if port.off and port in self._ports and not port.mistuned:
            port.off = False
            self._arbitrate_soon()
        port.errors = 0

    def _enqueue(self, port: BusPort, frame: Frame) -> None:
        if port.off:
            return
        if frame.fd and not self.fd:
            raise LocalMisuse(f"bus {self.name!r} is classic CAN: {frame!r} of {port.name!r} needs an FD bus (fd=True)")
        if port.queued >= MAX_QUEUED:
            raise LocalMisuse(f"{port.name!r} has {MAX_QUEUED} frames waiting on bus {self.name!r}: wait for on_sent")
        port.queued += 1
        self._sequence = sequence = self._sequence + 1
        can_id = frame.can_id
        # Bit by bit, an 11-bit identifier beats a 29-bit one with the same leading bits (recessive SRR and IDE).
        rank = ((can_id & EXTENDED_MASK) << 1) | 1 if can_id >= EXTENDED else can_id << 19
        heapq.heappush(self._queue, (rank, sequence, frame, port))
        if self._current is None and not self._arbitrating:
            self._begin_soon()

    # ---- the bus itself

    def _begin_soon(self) -> None:
        """An idle bus has got a frame."""
        self._arbitrating = True
        if self.paced:
            self.world.call_at(self.world.now_ns, self._arbitrate)
        else:
            self.world.call_in_turn(self._arbitrate)

    def _arbitrate_soon(self) -> None:
        if self._queue and self._current is None and not self._arbitrating:
            self._arbitrating = True
            self.world.call_at(self.world.now_ns, self._arbitrate)

    def _arbitrate(self) -> None:
        """Let the lowest identifier go. On an idle bus an event of its own, so that all senders of one instant take part."""
        self._begin(self.world.now_ns)

    def _begin(self, now_ns: int) -> None:
        """Begin the next frame at `now_ns`: on the real clock that may lie some microseconds back, where the last one ended."""
        self._arbitrating = False
        if self._queue and len(self._ports) > 1:  # alone on a bus nobody acknowledges: the frame stays pending (N_As)
            self._current = current = heapq.heappop(self._queue)
            frame, plain_times = current[2], self._plain_times
            if plain_times is not None and frame.can_id < EXTENDED and not frame.fd:
                time_ns = plain_times[len(frame.data)]  # most frames: not even a call
            else:
                time_ns = self.frame_time_ns(frame)
            self.busy_ns += time_ns
            if self.paced:
                self._end_ns = end_ns = now_ns + time_ns
                self.world.call_at(end_ns, self._complete)
            else:
                self._complete()

    def _next(self) -> None:
        """Let the next frame follow the last one directly: what the machine was late by adds up to nothing."""
        if self.paced:
            self._begin(max(self._end_ns, self.world.now_ns - CATCH_UP_NS))
        else:  # an event of its own: a long message is many callbacks, and what else is due has its turn
            self._begin_soon()

    def _complete(self) -> None:
        """The frame in flight is over: acknowledged, confirmed to its sender, delivered; or destroyed by a fault."""
        current = self._current
        assert current is not None
        _, _, frame, port = current
        self._current = None
        self._arbitrating = True  # who sends in answer takes part in the arbitration below
        if port.off:  # broken off half way
            self._next()
            return
        verdict = None
        if self.faults is not None:
            verdict = self.faults.judge(self.world.now_ns, self.name, frame)
            if verdict.error:
                self._error_frame(frame, port)
                return
        self.frames_sent += 1
        port.queued -= 1
        if port.errors:
            port.errors -= 1
        now_ns = self.world.now_ns
        for tap in self._taps:
            tap(now_ns, self, frame, port.name)
        if port.on_sent is not None:
            port.on_sent(frame)
        if verdict is None:
            self._deliver(frame, port)
        else:
            for delay_ns, received in verdict.deliveries:
                if delay_ns:
                    self.world.call_at(now_ns + delay_ns, partial(self._deliver, received, port))
                else:
                    self._deliver(received, port)
        if self._queue:
            self._next()
        else:
            self._arbitrating = False

    def _deliver(self, frame: Frame, sender: BusPort) -> None:
        entries = self._table.get(frame.can_id)
        if entries:
            for port, listener in entries:  # lists are replaced, never changed: a listener may listen to more
                if port is not sender and not port.off:
                    listener(frame)
        if self._listen_all:
            for port, listener in self._listen_all:
                if port is not sender and not port.off:
                    listener(frame)

    def _error_frame(self, frame: Frame, port: BusPort) -> None:
        """Somebody destroyed the frame: the sender's error counter rises, it tries again, or leaves the bus."""
        port.errors += ERROR_STEP
        error_ns = ERROR_FRAME_BITS * 1_000_000_000 // self.bitrate
        self.busy_ns += error_ns
        if port.errors >= BUS_OFF_LIMIT:
            port.switch_off()
            if port.on_bus_off is not None:
                port.on_bus_off()
        else:
            port.queued -= 1
            self._enqueue(port, frame)
        self._arbitrating = True  # the bus is busy with the error frame
        self.world.call_at(self.world.now_ns + error_ns, self._arbitrate)


def _closed_time_ns(shape: tuple[int, bool, bool, bool], bitrate: int, data_bitrate: int, *, worst: bool) -> int:
    """Return a frame's time from its length alone, without stuff bits or with as many as can be."""
    size, extended, fd, brs = shape
    if not fd:
        stuffable = (54 if extended else 34) + 8 * size
        bits = stuffable + 13 + ((stuffable - 1) // 4 if worst else 0)
        return bits * 1_000_000_000 // bitrate
    nominal, data = _fd_bits(size, extended=extended)
    if worst:
        nominal += (nominal - 1) // 4
        data += (5 + 8 * size) // 4
    return _fd_time_ns(nominal, data + _fd_crc_bits(size), bitrate, data_bitrate if brs else bitrate)


def _fd_bits(size: int, *, extended: bool) -> tuple[int, int]:
    """Return (arbitration phase up to BRS, ESI and DLC and data) in bits, without stuffing."""
    return (36 if extended else 17), 5 + 8 * size


def _fd_crc_bits(size: int) -> int:
    """Return stuff count, CRC, their fixed stuff bits and the CRC delimiter."""
    crc = 17 if size <= 16 else 21
    return 4 + crc + (4 + crc + 3) // 4 + 1


def _fd_time_ns(nominal_bits: int, data_bits: int, bitrate: int, data_bitrate: int) -> int:
    tail = 12  # acknowledge slot and delimiter 2, end of frame 7, intermission 3
    return (nominal_bits + tail) * 1_000_000_000 // bitrate + data_bits * 1_000_000_000 // data_bitrate


def _exact_time_ns(frame: Frame, bitrate: int, data_bitrate: int) -> int:
    """Return a frame's time with the stuff bits that its own bits need."""
    head = _header_bits(frame.can_id, len(frame.data), fd=frame.fd, brs=frame.brs)
    bits = head + "".join(f"{byte:08b}" for byte in frame.data)
    if not frame.fd:
        bits += f"{_crc15(bits):015b}"
        return (len(bits) + _stuff_bits(bits) + 13) * 1_000_000_000 // bitrate
    nominal, data = _fd_bits(len(frame.data), extended=frame.extended)
    nominal_stuff = _stuff_bits(bits[:nominal])
    data_stuff = _stuff_bits(bits) - nominal_stuff
    data_rate = data_bitrate if frame.brs else bitrate
    return _fd_time_ns(nominal + nominal_stuff, data + data_stuff + _fd_crc_bits(len(frame.data)), bitrate, data_rate)


@lru_cache(maxsize=4096)
def _header_bits(can_id: int, size: int, *, fd: bool, brs: bool) -> str:
    """Return the bits from start of frame to DLC, for classic frames and FD frames."""
    dlc = size if size <= 8 else (9, 10, 11, 12, 13, 14, 15)[(12, 16, 20, 24, 32, 48, 64).index(size)]
    number = can_id & EXTENDED_MASK
    base = f"0{number >> 18:011b}11{number & 0x3FFFF:018b}0" if can_id >= EXTENDED else f"0{number:011b}00"
    if fd:
        reserved = f"10{int(brs)}0"  # FDF, res, BRS, ESI
    else:
        reserved = "00" if can_id >= EXTENDED else "0"
    return base + reserved + f"{dlc:04b}"


def _crc15(bits: str) -> int:
    """CRC of classic CAN, polynomial 0x4599."""
    crc = 0
    for bit in bits:
        crc <<= 1
        if (crc >> 15) ^ int(bit):
            crc ^= 0x4599
        crc &= 0x7FFF
    return crc


def _stuff_bits(bits: str) -> int:
    """Count the stuff bits: one after five equal bits in a row, which itself starts a new run."""
    count, run, last = 0, 0, ""
    for bit in bits:
        if bit == last:
            run += 1
        else:
            run, last = 1, bit
        if run == 5:
            count += 1
            last = "0" if bit == "1" else "1"
            run = 1
    return count
