"""Flashes a control unit: the way of a programming tester, on udsoncan's client. What an image holds is the unit's own business.

    extended session, trouble codes off, other traffic off -> programming session, level -> fingerprint
    each block: erase -> RequestDownload, TransferData ..., RequestTransferExit -> check of the contents
    check of the dependencies -> reset

A unit in its boot loader has nothing to switch off and says so; the rest of the way is the same.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from udsoncan import MemoryLocation
from udsoncan.exceptions import NegativeResponseException
from udsoncan.services.CommunicationControl import CommunicationControl
from udsoncan.services.ControlDTCSetting import ControlDTCSetting
from udsoncan.services.ECUReset import ECUReset

from vci_driver.uds_connection import EcuClient
from wire.errors import LocalMisuse, RemoteFault
from wire.uds import Nrc, Session

ERASE_RID, CHECK_RID, DEPENDENCIES_RID = 0xFF00, 0x0202, 0xFF01
FINGERPRINT_DID = 0xF15A
PROGRAMMING_LEVEL = 0x11
BLOCK_OVERHEAD = 2
"""maxNumberOfBlockLength counts service and counter."""
ALL_MESSAGES = 0x03
"""communicationType: normal and network management messages."""
NOT_OFFERED = frozenset((Nrc.serviceNotSupported, Nrc.serviceNotSupportedInActiveSession, Nrc.subFunctionNotSupported))
STATUS_WELL = b"\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlashBlock:
    """One logical block: its number, where it goes, what it holds."""

    number: int
    address: int
    data: bytes

    def __post_init__(self) -> None:
        """Refuse what no request can say."""
        if not 0 <= self.number <= 0xFF:
            raise LocalMisuse(f"a block's number is one byte, not {self.number}")
        if not self.data or self.address < 0 or self.address + len(self.data) > 1 << 32:
            raise LocalMisuse("a block has at least one byte, within an address of 32 bits")


@dataclass(frozen=True, slots=True, kw_only=True)
class FlashReport:
    """What was done. `finished` False: it was stopped on the way, as `stop_after` wanted."""

    ecu: str
    transferred: int
    finished: bool


class FlashRefused(RemoteFault):
    """A unit answered well, and what it says is that a step did not succeed."""


def flash(
    client: EcuClient,
    name: str,
    blocks: tuple[FlashBlock, ...],
    *,
    fingerprint: bytes,
    level: int = PROGRAMMING_LEVEL,
    stop_after: int | None = None,
) -> FlashReport:
    """Flash blocks and reset the unit. `stop_after`: stop behind so many TransferData, as a pulled plug would.

    Raises what udsoncan raises, and `FlashRefused`.
    """
    if not blocks:
        raise LocalMisuse("an image has at least one block")
    _enter(client, level)
    client.write_data_by_identifier(FINGERPRINT_DID, fingerprint)
    sent = transferred = 0
    for block in blocks:
        _routine(client, name, ERASE_RID, bytes((block.number,)), f"erase block {block.number}")
        size = _block_size(client, block)
        for counter, at in enumerate(range(0, len(block.data), size), start=1):
            if sent == stop_after:
                return FlashReport(ecu=name, transferred=transferred, finished=False)
            part = block.data[at : at + size]
            client.transfer_data(counter & 0xFF, part)
            sent, transferred = sent + 1, transferred + len(part)
        client.request_transfer_exit()
        checksum = zlib.crc32(block.data).to_bytes(4, "big")
        _routine(client, name, CHECK_RID, bytes((block.number,)) + checksum, f"check block {block.number}")
    _routine(client, name, DEPENDENCIES_RID, b"", "check the dependencies")
    client.ecu_reset(ECUReset.ResetType.hardReset)
    return FlashReport(ecu=name, transferred=transferred, finished=True)


def _enter(client: EcuClient, level: int) -> None:
    client.change_session(Session.extendedDiagnosticSession)
    try:
        client.control_dtc_setting(ControlDTCSetting.SettingType.off)
        client.communication_control(CommunicationControl.ControlType.disableRxAndTx, ALL_MESSAGES)
    except NegativeResponseException as refused:
        if refused.response.code not in NOT_OFFERED:
            raise
    client.change_session(Session.programmingSession)
    client.unlock_security_access(level)


def _block_size(client: EcuClient, block: FlashBlock) -> int:
    """Ask for the download; return how much data one TransferData takes."""
    place = MemoryLocation(block.address, len(block.data), address_format=32, memorysize_format=32)
    answer = client.request_download(place)
    assert answer is not None
    size = int(answer.service_data.max_length) - BLOCK_OVERHEAD
    if size < 1:
        raise FlashRefused("the unit takes blocks without data only")
    return size


def _routine(client: EcuClient, name: str, rid: int, option: bytes, step: str) -> None:
    answer = client.start_routine(rid, option)
    assert answer is not None
    status = bytes(answer.service_data.routine_status_record)
    if status != STATUS_WELL:
        raise FlashRefused(f"{name!r} did not {step}: status {status.hex(' ')}")
