"""Our frames as python-can's messages, and back."""

from __future__ import annotations

import can

from wire.frame import EXTENDED, EXTENDED_MASK, Frame


def to_message(frame: Frame) -> can.Message:
    """Return python-can's message for a frame."""
    return can.Message(
        arbitration_id=frame.can_id & EXTENDED_MASK,
        is_extended_id=frame.can_id >= EXTENDED,
        data=frame.data,
        is_fd=frame.fd,
        bitrate_switch=frame.brs,
    )


def to_frame(message: can.Message) -> Frame:
    """Return the frame of a data message."""
    can_id = message.arbitration_id | (EXTENDED if message.is_extended_id else 0)
    return Frame(can_id, bytes(message.data), message.is_fd, message.bitrate_switch)
