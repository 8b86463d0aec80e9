"""One ISO-TP channel (ISO 15765-2): an addressed pair that segments and reassembles. Sans-IO, time as an argument.

Sending and receiving are independent. STmin, N_As and N_Bs count from the confirmation that a frame went out. Bytes from
the wire never raise: what is malformed is ignored or ends the reception with a `Failed` event.

    sending:    idle -> first frame out -> waiting for flow control <-> sending a block -> idle
    receiving:  idle -> first frame in -> flow control out -> consecutive frames -> idle
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from wire.errors import LocalMisuse
from wire.frame import Frame
from wire.isotp_door import (
    BufferOverflow,
    ConsecutiveFrameTimeout,
    Event,
    Failed,
    FirstFrame,
    FlowControlTimeout,
    InvalidFlowStatus,
    IsoTpOptions,
    Received,
    Segment,
    Sent,
    TooManyWaits,
    TransmitTimeout,
    UnexpectedPdu,
    WrongSequenceNumber,
)
from wire.isotp_pdu import (
    FF_SHORT_MAX,
    LENGTH_MAX,
    FlowStatus,
    decode_stmin,
    first_frame,
    first_frame_room,
    flow_control,
    padded,
    single_frame,
)

MAX_QUEUED_MESSAGES = 64
"""Messages that may wait behind the one being sent: more is an application that never waits for `Sent`."""

HEADS = [bytes((byte,)) for byte in range(0x30)]
"""The first byte of every short single frame and consecutive frame, made once."""


class Sink(Protocol):
    """What a channel needs of its stack."""

    events: deque[Event]

    def emit(self, channel: Channel, frame: Frame, control: bool) -> None:  # noqa: FBT001 - hot path, positional
        """Queue a frame; `control`: a flow control frame, which goes first."""

    def forget(self, channel: Channel, control: bool) -> None:  # noqa: FBT001
        """Drop what `emit` queued of this channel and this kind and nobody has taken yet."""

    def watch(self, channel: Channel) -> None:
        """Ask for this channel's deadlines from now on, until it has none."""


class Channel:
    """One addressed pair. `tx_id` None: only receives (functional requests). `rx_id` None: only sends single frames.

    `functional` channels take single frames alone. `tag` belongs to the owner. `tx_deadline_ns` and `rx_deadline_ns` say when
    each direction wants `handle_timer`; `active`: the stack asks for them.
    """

    __slots__ = (
        "_block_left",
        "_brs",
        "_fc_waits",
        "_fd",
        "_fill",
        "_options",
        "_queue",
        "_rx",
        "_rx_block",
        "_rx_control_out",
        "_rx_frame_len",
        "_rx_got",
        "_rx_len",
        "_rx_sn",
        "_rx_wait_due",
        "_sink",
        "_stmin_ns",
        "_tx",
        "_tx_early_control",
        "_tx_len",
        "_tx_pos",
        "_tx_sn",
        "_tx_state",
        "_waits",
        "active",
        "functional",
        "number",
        "port",
        "rx_deadline_ns",
        "rx_id",
        "stream",
        "tag",
        "tx_deadline_ns",
        "tx_id",
    )

    def __init__(
        self,
        sink: Sink,
        number: int,
        port: int,
        tx_id: int | None,
        rx_id: int | None,
        options: IsoTpOptions,
        *,
        functional: bool,
        stream: bool,
    ) -> None:
        self._sink = sink
        self.number = number
        self.port = port
        self.tx_id = tx_id
        self.rx_id = rx_id
        self.functional = functional
        self.stream = stream
        self.tag: object = None
        self.active = False
        self.configure(options)
        self._queue: deque[bytes] = deque()
        self._tx: bytearray | bytes | None = None
        self._tx_len = 0
        self._tx_pos = 0
        self._tx_sn = 0
        self._tx_state = _IDLE
        self.tx_deadline_ns: int | None = None
        self._block_left = 0
        self._stmin_ns = 0
        self._tx_early_control: bytes | None = None
        self._waits = 0
        self._rx: bytearray | None = None
        self._rx_len = 0
        self._rx_got = 0
        self._rx_sn = 0
        self._rx_block = 0
        self._rx_frame_len = 0
        self.rx_deadline_ns: int | None = None
        self._rx_wait_due = False
        self._rx_control_out = False
        self._fc_waits = 0

    @property
    def options(self) -> IsoTpOptions:
        """How this channel behaves."""
        return self._options

    def configure(self, options: IsoTpOptions) -> None:
        """Behave so from the next frame on."""
        self._options = options
        self._fd = options.tx_dl > 8
        self._brs = self._fd and options.brs
        fill = b"" if options.padding is None else bytes((options.padding,))
        self._fill = [fill * (7 - size) for size in range(8)]

    @property
    def sending(self) -> bool:
        """Whether a message is on its way out."""
        return self._tx_state is not _IDLE

    @property
    def segmenting(self) -> bool:
        """Whether a segmented message is on its way out."""
        return self._tx is not None

    @property
    def unheeded(self) -> bool:
        """Whether the first frame of a segmented message is out and the receiver has not said anything yet."""
        return (
            self._tx_state is _AWAITING and self._tx_sn == 1 and self._tx_pos <= self._options.tx_dl and not self._waits
        )

    @property
    def full(self) -> bool:
        """Whether as many messages wait as may: one more would be refused."""
        return len(self._queue) >= MAX_QUEUED_MESSAGES

    @property
    def receiving(self) -> bool:
        """Whether a segmented message is on its way in."""
        return self._rx is not None

    # ---- sending

    def send(self, payload: bytes, now_ns: int) -> None:
        """Send a message; later ones wait in order. Raises `LocalMisuse` for what cannot be sent on this channel."""
        tx_id = self.tx_id
        if tx_id is None:
            raise LocalMisuse(f"channel {self.number} only receives")
        if not payload:
            raise LocalMisuse("ISO-TP carries at least one byte")
        if self._tx_state is not _IDLE:
            if len(self._queue) >= MAX_QUEUED_MESSAGES:
                raise LocalMisuse(f"{MAX_QUEUED_MESSAGES} messages wait on channel {self.number}: wait for Sent")
            self._queue.append(payload)
            return
        options = self._options
        size = len(payload)
        if size <= 7:
            data = HEADS[size] + payload
            if size < 7:
                data += self._fill[size]
        else:
            single = single_frame(payload, options.tx_dl, options.padding)
            if single is None:
                self.begin_send(size, payload, now_ns)
                return
            data = single
        self._tx_state = _SINGLE
        self.tx_deadline_ns = now_ns + options.n_as_ns
        if not self.active:
            self._sink.watch(self)
        self._sink.emit(self, Frame(tx_id, data, self._fd, self._brs), False)  # noqa: FBT003

    def begin_send(self, total: int, head: bytes, now_ns: int) -> None:
        """Begin a segmented message of `total` bytes of which `head` is there; `feed` brings the rest.

        `head` must fill the first frame. Raises `LocalMisuse` while another message is on its way.
        """
        if self._tx_state is not _IDLE or self.tx_id is None or self.functional:
            raise LocalMisuse(f"channel {self.number} cannot begin a segmented message now")
        options = self._options
        room = first_frame_room(total, options.tx_dl)
        if not room < total <= LENGTH_MAX or len(head) < room:
            raise LocalMisuse(f"a first frame of {total} bytes takes {room} of them, {len(head)} are there")
        self._tx = bytearray(head) if len(head) < total else head
        self._tx_len = total
        self._tx_pos = room
        self._tx_sn = 1
        self._waits = 0
        self._tx_state = _FIRST
        self._tx_early_control = None
        self.tx_deadline_ns = now_ns + options.n_as_ns
        if not self.active:
            self._sink.watch(self)
        self._sink.emit(self, Frame(self.tx_id, first_frame(total, head[:room]), self._fd, self._brs), False)  # noqa: FBT003

    def feed(self, data: bytes, now_ns: int) -> None:
        """Bring more bytes of the message that `begin_send` began; a sender that ran dry goes on."""
        tx = self._tx
        if self._tx_state is _IDLE or not isinstance(tx, bytearray):
            return  # the transfer has failed meanwhile; its source hears of it by event
        tx += data
        if len(tx) > self._tx_len:
            raise LocalMisuse(f"{len(tx)} bytes fed to a message of {self._tx_len}")
        if self._tx_state is _DRY:
            self._consecutive(now_ns)

    def abort_send(self, error: Exception) -> None:
        """Give up the message being sent."""
        if self._tx_state is not _IDLE:
            self._fail_send(error)

    def _consecutive(self, now_ns: int) -> None:
        """Send the next consecutive frame, or wait for the source to bring its bytes."""
        options, position, tx, total, tx_id = self._options, self._tx_pos, self._tx, self._tx_len, self.tx_id
        assert tx is not None
        assert tx_id is not None
        end = position + options.tx_dl - 1
        if end >= total:  # noqa: PLR1730 - hot path: a comparison costs less than min()
            end = total
        if end > len(tx):
            self._tx_state = _DRY
            self.tx_deadline_ns = None
            return
        number = self._tx_sn
        data = HEADS[0x20 + number] + tx[position:end]
        if end == total and len(data) != options.tx_dl:
            data = padded(data, options.padding)
        self._tx_pos = end
        self._tx_sn = (number + 1) & 0xF
        self._tx_state = _CONSECUTIVE
        self.tx_deadline_ns = now_ns + options.n_as_ns
        if not self.active:
            self._sink.watch(self)
        self._sink.emit(self, Frame(tx_id, data, self._fd, self._brs), False)  # noqa: FBT003

    def data_sent(self, now_ns: int) -> None:
        """Learn that our data frame went out."""
        state = self._tx_state
        if state is _CONSECUTIVE:
            if self._tx_pos >= self._tx_len:
                self._finish_send(now_ns)
                return
            if self._block_left:
                self._block_left -= 1
                if self._block_left == 0:
                    self._await_flow_control(now_ns)
                    return
            if self._stmin_ns:
                self._tx_state = _PACED
                self.tx_deadline_ns = now_ns + self._stmin_ns
            else:
                self._consecutive(now_ns)
        elif state is _SINGLE:
            self._finish_send(now_ns)
        elif state is _FIRST:
            self._await_flow_control(now_ns)
            early, self._tx_early_control = self._tx_early_control, None
            if early is not None:
                self._flow_control(early, now_ns)

    def _await_flow_control(self, now_ns: int) -> None:
        self._tx_state = _AWAITING
        self._waits = 0
        self.tx_deadline_ns = now_ns + self._options.n_bs_ns

    def _finish_send(self, now_ns: int) -> None:
        self._tx_state = _IDLE
        self.tx_deadline_ns = None
        self._tx = None
        self._sink.events.append(Sent(self))
        if self._queue:
            self.send(self._queue.popleft(), now_ns)

    def _fail_send(self, error: Exception) -> None:
        self._tx_state = _IDLE
        self.tx_deadline_ns = None
        self._tx = None
        self._sink.forget(self, False)  # noqa: FBT003
        self._queue.clear()  # what waited behind a failed message belongs to the same conversation
        self._sink.events.append(Failed(self, error, sending=True))

    def _flow_control(self, data: bytes, now_ns: int) -> None:
        """Take the receiver's flow control (9.6.5); block size and STmin count only with CONTINUE."""
        if self._tx_state not in (_AWAITING, _FIRST) or len(data) < 3:
            return
        if (
            self._tx_state is _FIRST
        ):  # it was read before the adapter's word that the first frame went out: so wait for that
            self._tx_early_control = data
            return
        status = data[0] & 0xF
        if status == FlowStatus.CONTINUE:
            self._block_left = data[1]
            self._stmin_ns = decode_stmin(data[2])
            self._waits = 0
            self._consecutive(now_ns)
        elif status == FlowStatus.WAIT:
            self._waits += 1
            if self._waits > self._options.max_wait_frames:
                self._fail_send(
                    TooManyWaits(f"more than {self._options.max_wait_frames} wait frames in a row (N_WFTmax)")
                )
            else:
                self._tx_state = _AWAITING
                self.tx_deadline_ns = now_ns + self._options.n_bs_ns
        elif status == FlowStatus.OVERFLOW:
            self._fail_send(BufferOverflow(f"the receiver cannot take {self._tx_len} bytes"))
        else:
            self._fail_send(InvalidFlowStatus(f"flow status {status} is not one of 0, 1, 2"))

    # ---- receiving

    def receive(self, frame: Frame, now_ns: int) -> None:
        """Take a frame with our identifier."""
        data = frame.data
        if not data:
            return
        kind = data[0] >> 4
        if kind == 2:
            if self._rx is not None:
                self._consecutive_frame(data, now_ns)
        elif kind == 0:
            self._single_frame(data)
        elif kind == 3:
            self._flow_control(data, now_ns)
        elif kind == 1 and not self.functional:
            self._first_frame(data, now_ns)

    def _single_frame(self, data: bytes) -> None:
        size = len(data)
        if size <= 8:
            length = data[0]
            if length == 0 or length >= size:
                return
            payload = data[1 : 1 + length]
        else:  # the escape: a frame above 8 bytes has 00 and the length in the next byte
            length = data[1]
            if data[0] or length == 0 or length > size - 2:
                return
            payload = data[2 : 2 + length]
        if self._rx is not None:
            self._fail_receive(UnexpectedPdu("a single frame came in the middle of a message"))
        self._sink.events.append(Received(self, payload))

    def _first_frame(self, data: bytes, now_ns: int) -> None:
        size = len(data)
        if size < 8:
            return
        length = (data[0] & 0xF) << 8 | data[1]
        head = data[2:]
        if length == 0:
            length = int.from_bytes(data[2:6], "big")
            head = data[6:]
            if length <= FF_SHORT_MAX:
                return
        elif length < (8 if size == 8 else size - 1):
            return  # it would have fitted a single frame
        if self._rx is not None:
            self._fail_receive(UnexpectedPdu("a new message began before the old one was complete"))
        if length > self._options.rx_buffer_bytes:
            self._send_flow_control(FlowStatus.OVERFLOW)
            limit = self._options.rx_buffer_bytes
            self._fail_receive(BufferOverflow(f"a message of {length} bytes does not fit {limit}"))
            return
        self._rx = bytearray() if self.stream else bytearray(head)
        self._rx_len = length
        self._rx_got = len(head)
        self._rx_sn = 1
        self._rx_frame_len = size
        self._sink.events.append(FirstFrame(self, length, head))
        self._fc_waits = self._options.wait_frames
        self._go_on(now_ns)

    def _go_on(self, now_ns: int) -> None:
        """Tell the sender to go on, after as many waits as the options want."""
        self.rx_deadline_ns = now_ns + self._options.n_ar_ns
        self._rx_control_out = self.tx_id is not None
        if not self.active:
            self._sink.watch(self)
        if self._fc_waits > 0:
            self._fc_waits -= 1
            self._rx_wait_due = True
            self._send_flow_control(FlowStatus.WAIT)
        else:
            self._rx_wait_due = False
            self._rx_block = self._options.block_size
            self._send_flow_control(FlowStatus.CONTINUE)

    def _consecutive_frame(self, data: bytes, now_ns: int) -> None:
        rx, number = self._rx, self._rx_sn
        assert rx is not None
        if data[0] & 0xF != number:
            self._fail_receive(WrongSequenceNumber(f"consecutive frame {data[0] & 0xF} came where {number} was due"))
            return
        size = len(data)
        left = self._rx_len - self._rx_got
        if size <= left and size != self._rx_frame_len:
            return  # all but the last have the first frame's length: ignore, N_Cr runs on
        self._rx_sn = (number + 1) & 0xF
        chunk = data[1 : 1 + left]
        if self.stream:
            self._sink.events.append(Segment(self, chunk, last=size > left))
        else:
            rx += chunk
        if size > left:
            self._rx = None
            self.rx_deadline_ns = None
            if not self.stream:
                self._sink.events.append(Received(self, bytes(rx)))
            return
        self._rx_got += size - 1
        if self._rx_block:
            self._rx_block -= 1
            if self._rx_block == 0:
                self._fc_waits = self._options.wait_frames
                self._go_on(now_ns)
                return
        self.rx_deadline_ns = now_ns + self._options.n_cr_ns

    def _send_flow_control(self, status: FlowStatus) -> None:
        if self.tx_id is None:
            return
        options = self._options
        data = flow_control(status, options.block_size, options.stmin, options.padding)
        self._sink.emit(self, Frame(self.tx_id, data, self._fd, self._brs), True)  # noqa: FBT003

    def control_sent(self, now_ns: int) -> None:
        """Learn that our flow control went out: from here the sender's next frame is due (N_Cr)."""
        self._rx_control_out = False
        if self._rx is not None:
            options = self._options
            self.rx_deadline_ns = now_ns + (options.wait_interval_ns if self._rx_wait_due else options.n_cr_ns)

    def _fail_receive(self, error: Exception) -> None:
        self._rx = None
        self._rx_control_out = False
        self.rx_deadline_ns = None
        self._sink.events.append(Failed(self, error, sending=False))

    # ---- time

    def handle_timer(self, now_ns: int) -> None:
        """Do what is due: the next paced frame, or the end of a transfer that waited too long."""
        tx_deadline_ns = self.tx_deadline_ns
        if tx_deadline_ns is not None and tx_deadline_ns <= now_ns:
            self.tx_deadline_ns = None
            match self._tx_state:
                case "paced":
                    self._consecutive(now_ns)
                case "awaiting":
                    self._fail_send(
                        FlowControlTimeout(f"no flow control within {self._options.n_bs_ns // 1_000_000} ms (N_Bs)")
                    )
                case _:
                    self._fail_send(TransmitTimeout(f"not sent within {self._options.n_as_ns // 1_000_000} ms (N_As)"))
        rx_deadline_ns = self.rx_deadline_ns
        if rx_deadline_ns is not None and rx_deadline_ns <= now_ns:
            self.rx_deadline_ns = None
            if self._rx_control_out:
                self._sink.forget(self, True)  # noqa: FBT003
                limit_ms = self._options.n_ar_ns // 1_000_000
                self._fail_receive(TransmitTimeout(f"the flow control was not sent within {limit_ms} ms (N_Ar)"))
            elif self._rx_wait_due:
                self._go_on(now_ns)
            else:
                limit_ms = self._options.n_cr_ns // 1_000_000
                self._fail_receive(ConsecutiveFrameTimeout(f"no consecutive frame within {limit_ms} ms (N_Cr)"))

    @property
    def paced(self) -> bool:
        """Whether the receiver asked for a separation time in the transfer that is under way."""
        return self._stmin_ns > 0 and self._tx is not None

    def drop(self) -> None:
        """Forget everything in silence: the device lost its supply."""
        self._tx_state = _IDLE
        self._tx = self._rx = None
        self._rx_control_out = False
        self.tx_deadline_ns = self.rx_deadline_ns = None
        self._queue.clear()


_IDLE, _SINGLE, _FIRST, _AWAITING, _CONSECUTIVE, _PACED, _DRY = (
    "idle",
    "single",
    "first",
    "awaiting",
    "consecutive",
    "paced",
    "dry",
)
