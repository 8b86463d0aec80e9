"""The python-can interface `sgwbench`: any python-can program sits on a bus of a car that is served.

can.Bus(interface="sgwbench", channel="obd")                # the only car that this user serves
can.Bus(interface="sgwbench", channel="obd", control="/run/user/1000/sgw-bench/vcan.sock")

Every bus of the car can be named, the inner ones behind its gateway too. What is sent waits for the bus like any other frame.
"""

from __future__ import annotations

import json
import select
import socket
from pathlib import Path
from typing import Any

import can

from wire.errors import ConfigError, LocalMisuse
from wire.frame import EXTENDED, EXTENDED_MASK, Frame, checked
from wire.frame_stream import HEAD, FrameReader, encode
from wire.served_places import find_control

PATIENCE_S = 5.0
"""How long the server may take to answer, and the rest of a record to come: it is on this machine."""
LINE_MAX_BYTES = 65_536


class SgwBenchBus(can.BusABC):
    """A place on one bus of a served car. `control`: its control socket; found by itself where there is only one.

    `receive_own_messages`: frames of one's own come back when they went out. Raises `can.CanInitializationError`.
    """

    def __init__(
        self,
        channel: str = "obd",
        can_filters: Any = None,
        *,
        control: str | Path | None = None,
        receive_own_messages: bool = False,
        **kwargs: Any,  # noqa: ARG002 - python-can hands on what other interfaces need: fd, bitrate ...
    ) -> None:
        self.channel_info = f"sgwbench {channel}"
        self._own = receive_own_messages
        self._reader = FrameReader()
        where = f"no place on bus {channel!r} of a served car"
        try:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        except AttributeError:
            self._is_shutdown = True
            raise can.CanInitializationError(f"{where}: this system has no Unix sockets") from None
        try:
            fd = self._attach(Path(control) if control is not None else find_control(), channel)
        except (OSError, ValueError, ConfigError) as error:
            self._socket.close()
            self._is_shutdown = True
            raise can.CanInitializationError(f"{where}: {error}") from error
        self._can_protocol = can.CanProtocol.CAN_FD if fd else can.CanProtocol.CAN_20
        super().__init__(channel=channel, can_filters=can_filters)

    def _attach(self, path: Path, channel: str) -> bool:
        """Ask the server for a place; return whether the bus is CAN FD."""
        self._socket.settimeout(PATIENCE_S)
        self._socket.connect(str(path))
        self._socket.sendall(json.dumps({"call": "attach", "args": {"bus": channel}}).encode() + b"\n")
        answer = json.loads(self._line())
        try:
            if "error" in answer:
                raise ConfigError(answer["error"]["text"])
            return bool(answer["ok"]["fd"])
        except (TypeError, KeyError):
            raise ConfigError("what answers there is no served car") from None

    def fileno(self) -> int:
        """Return the socket's descriptor: readable while there is a frame."""
        return self._socket.fileno()

    def send(self, msg: can.Message, timeout: float | None = None) -> None:  # noqa: ARG002 - the bench takes frames at once
        """Queue a frame on the car's bus. Raises `can.CanOperationError` for what it cannot carry, and when the car is gone."""
        if msg.is_remote_frame or msg.is_error_frame:
            raise can.CanOperationError(f"{self.channel_info}: remote frames and error frames cannot be sent from here")
        if msg.is_fd and self._can_protocol is not can.CanProtocol.CAN_FD:
            raise can.CanOperationError(f"{self.channel_info}: the bus is classic CAN, it carries no CAN FD frames")
        can_id = msg.arbitration_id | (EXTENDED if msg.is_extended_id else 0)
        try:
            frame = checked(Frame(can_id, bytes(msg.data), msg.is_fd, msg.bitrate_switch))
            self._socket.sendall(encode(0, frame))
        except LocalMisuse as error:
            raise can.CanOperationError(f"{self.channel_info}: {error}") from error
        except OSError as error:
            raise can.CanOperationError(f"{self.channel_info}: the car is not served any more: {error}") from error

    def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
        """Read one record and not a byte more, so that the descriptor stays readable while another one is there."""
        while True:
            if not select.select([self._socket], [], [], timeout)[0]:
                return None, False
            try:
                head = self._exactly(HEAD.size)
                records = list(self._reader.take(head + self._exactly(HEAD.unpack(head)[3])))
            except (OSError, ConfigError) as error:
                raise can.CanOperationError(f"{self.channel_info}: the car is not served any more: {error}") from error
            utc_ns, frame, own = records[0]
            if own and not self._own:
                continue
            return _message(utc_ns, frame, own=own, channel=self.channel_info), False

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self._socket.recv(size - len(data))
            if not more:
                raise ConnectionError("the connection ended")
            data += more
        return data

    def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            if len(line) > LINE_MAX_BYTES:
                raise ValueError("what answers there is no served car")
            line += self._exactly(1)
        return line

    def shutdown(self) -> None:
        """Leave the bus."""
        super().shutdown()
        self._socket.close()


def _message(utc_ns: int, frame: Frame, *, own: bool, channel: str) -> can.Message:
    return can.Message(
        timestamp=utc_ns / 1e9,
        arbitration_id=frame.can_id & EXTENDED_MASK,
        is_extended_id=frame.extended,
        data=frame.data,
        is_fd=frame.fd,
        bitrate_switch=frame.brs,
        is_rx=not own,
        channel=channel,
    )
