"""RequestDownload 0x34, RequestUpload 0x35, TransferData 0x36, RequestTransferExit 0x37.

A transfer ends with the session, in S3, with terminal 15, sleep, a reset, or by a fault (0x71, 0x72). Who may is asked at each
block again: a grant that ends, or a supply that falls, stops it there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from ecu_sim.profile import FREE
from ecu_sim.services.memory import Area, cells_at, end_of_area, format_unknown, offer, read_area
from ecu_sim.services.request import NOT_DEFAULT, Check, Request, ServiceSpec
from ecu_sim.storage.encoding import COMPRESSIONS, Decoder, Plain, method_of
from ecu_sim.storage.options import KIB, Kind, Record
from ecu_sim.storage.software import BlockState
from ecu_sim.storage.transfer import Transfer
from ecu_sim.unit_event import UnitEvent

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer

FORMAT_AT = 2
"""Where addressAndLengthFormatIdentifier stands, behind dataFormatIdentifier."""
CRC_LEN = 4
ENDS_TRANSFER = frozenset(
    (
        UnitEvent.SESSION_CHANGE,
        UnitEvent.SAME_SESSION_AGAIN,
        UnitEvent.S3_TIMEOUT,
        UnitEvent.TERMINAL_15_OFF,
        UnitEvent.SLEEP,
    )
)
"""A reset forgets it anyway."""


class RegionTarget:
    """A download into memory."""

    def __init__(self, server: UdsServer, area: Area) -> None:
        self._storage = server.memory.storage
        self._cells = cells_at(server, area)
        self._region = area.region
        self._at = area.at
        self._server = server
        self.alignment = area.region.alignment

    def work_ns(self, count: int) -> int:
        """Return how long programming takes."""
        return count * self._region.program_per_kib_ns // KIB

    def takes(self, at: int, count: int) -> bool:
        """Return whether the cells can be programmed."""
        return self._storage.takes(self._region.name, self._at + at, count)

    def begin(self, at: int, count: int) -> None:
        """From now on these cells are not blank."""
        self._cells.spend(self._at + at, count)

    def write(self, at: int, data: bytes) -> None:
        """Program."""
        self._cells.write(self._at + at, data)

    def finish(self) -> None:
        """A block of the software is loaded."""
        set_block(self._server, self._region.name, BlockState.LOADED)


def set_block(server: UdsServer, region: str, state: BlockState) -> None:
    """Note how far the block of the software has come that fills a region, if one does."""
    flash = server.profile.flash
    name = flash.block_of(region) if flash else None
    if flash is not None and name is not None:
        server.memory.storage.software(flash).states[name] = state
        server.state.storage.software_touched = True


# ---- the request for a transfer


def transfer_runs(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    """Return the NRC for a second transfer beside one that runs; 0 without one, or where a new one takes its place."""
    options = server.profile.memory
    return options.busy_nrc if server.state.storage.transfer and options.during_transfer == "refuse" else 0


def format_of(server: UdsServer, data_format: int) -> str | None:
    """Return the compression that a dataFormatIdentifier names, None when the unit does not know it."""
    return method_of(data_format, server.profile.memory.compressions)


def begin_transfer(server: UdsServer, transfer: Transfer, request: Request, text: str) -> None:
    """Let a transfer take the place of none, or of one before."""
    end_transfer(server, request.now_ns, "a new one")
    server.state.storage.transfer = transfer
    server.note(request.now_ns, "transfer", text)


def end_transfer(server: UdsServer, now_ns: int, why: str) -> None:
    """Forget a transfer that has not come to its end."""
    transfer = server.state.storage.transfer
    if transfer is not None:
        server.state.storage.transfer = None
        server.note(now_ns, "transfer", f"broken off after {transfer.done} of {transfer.size} bytes: {why}")


def length_record(max_block_length: int) -> bytes:
    """Return maxNumberOfBlockLength in as few bytes as hold it."""
    return max_block_length.to_bytes((max_block_length.bit_length() + 7) // 8, "big")


def _exact_len(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    return end_of_area(request, at=FORMAT_AT)


def _data_format_unknown(server: UdsServer, request: Request) -> int:
    return format_of(server, request.payload[1]) is None


def _not_downloadable(server: UdsServer, request: Request) -> int:
    area = read_area(server, request.payload[FORMAT_AT:])
    return offer(request, area, area.region.download if area else None)


def _not_uploadable(server: UdsServer, request: Request) -> int:
    area = read_area(server, request.payload[FORMAT_AT:])
    return offer(request, area, area.region.upload if area else None)


def fingerprint_missing(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    """Return whether the identifier that says who programs was not written in this session."""
    flash = server.profile.flash
    return flash is not None and flash.fingerprint is not None and flash.fingerprint not in server.state.written


def _no_fingerprint(server: UdsServer, request: Request) -> int:
    return request.found.region.kind is Kind.FLASH and fingerprint_missing(server, request)


def _not_erased(server: UdsServer, request: Request) -> int:
    area = request.found
    return area.region.kind is Kind.FLASH and not cells_at(server, area).is_blank(area.at, area.size)


def _request_answer(server: UdsServer, sid: int) -> bytes:
    length = length_record(server.profile.memory.max_block_length)
    return bytes((sid + 0x40, len(length) << 4)) + length


def _download(server: UdsServer, request: Request) -> bytes:
    area, options = request.found, server.profile.memory
    compression = format_of(server, request.payload[1])
    assert compression is not None
    transfer = Transfer(
        size=area.size,
        access=area.region.download,
        max_block_length=options.max_block_length,
        target=RegionTarget(server, area),
        decoder=COMPRESSIONS[compression][0](),
    )
    begin_transfer(server, transfer, request, f"download of {area.size} bytes into {area.region.name}")
    set_block(server, area.region.name, BlockState.LOADING)
    return _request_answer(server, request.sid)


def _upload(server: UdsServer, request: Request) -> bytes:
    area, options = request.found, server.profile.memory
    cells = cells_at(server, area)
    compression = format_of(server, request.payload[1])
    assert compression is not None
    if compression == "none":
        source, size = partial(_read_from, cells.read, area.at), area.size
    else:
        packed = COMPRESSIONS[compression][1](cells.read(area.at, area.size))
        source, size = partial(read_slice, packed), len(packed)
    transfer = Transfer(size=size, access=area.region.upload, max_block_length=options.max_block_length, source=source)
    begin_transfer(server, transfer, request, f"upload of {area.size} bytes from {area.region.name}")
    return _request_answer(server, request.sid)


def _read_from(read: Callable[[int, int], bytes], start: int, at: int, count: int) -> bytes:
    return read(start + at, count)


def read_slice(data: bytes, at: int, count: int) -> bytes:
    """Return a part of bytes, as an upload's source."""
    return data[at : at + count]


# ---- its blocks


@dataclass(slots=True)
class Step:
    """One block, as far as the ladder has looked into it. `plain`: unpacked; `decoder`: as it is after it."""

    transfer: Transfer
    repeated: bool = False
    plain: bytes = b""
    decoder: Decoder = field(default_factory=Plain)


def _no_transfer(server: UdsServer, request: Request) -> int:
    transfer = server.state.storage.transfer
    if transfer is None:
        return True
    request.found = Step(transfer)
    if transfer.access is not FREE:
        request.accesses = (transfer.access,)
    return False


def _wrong_block_length(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    return not request.found.transfer.right_length(len(request.payload))


def _wrong_counter(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    step, counter = request.found, request.payload[1]
    step.repeated = step.transfer.is_repetition(counter)
    return not step.repeated and not step.transfer.is_next(counter)


def _nothing_left(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    return not request.found.repeated and request.found.transfer.complete


def _not_decodable(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    step: Step = request.found
    transfer = step.transfer
    if step.repeated or transfer.target is None:
        return False
    step.decoder = transfer.decoder.copy()
    try:
        step.plain = step.decoder.decode(request.payload[2:], transfer.left + 1)
    except ValueError:
        return True
    return False


def _not_aligned(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    step: Step = request.found
    target = step.transfer.target
    return target is not None and len(step.plain) < step.transfer.left and len(step.plain) % target.alignment != 0


def _more_than_announced(server: UdsServer, request: Request) -> int:
    step: Step = request.found
    transfer = step.transfer
    limit = transfer.encoded_size
    coming = 0 if step.repeated else transfer.encoded_done + len(request.payload) - 2
    if len(step.plain) <= transfer.left and (limit is None or coming <= limit):
        return False
    end_transfer(server, request.now_ns, "more data than announced")
    return True


def _cells_fail(server: UdsServer, request: Request) -> int:
    step: Step = request.found
    target = step.transfer.target
    if target is None or target.takes(step.transfer.done, len(step.plain)):
        return False
    end_transfer(server, request.now_ns, "the memory cannot be programmed")
    return True


def _block_work_ns(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    step: Step = request.found
    target = step.transfer.target
    return 0 if target is None else target.work_ns(min(len(step.plain), step.transfer.left))


def _block_begins(server: UdsServer, request: Request) -> None:  # noqa: ARG001
    step: Step = request.found
    if step.transfer.target is not None:
        step.transfer.target.begin(step.transfer.done, min(len(step.plain), step.transfer.left))


def _transfer_data(server: UdsServer, request: Request) -> bytes:  # noqa: ARG001
    step: Step = request.found
    transfer, counter = step.transfer, request.payload[1]
    if step.repeated:
        return transfer.last_answer
    answer = bytes((0x76, counter))
    if transfer.target is None:
        data = transfer.next_part()
        answer += data
    else:
        data = step.plain
        transfer.target.write(transfer.done, data)
        transfer.decoder = step.decoder
        transfer.encoded_done += len(request.payload) - 2
    transfer.advance(counter, data, answer)
    return answer


# ---- its end


def _not_all(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    return not request.found.transfer.complete


def _wrong_record_length(server: UdsServer, request: Request) -> int:
    return len(request.payload) != 1 + (CRC_LEN if server.profile.memory.exit_request is Record.CRC_32 else 0)


def _wrong_record(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    record = request.payload[1:]
    return record != b"" and record != request.found.transfer.crc.to_bytes(CRC_LEN, "big")


def _exit(server: UdsServer, request: Request) -> bytes:
    transfer = request.found.transfer
    server.state.storage.transfer = None
    if transfer.target is not None:
        transfer.target.finish()
    server.note(request.now_ns, "transfer", f"{transfer.size} bytes, complete")
    with_crc = server.profile.memory.exit_answer is Record.CRC_32
    return b"\x77" + (transfer.crc.to_bytes(CRC_LEN, "big") if with_crc else b"")


def _listen(server: UdsServer, event: UnitEvent, now_ns: int) -> None:
    if event in ENDS_TRANSFER:
        end_transfer(server, now_ns, event.value)


_REQUEST_CHECKS: Mapping[str, Check] = {
    "no transfer runs": transfer_runs,
    "address format": partial(format_unknown, at=FORMAT_AT),
    "data format": _data_format_unknown,
}
SPECS = {
    0x34: ServiceSpec(
        serve=_download,
        sessions=NOT_DEFAULT,
        min_len=5,
        exact_len=_exact_len,
        checks={
            **_REQUEST_CHECKS,
            "area downloadable": _not_downloadable,
            "fingerprint written": _no_fingerprint,
            "area erased": _not_erased,
        },
    ),
    0x35: ServiceSpec(
        serve=_upload,
        sessions=NOT_DEFAULT,
        min_len=5,
        exact_len=_exact_len,
        checks={**_REQUEST_CHECKS, "area uploadable": _not_uploadable},
    ),
    0x36: ServiceSpec(
        serve=_transfer_data,
        sessions=NOT_DEFAULT,
        min_len=2,
        checks={
            "transfer requested": _no_transfer,
            "block length": _wrong_block_length,
            "block counter": _wrong_counter,
            "data left": _nothing_left,
            "data decodable": _not_decodable,
            "block aligned": _not_aligned,
            "data announced": _more_than_announced,
            "cells programmable": _cells_fail,
        },
        work_ns=_block_work_ns,
        begin=_block_begins,
        listen=_listen,
    ),
    0x37: ServiceSpec(
        serve=_exit,
        sessions=NOT_DEFAULT,
        checks={
            "transfer requested": _no_transfer,
            "all transferred": _not_all,
            "record length": _wrong_record_length,
            "record right": _wrong_record,
        },
    ),
}
