"""The control socket of a served car: lines in, lines out, and streams of frames. Runs inside the served world's wait.

One line is one call. People and scripts write the scenarios' own verbs in YAML (`vehicle: {bonnet: open}`), a bench writes
`{"call": name, "args": {...}}`; either is answered by one line of JSON, `{"ok": ...}` or `{"error": {...}}`. What is wrong with a
line is said to whoever wrote it, and never touches the car.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from wire.clock import NS_PER_MS, RealClock
from wire.errors import BenchError, CarrierFault, ConfigError, NotOnThisCarrier
from wire.frame import Frame
from wire.frame_stream import FrameReader
from wire.world import World

LINE_MAX_BYTES = 1_000_000
"""A key set with thousands of revocations fits; more is no line."""
CONNECTIONS_MAX = 32
BACKLOG_MAX_BYTES = 1_000_000
"""What may wait for a reader that is slow; one that is slower loses its connection, and no frame is left out in silence."""
RETRY_NS = 5 * NS_PER_MS
READ_BYTES = 65_536
ONLY_OURS = 0o600
KINDS: Mapping[str, type[BenchError]] = {
    "NotOnThisCarrier": NotOnThisCarrier,
    "ConfigError": ConfigError,
    "CarrierFault": CarrierFault,
}
"""The errors that cross the socket by name; any other is a `LocalMisuse` of whoever called."""

Call = Callable[["Connection", str], object]
"""Serves one line; returns what `ok` is to hold. Raises a `BenchError` for what it refuses."""


class SocketInUse(CarrierFault):
    """Another program serves at this control socket."""


class ControlSocket:
    """Listens at `path` and serves lines with `call`. `world()` is the world that runs at the moment."""

    def __init__(self, path: Path, clock: RealClock, world: Callable[[], World], call: Call) -> None:
        self.path = path
        self.connections: list[Connection] = []
        self._clock = clock
        self._world = world
        self._call = call
        self._listener = _listen(path)
        clock.register(self._listener, self._accept)

    def close(self) -> None:
        """End all connections and take the socket away."""
        for connection in tuple(self.connections):
            connection.close()
        self._clock.unregister(self._listener)
        self._listener.close()
        self.path.unlink(missing_ok=True)

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            peer, _ = self._listener.accept()
            if len(self.connections) >= CONNECTIONS_MAX:
                with peer:
                    peer.settimeout(0)
                    peer.send(
                        _line(
                            _refusal(
                                "LocalMisuse", f"there are {CONNECTIONS_MAX} connections already, as many as can be"
                            )
                        )
                    )
                return
            self.connections.append(Connection(self, peer, self._clock, self._world, self._call))


class Connection:
    """One program at the control socket. After an `attach` call it speaks frames (`wire.frame_stream`) instead of lines."""

    def __init__(
        self, owner: ControlSocket, peer: socket.socket, clock: RealClock, world: Callable[[], World], call: Call
    ) -> None:
        self.on_frame: Callable[[Frame], None] | None = None
        self.on_close: Callable[[], None] | None = None
        self.bus: str | None = None
        """On which bus it sits since it was attached."""
        self._owner = owner
        self._peer = peer
        self._clock = clock
        self._world = world
        self._call = call
        self._lines = bytearray()
        self._frames = FrameReader()
        self._backlog = bytearray()
        self._closed = False
        peer.settimeout(0)
        clock.register(peer, self._read)

    def send(self, data: bytes) -> None:
        """Send bytes; what the reader has no room for waits. A reader that lags too far behind loses the connection."""
        if self._closed:
            return
        self._backlog += data
        if len(self._backlog) == len(data):
            self._flush()
        if len(self._backlog) > BACKLOG_MAX_BYTES:
            self.close()

    @property
    def waiting(self) -> bool:
        """Whether something waits for the reader."""
        return bool(self._backlog)

    def resume(self) -> None:
        """Go on in a new world: what waits for the reader waited in the old one, which runs no more."""
        if self._backlog:
            self._flush()

    def leave_bus(self) -> None:
        """Its bus goes with the car: what it sends goes nowhere until it is attached to the next car's."""
        if self.on_close is not None:
            self.on_close()
            self.on_close = None
        if self.on_frame is not None:
            self.on_frame = lambda _frame: None

    def close(self) -> None:
        """End the connection."""
        if self._closed:
            return
        self._closed = True
        self._clock.unregister(self._peer)
        self._peer.close()
        self._owner.connections.remove(self)
        if self.on_close is not None:
            self.on_close()

    def _flush(self) -> None:
        try:
            while self._backlog and not self._closed:
                del self._backlog[: self._peer.send(self._backlog)]
        except BlockingIOError:
            world = self._world()
            world.call_at(world.now_ns + RETRY_NS, self._flush)
        except OSError:
            self.close()

    def _read(self) -> None:
        if self._closed:
            return
        try:
            data = self._peer.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
        elif self.on_frame is not None:
            self._take_frames(data)
        else:
            self._take_lines(data)

    def _take_frames(self, data: bytes) -> None:
        try:
            for _, frame, _ in self._frames.take(data):
                if self.on_frame is not None:
                    self.on_frame(frame)
        except BenchError:  # not a frame, or one that this bus cannot carry: there is no line on which to say so
            self.close()

    def _take_lines(self, data: bytes) -> None:
        self._lines += data
        while not self._closed and self.on_frame is None:
            end = self._lines.find(b"\n")
            if max(end, len(self._lines) if end < 0 else 0) > LINE_MAX_BYTES:
                self._answer(_refusal("ConfigError", f"a line has at most {LINE_MAX_BYTES} bytes"))
                self.close()
                return
            if end < 0:
                return
            line = bytes(self._lines[:end])
            del self._lines[: end + 1]
            if line.strip():
                self._answer(self._served(line))
        if self.on_frame is not None and self._lines:
            data, self._lines = bytes(self._lines), bytearray()
            self._take_frames(data)

    def _served(self, line: bytes) -> Mapping[str, object]:
        try:
            return {"ok": self._call(self, line.decode("utf-8"))}
        except UnicodeDecodeError:
            return _refusal("ConfigError", "a line is UTF-8 text")
        except BenchError as error:
            kind = next((kind for kind, known in KINDS.items() if isinstance(error, known)), "LocalMisuse")
            return _refusal(kind, str(error))

    def _answer(self, answer: Mapping[str, object]) -> None:
        self.send(_line(answer))


def _refusal(kind: str, text: str) -> Mapping[str, object]:
    return {"error": {"kind": kind, "text": text}}


def _line(answer: Mapping[str, object]) -> bytes:
    return json.dumps(answer).encode() + b"\n"


def _listen(path: Path) -> socket.socket:
    """Return a listening socket at `path`, for this user only. Raises `SocketInUse`, `ConfigError`."""
    if not hasattr(socket, "AF_UNIX"):
        raise NotOnThisCarrier("this system has no Unix sockets: serve the car on Linux or macOS")
    if path.exists():
        if not path.is_socket():
            raise ConfigError("this is no socket, and is left alone: name another 'control'", path=str(path))
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(path))
            except OSError:
                path.unlink(missing_ok=True)  # left behind by a process that is gone
            else:
                raise SocketInUse(
                    f"a car is served at {path} already: end that one, or name another 'control' in the bench file"
                )
    path.parent.mkdir(parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(ONLY_OURS)
        listener.listen(CONNECTIONS_MAX)
    except OSError as error:
        listener.close()
        raise ConfigError(f"no control socket can be made here: {error.strerror or error}", path=str(path)) from None
    listener.settimeout(0)
    return listener
