"""Reads a recorded log for the replay driver: the frames of one of its buses, oldest first, in nanoseconds of the log's time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vci_driver.api import ChannelUnavailable
from wire.clock import NS_PER_S
from wire.errors import ConfigError
from wire.frame import Frame
from wire.trace_read import read_trace
from wire.uds import NEGATIVE_RESPONSE, Service

MAX_FRAMES = 5_000_000
"""An hour of a busy bus; more is a recording to cut first, and would fill the memory."""
ANSWER_WITHIN_NS = 6 * NS_PER_S
"""An answer that comes later than P2* (5 s) and its way after a request is none to it."""
REQUESTS = frozenset(int(service) for service in Service)
Recorded = tuple[int, Frame]


def read_log(path: Path, bus: str | None) -> list[Recorded]:
    """Return (time, frame) of the bus named, or of the only one. Raises `ChannelUnavailable`, in one sentence."""
    if not path.is_file():
        raise ChannelUnavailable(f"there is no log {str(path)!r} to replay: give the path of a recording")
    try:
        of_bus = _by_bus(path)
    except ConfigError as error:
        raise ChannelUnavailable(f"the log {error}") from error
    return _chosen(path, bus, of_bus)


def askers(log: Sequence[Recorded]) -> frozenset[int]:
    """Return the identifiers with which somebody asked and was answered: all their frames are ISO-TP with normal addressing, and
    one began a UDS request that a frame with another identifier answered.
    """
    foreign: set[int] = set()
    asked: dict[int, tuple[int, int]] = {}
    found: set[int] = set()
    for when_ns, frame in log:
        begun = _begun(frame.data)
        if begun is None:
            foreign.add(frame.can_id)
        elif begun and begun[0] in REQUESTS:
            asked[begun[0]] = (when_ns, frame.can_id)
        elif begun:
            sid = begun[1] if begun[0] == NEGATIVE_RESPONSE and len(begun) > 1 else begun[0] - 0x40
            request_ns, can_id = asked.get(sid, (0, frame.can_id))
            if can_id != frame.can_id and when_ns - request_ns <= ANSWER_WITHIN_NS:
                found.add(can_id)
    return frozenset(found - foreign)


def _begun(data: bytes) -> bytes | None:
    """Return the payload with which a message begins here, nothing in its later frames, None in what is not ISO-TP."""
    kind = data[0] >> 4 if data else -1
    if kind == 0 and 0 < data[0] < len(data):
        return data[1 : data[0] + 1]
    if kind == 0 and len(data) > 8 and data[0] == 0 and 0 < data[1] <= len(data) - 2:
        return data[2 : data[1] + 2]
    if kind == 1 and len(data) >= 8:
        return data[2:]
    return b"" if kind in (2, 3) else None


def _by_bus(path: Path) -> dict[str, list[Recorded]]:
    of_bus: dict[str, list[Recorded]] = {}
    for count, (when_ns, name, frame) in enumerate(read_trace(path)):
        if count >= MAX_FRAMES:
            raise ChannelUnavailable(f"the log {str(path)!r} has more than {MAX_FRAMES} frames: cut out what matters")
        of_bus.setdefault(name, []).append((when_ns, frame))
    return of_bus


def _chosen(path: Path, bus: str | None, of_bus: dict[str, list[Recorded]]) -> list[Recorded]:
    there = ", ".join(of_bus)
    if not of_bus:
        raise ChannelUnavailable(f"the log {str(path)!r} holds no frame, or is no {path.suffix or 'recording'} at all")
    if bus is not None and bus not in of_bus:
        raise ChannelUnavailable(f"the log {str(path)!r} has no bus {bus!r}; it has {there}")
    if bus is None and len(of_bus) > 1:
        raise ChannelUnavailable(f"the log {str(path)!r} has several buses, {there}: choose with the option bus")
    frames = of_bus[bus] if bus is not None else next(iter(of_bus.values()))
    return sorted(frames, key=lambda record: record[0])
