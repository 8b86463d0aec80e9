"""Reads a DBC with cantools, once, into the tables that the rest bus runs on.

Beside GenMsgCycleTime (which others know too) our own attributes say what a DBC has no words for: see docs/restbus.md. What is
wrong with a file is a `ConfigError`; cantools itself is an extra, imported here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecu_sim.restbus.message import CHECKSUM_RULE, CyclicMessage, Signal
from ecu_sim.restbus.sources import SIGNAL_SOURCES
from wire.errors import ConfigError, NotOnThisCarrier
from wire.frame import CLASSIC_MAX_BYTES, EXTENDED, FD_LENGTHS
from wire.names import is_file, suggestion

if TYPE_CHECKING:
    from cantools.database import Message
    from cantools.database.can import Database
    from cantools.database.can.signal import Signal as DbcSignal

FOLDER = Path(__file__).parent
NS_PER_MS = 1_000_000
CYCLE_MIN_MS = 5
"""No message of a car is sent more often; a simulated second would cost thousands of frames."""


def dbc_file(name: str, folder: Path) -> Path:
    """Return the file of a DBC: one's own where the name ends in `.dbc` (in `folder`), else a shipped one.

    Raises `ConfigError`.
    """
    path = folder / name if name.endswith(".dbc") else FOLDER / f"{name}.dbc"
    if is_file(path):
        return path
    if name.endswith(".dbc"):
        raise ConfigError(f"no DBC {name!r} in {folder.resolve()}")
    shipped = sorted(file.stem for file in FOLDER.glob("*.dbc"))
    raise ConfigError(f"no DBC {name!r}{suggestion(name, shipped)} (a file's name ends in .dbc)")


def load_dbc(
    path: Path, nodes: Iterable[str] | None = None, signals: Mapping[str, str] | None = None
) -> tuple[CyclicMessage, ...]:
    """Return the cyclic messages that these nodes of a DBC send (None: all nodes), lowest identifier first.

    `signals`: for a source, the `Message.Signal` that carries it, in a file that has no attribute SgwSource. Raises `ConfigError`
    for what cannot be read or sent, `NotOnThisCarrier` where cantools is not installed.
    """
    reader = _Reader(_database(path), path, signals or {})
    return reader.messages(reader.nodes() if nodes is None else nodes)


def _database(path: Path) -> Database:
    try:
        from cantools.database import load_file  # noqa: PLC0415 - an extra
        from cantools.database.errors import Error  # noqa: PLC0415
    except ImportError as error:
        raise NotOnThisCarrier(
            f"a rest bus reads its DBC with cantools, which is not here: pip install 'sgw-bench[dbc]' ({error})"
        ) from None
    try:
        database: Any = load_file(path, database_format="dbc")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", path=str(path)) from None
    except (Error, ValueError, LookupError) as error:  # what cantools finds wrong in a file
        raise ConfigError(f"is no DBC that can be read: {error}", path=str(path)) from None
    return database  # type: ignore[no-any-return]


class _Reader:
    """One file on its way into tables."""

    def __init__(self, database: Database, path: Path, signals: Mapping[str, str]) -> None:
        self._database = database
        self._path = path
        self._given = {place: source for source, place in signals.items()}
        for place in signals.values():
            self._check_place(place)

    def nodes(self) -> list[str]:
        return [node.name for node in self._database.nodes]

    def messages(self, nodes: Iterable[str]) -> tuple[CyclicMessage, ...]:
        wanted = set(nodes)
        for node in wanted.difference(self.nodes()):
            raise self._error("BU_", f"no node {node!r}{suggestion(node, self.nodes())}")
        rule = _attribute(self._database, "SgwChecksumRule")
        if rule not in ("", CHECKSUM_RULE):
            raise self._error("SgwChecksumRule", f"unknown rule {rule!r}; there is: {CHECKSUM_RULE}")
        cyclic = [
            message
            for message in self._database.messages
            if message.cycle_time and message.senders and message.senders[0] in wanted
        ]
        if not cyclic:
            raise self._error("BO_", f"no message of {', '.join(sorted(wanted))} has a cycle time (GenMsgCycleTime)")
        return tuple(self._message(message) for message in sorted(cyclic, key=lambda message: message.frame_id))

    def _error(self, key: str, problem: str) -> ConfigError:
        return ConfigError(problem, path=str(self._path), key=key)

    def _check_place(self, place: str) -> None:
        places = [f"{message.name}.{signal.name}" for message in self._database.messages for signal in message.signals]
        if place not in places:
            raise self._error(place, f"no such signal{suggestion(place, places)}")

    def _message(self, message: Message) -> CyclicMessage:
        name, cycle_ms = message.name, message.cycle_time or 0
        if cycle_ms < CYCLE_MIN_MS:
            raise self._error(name, f"a cycle time of {cycle_ms} ms; from {CYCLE_MIN_MS} ms on is possible")
        if message.is_multiplexed() or message.is_container:
            raise self._error(name, "a multiplexed message cannot be sent here: take its sender out of 'nodes'")
        fd = message.is_fd or message.length > CLASSIC_MAX_BYTES
        if message.length not in (FD_LENGTHS if fd else range(CLASSIC_MAX_BYTES + 1)):
            raise self._error(name, f"no frame carries {message.length} bytes; pad to one of {FD_LENGTHS}")
        counter, checksum = (_attribute(message, key) for key in ("SgwCounter", "SgwChecksum"))
        table = {signal.name: self._signal(message, signal) for signal in message.signals}
        counted = self._named(name, "SgwCounter", counter, table)
        summed = self._named(name, "SgwChecksum", checksum, table)
        return CyclicMessage(
            name=name,
            can_id=message.frame_id | (EXTENDED if message.is_extended_frame else 0),
            size=message.length,
            cycle_ns=cycle_ms * NS_PER_MS,
            node=message.senders[0],
            signals={key: signal for key, signal in table.items() if key not in (counter, checksum)},
            counter=counted,
            checksum_at=None if summed is None else self._byte_of(name, summed, message.length),
            with_terminal_15=_attribute(message, "SgwSentWith") in (1, "1", "terminal_15"),
            fd=fd,
        )

    def _named(self, message: str, attribute: str, name: str, table: Mapping[str, Signal]) -> Signal | None:
        if not name:
            return None
        if name not in table:
            raise self._error(f"{message}.{attribute}", f"no signal {name!r}{suggestion(name, table)}")
        return table[name]

    def _byte_of(self, message: str, signal: Signal, size: int) -> int:
        if signal.size_bits != 8 or signal.shift % 8:
            raise self._error(f"{message}.{signal.name}", "a checksum is one whole byte of its message")
        return size - 1 - signal.shift // 8 if signal.big_endian else signal.shift // 8

    def _signal(self, message: Message, signal: DbcSignal) -> Signal:
        place = f"{message.name}.{signal.name}"
        source = self._given.get(place) or _attribute(signal, "SgwSource") or None
        if source is not None and source not in SIGNAL_SOURCES:
            raise self._error(f"{place}.SgwSource", f"unknown source {source!r}{suggestion(source, SIGNAL_SOURCES)}")
        if source is not None and signal.is_float:
            raise self._error(place, "a floating-point signal cannot be fed here: give it whole numbers and a factor")
        big_endian = signal.byte_order == "big_endian"
        shift = signal.start
        if big_endian:  # a DBC names the highest bit, and counts bits within a byte from the lowest
            highest = signal.start // 8 * 8 + 7 - signal.start % 8
            shift = message.length * 8 - highest - signal.length
        return Signal(
            name=signal.name,
            shift=shift,
            size_bits=signal.length,
            big_endian=big_endian,
            signed=signal.is_signed,
            scale=signal.scale,
            offset=signal.offset,
            source=source,
            initial_raw=int(signal.raw_initial or 0),
        )


def _attribute(holder: Any, name: str) -> Any:
    """Return what an attribute says of a message, signal or database; empty where it says nothing."""
    attributes = holder.dbc.attributes if holder.dbc is not None else {}
    return attributes[name].value if name in attributes else ""
