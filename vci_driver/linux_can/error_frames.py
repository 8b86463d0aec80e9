"""What a CAN controller reports of itself: Linux's error frames (`linux/can/error.h`), read into words and what follows."""

from __future__ import annotations

from dataclasses import dataclass

from vci_driver.linux_can.frames import ERROR

ALL_ERRORS = 0x1FFF_FFFF
"""The value of CAN_RAW_ERR_FILTER that asks for every class."""

_BUS_OFF = 0x40
_RESTARTED = 0x100
_CONTROLLER = 0x04
_RX_OVERFLOW = 0x01

_CLASSES = {
    0x01: "transmit timeout",
    0x02: "lost arbitration",
    0x08: "protocol violation",
    0x10: "transceiver",
    0x20: "no acknowledgement",
    _BUS_OFF: "bus-off",
    0x80: "bus error",
    _RESTARTED: "restarted",
}
_CONTROLLER_STATES = {
    _RX_OVERFLOW: "receive overflow",
    0x02: "transmit overflow",
    0x04: "error warning, receiving",
    0x08: "error warning, sending",
    0x10: "error passive, receiving",
    0x20: "error passive, sending",
    0x40: "error active again",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReport:
    """What one error frame says: `kinds` in words, and what changes for whoever uses the controller."""

    kinds: tuple[str, ...]
    bus_off: bool
    restarted: bool
    rx_overflow: bool


def read_error(can_id: int, data: bytes) -> ErrorReport:
    """Read an error frame: classes stand in the identifier, the controller's state in data byte 1."""
    classes = can_id & ~ERROR
    status = data[1] if classes & _CONTROLLER and len(data) > 1 else 0
    kinds = [word for bit, word in _CLASSES.items() if classes & bit]
    kinds += [word for bit, word in _CONTROLLER_STATES.items() if status & bit]
    return ErrorReport(
        kinds=tuple(kinds) or ("unspecified",),
        bus_off=bool(classes & _BUS_OFF),
        restarted=bool(classes & _RESTARTED),
        rx_overflow=bool(status & _RX_OVERFLOW),
    )
