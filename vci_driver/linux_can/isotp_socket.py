"""One ISO-TP socket of Linux (`linux/can/isotp.h`): how it is opened and set up, and what its errors mean.

Source of the errors' meanings: the head of `net/can/isotp.c`, which says what each direction reports.
"""

from __future__ import annotations

import errno
import socket
from struct import Struct

from vci_driver.api import ChannelUnavailable, InterfaceMissing
from vci_driver.linux_can.frames import AF_CAN, FD_BRS, FD_MTU
from vci_driver.linux_can.interfaces import Interface
from vci_driver.linux_can.raw_socket import reason
from wire.errors import NotOnThisCarrier
from wire.isotp_door import (
    N_DEFAULT_NS,
    BufferOverflow,
    ConsecutiveFrameTimeout,
    FlowControlTimeout,
    InvalidFlowStatus,
    IsoTpFault,
    IsoTpOptions,
    TransmitTimeout,
    WrongSequenceNumber,
)

CAN_ISOTP = 6
MESSAGE_MAX_BYTES = 8200
"""The longest message that every kernel takes: its buffer, where the module's parameter does not enlarge it."""
READ_BYTES = MESSAGE_MAX_BYTES + 1
"""So that a message which is too long shows itself."""

_SOL_CAN_ISOTP = 106
_OPTS, _RECV_FC, _LL_OPTS = 1, 2, 5
_TX_PADDING = 0x0004
_SF_BROADCAST = 0x0800
_OPTIONS = Struct("=IIBBBB")
_THREE_BYTES = Struct("=BBB")

SENDING_ERRORS = frozenset({errno.ECOMM, errno.ETIME, errno.EMSGSIZE, errno.EBADMSG})
"""What ends a message of ours; of these only EBADMSG can also mean a message to us, and that only where padding is checked."""


def refuse_what_the_kernel_cannot(options: IsoTpOptions) -> None:
    """Raise `NotOnThisCarrier` for options that the kernel's ISO-TP has no way to obey."""
    for name in ("n_as_ns", "n_ar_ns", "n_bs_ns", "n_cr_ns"):
        if getattr(options, name) != N_DEFAULT_NS:
            raise NotOnThisCarrier(
                f"the kernel's ISO-TP waits one second, whatever {name} says: leave it at its default"
            )
    if options.wait_frames:
        raise NotOnThisCarrier("the kernel's ISO-TP never asks its peer to wait: set wait_frames=0")
    if options.rx_buffer_bytes > MESSAGE_MAX_BYTES:
        raise NotOnThisCarrier(
            f"the kernel's ISO-TP takes messages of {MESSAGE_MAX_BYTES} bytes, not of {options.rx_buffer_bytes}"
        )


def open_isotp(interface: Interface, tx_id: int, rx_id: int | None, options: IsoTpOptions) -> socket.socket:
    """Return a non-blocking socket for this pair of identifiers. `rx_id` None: only sends, and only single frames."""
    if options.tx_dl > 8 and interface.mtu != FD_MTU:
        raise ChannelUnavailable(
            f"{interface.name} carries classic CAN only, and the options want CAN FD (tx_dl {options.tx_dl}): "
            f"'ip link set {interface.name} mtu {FD_MTU}' while it is down"
        )
    try:
        made = socket.socket(AF_CAN, socket.SOCK_DGRAM, CAN_ISOTP)
    except OSError as error:
        raise InterfaceMissing(
            f"{interface.name}: this kernel has no ISO-TP sockets ({reason(error)}): load them with 'modprobe can_isotp', or "
            "use the simulator's own ISO-TP"
        ) from error
    try:
        made.settimeout(0)
        flags = (0 if options.padding is None else _TX_PADDING) | (_SF_BROADCAST if rx_id is None else 0)
        made.setsockopt(_SOL_CAN_ISOTP, _OPTS, _OPTIONS.pack(flags, 0, 0, options.padding or 0, 0, 0))
        made.setsockopt(_SOL_CAN_ISOTP, _RECV_FC, _THREE_BYTES.pack(options.block_size, options.stmin, 0))
        if options.tx_dl > 8:
            bit_rate_switch = FD_BRS if options.brs else 0
            made.setsockopt(_SOL_CAN_ISOTP, _LL_OPTS, _THREE_BYTES.pack(FD_MTU, options.tx_dl, bit_rate_switch))
        made.bind((interface.name, rx_id or 0, tx_id))
    except OSError as error:
        made.close()
        raise ChannelUnavailable(f"{interface.name}: no ISO-TP socket for {tx_id:#x}: {reason(error)}") from error
    return made


def frames_of(length: int, options: IsoTpOptions) -> int:
    """Return how many frames a message of ours has: single frame, or first and consecutive frames."""
    tx_dl = options.tx_dl
    if length <= 7 or (tx_dl > 8 and length <= tx_dl - 2):
        return 1
    head = tx_dl - (2 if length <= 0xFFF else 6)
    return 1 + -(-(length - head) // (tx_dl - 1))


def transfer_error(number: int, *, frames_out: int) -> tuple[Exception, bool] | None:
    """Return what a socket's error says of a transfer, and whether that is one of ours; None where it says nothing.

    `frames_out`: how many of our frames were seen on the bus. Without any it is the bus that fails, not the peer.
    """
    if number in (errno.ECOMM, errno.ETIME):
        if not frames_out:
            return TransmitTimeout("not sent in time (N_As), says the kernel"), True
        return FlowControlTimeout("no flow control within 1000 ms (N_Bs), says the kernel"), True
    meanings: dict[int, tuple[IsoTpFault, bool]] = {
        errno.EMSGSIZE: (BufferOverflow("the receiver cannot take the message"), True),
        errno.EBADMSG: (InvalidFlowStatus("the flow control frame is malformed"), True),
        errno.ETIMEDOUT: (
            ConsecutiveFrameTimeout("no consecutive frame within 1000 ms (N_Cr), says the kernel"),
            False,
        ),
        errno.EILSEQ: (WrongSequenceNumber("a consecutive frame came out of turn, says the kernel"), False),
    }
    return meanings.get(number)
