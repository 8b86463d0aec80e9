"""The other end of a control socket: calls to a served car, each waited for."""

from __future__ import annotations

import contextlib
import json
import socket
from pathlib import Path

from bench.live.control import KINDS
from wire.errors import CarrierFault, LocalMisuse, NotOnThisCarrier
from wire.plain import to_plain

PATIENCE_S = 20.0
"""How long an answer may take: putting a car on the bench takes a tenth of a second, on a slow machine some seconds."""
READ_BYTES = 65_536


class ServerLost(CarrierFault):
    """The process that serves the car does not answer any more."""


class ControlClient:
    """A connection to a served car."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = b""
        if not hasattr(socket, "AF_UNIX"):
            raise NotOnThisCarrier("this system has no Unix sockets: the car cannot be reached through one")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(PATIENCE_S)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise ServerLost(
                f"no car is served at {path}: {error.strerror or error}; start one with `sgw-bench serve`"
            ) from error

    def call(self, call: str, /, **args: object) -> object:
        """Call and return the answer. Raises what the server refuses with, and `ServerLost`."""
        return self.line(json.dumps({"call": call, "args": to_plain(args)}))

    def line(self, text: str) -> object:
        """Send one line, a call or a verb, and return the answer."""
        if "\n" in text:
            raise LocalMisuse("what is sent to a car is one line: write a mapping as {key: value}")
        try:
            with contextlib.suppress(BrokenPipeError):  # what it said before it closed is still to be read
                self._socket.sendall(text.encode() + b"\n")
            answer = json.loads(self._read_line())
        except (OSError, ValueError) as error:
            raise ServerLost(f"the car served at {self.path} is gone: {error}") from error
        if "error" in answer:
            raise KINDS.get(answer["error"]["kind"], LocalMisuse)(answer["error"]["text"])
        return answer["ok"]

    def _read_line(self) -> str:
        while b"\n" not in self._lines:
            data = self._socket.recv(READ_BYTES)
            if not data:
                raise ConnectionError("it has ended")
            self._lines += data
        line, _, self._lines = self._lines.partition(b"\n")
        return line.decode()

    def close(self) -> None:
        """Leave."""
        self._socket.close()
