"""What crosses the door of an ISO-TP channel: its options, the events it tells, and the errors that end a transfer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wire.errors import CarrierTimeout, LocalMisuse, RemoteFault, RemoteTimeout
from wire.frame import FD_LENGTHS
from wire.isotp_pdu import FF_SHORT_MAX, LENGTH_MAX

if TYPE_CHECKING:
    from wire.isotp import Channel

N_DEFAULT_NS = 1_000_000_000


class IsoTpFault(RemoteFault):
    """The peer broke ISO-TP."""


class WrongSequenceNumber(IsoTpFault):
    """A consecutive frame came out of turn: one was lost or repeated (N_WRONG_SN)."""


class UnexpectedPdu(IsoTpFault):
    """A new message began before the old one was complete (N_UNEXP_PDU)."""


class BufferOverflow(IsoTpFault):
    """The message is longer than the receiver's buffer (N_BUFFER_OVFLW)."""


class InvalidFlowStatus(IsoTpFault):
    """A flow control frame with an unknown status (N_INVALID_FS)."""


class TooManyWaits(IsoTpFault):
    """More wait frames in a row than we put up with (N_WFT_OVRN)."""


class FlowControlTimeout(IsoTpFault, RemoteTimeout):
    """No flow control came in time (N_Bs)."""


class ConsecutiveFrameTimeout(IsoTpFault, RemoteTimeout):
    """No consecutive frame came in time (N_Cr)."""


class TransmitTimeout(CarrierTimeout):
    """A frame of ours did not get onto the bus in time (N_As, N_Ar)."""


class Aborted(IsoTpFault):
    """A streamed message was given up by its own source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IsoTpOptions:
    """How a channel behaves. `stmin`: the byte that our flow control announces. `tx_dl`: frame length 8 to 64 (above 8: FD).
    `padding`: fill byte, or None for short classic frames. `max_wait_frames`: waits in a row that we put up with (N_WFTmax).
    `wait_frames`: waits that we send before each go-ahead, `wait_interval_ns` apart (to make testers prove themselves).
    """

    block_size: int = 0
    stmin: int = 0
    padding: int | None = None
    tx_dl: int = 8
    brs: bool = True
    rx_buffer_bytes: int = FF_SHORT_MAX
    max_wait_frames: int = 16
    wait_frames: int = 0
    wait_interval_ns: int = 100_000_000
    n_as_ns: int = N_DEFAULT_NS
    n_ar_ns: int = N_DEFAULT_NS
    n_bs_ns: int = N_DEFAULT_NS
    n_cr_ns: int = N_DEFAULT_NS

    def __post_init__(self) -> None:
        if self.tx_dl not in FD_LENGTHS[8:]:
            raise LocalMisuse(f"tx_dl is one of {FD_LENGTHS[8:]}, not {self.tx_dl}")
        for name, value in (("block_size", self.block_size), ("stmin", self.stmin), ("padding", self.padding or 0)):
            if not 0 <= value <= 0xFF:
                raise LocalMisuse(f"{name} is one byte, not {value}")
        if not 8 <= self.rx_buffer_bytes <= LENGTH_MAX:
            raise LocalMisuse(f"rx_buffer_bytes lies between 8 and {LENGTH_MAX}, not {self.rx_buffer_bytes}")


CLASSIC = IsoTpOptions()


class Received:
    """A whole message arrived."""

    __slots__ = ("channel", "payload")

    def __init__(self, channel: Channel, payload: bytes) -> None:
        self.channel = channel
        self.payload = payload


class FirstFrame:
    """A segmented message of `length` bytes began; `head` is what the first frame held (T_DataFF indication)."""

    __slots__ = ("channel", "head", "length")

    def __init__(self, channel: Channel, length: int, head: bytes) -> None:
        self.channel = channel
        self.length = length
        self.head = head


class Segment:
    """More bytes of a message that is streamed; the last one has `last` set."""

    __slots__ = ("channel", "data", "last")

    def __init__(self, channel: Channel, data: bytes, *, last: bool) -> None:
        self.channel = channel
        self.data = data
        self.last = last


class Sent:
    """A message of ours went out whole."""

    __slots__ = ("channel",)

    def __init__(self, channel: Channel) -> None:
        self.channel = channel


class Failed:
    """A transfer ended without success. `sending` says which direction."""

    __slots__ = ("channel", "error", "sending")

    def __init__(self, channel: Channel, error: Exception, *, sending: bool) -> None:
        self.channel = channel
        self.error = error
        self.sending = sending


Event = Received | FirstFrame | Segment | Sent | Failed
