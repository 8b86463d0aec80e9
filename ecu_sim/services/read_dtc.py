"""ReadDTCInformation 0x19: one table of its reports. A row says what the request holds, and builds what follows the echo.

Layouts as udsoncan, py-uds and the open iso14229 server have them; where they differ, a row says so. A known code without stored
records is answered positively, with code and status alone; an unknown code, record number, memory or group with 0x31. A record
number of all (FF, FE) never refuses a known code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ecu_sim.dtc_memory import FAULT_MAX
from ecu_sim.dtc_options import (
    ALL_OBD_RECORDS,
    ALL_RECORDS,
    EMISSIONS_GROUP,
    FIRST_OBD_RECORD,
    LAST_RECORD,
    PRIMARY,
    Dtc,
)
from ecu_sim.services.request import Request, ServiceSpec

if TYPE_CHECKING:
    from ecu_sim.dtc_records import Frame
    from ecu_sim.server import UdsServer

Field = Literal["mask", "severity", "dtc", "snapshot", "stored", "extended", "memory", "group", "readiness"]
_FRAME_FIELDS: tuple[Field, ...] = ("snapshot", "stored")
BOTH, UNTIL_2013, FROM_2020 = (2013, 2020), (2013,), (2020,)


@dataclass(frozen=True, slots=True)
class Report:
    """One sub-function: its name, the fields of its request in order, its answer, and the editions that have it."""

    name: str
    fields: tuple[Field, ...]
    answer: Callable[[UdsServer, Request], bytes]
    editions: tuple[int, ...] = BOTH


def _field(request: Request, name: Field) -> int | None:
    """Return a field of a request, or None where its report has none."""
    report = REPORTS.get(request.sub_function)
    at = 2
    for field in report.fields if report is not None else ():
        size = 3 if field == "dtc" else 1
        if field == name:
            return int.from_bytes(request.payload[at : at + size], "big")
        at += size
    return None


def _given(request: Request, name: Field) -> int:
    value = _field(request, name)
    assert value is not None, "the report's row names this field"
    return value


# ---- questions of the ladder


def _request_len(server: UdsServer, request: Request) -> int:  # noqa: ARG001
    report = REPORTS.get(request.sub_function)
    return 2 + sum(3 if field == "dtc" else 1 for field in (report.fields if report is not None else ()))


def _known_reports(server: UdsServer) -> frozenset[int]:
    return _BY_EDITION[server.profile.edition]


def _unknown_memory(server: UdsServer, request: Request) -> int:
    memory = _field(request, "memory")
    return memory is not None and memory not in server.profile.dtc_memory.user_memories


def _unknown_functional_group(server: UdsServer, request: Request) -> int:
    group = _field(request, "group")
    return group is not None and all(dtc.functional_group != group for dtc in server.profile.dtcs)


def _unknown_readiness_group(server: UdsServer, request: Request) -> int:
    group = _field(request, "readiness")
    return group is not None and all(dtc.readiness_group != group for dtc in server.profile.dtcs)


def _asked_dtc(server: UdsServer, request: Request) -> Dtc | None:
    code = _field(request, "dtc")
    dtc = None if code is None else server.dtcs.dtcs.get(code)
    if dtc is None:
        return None
    if request.sub_function == 0x10:
        return dtc if dtc.code in server.dtcs.records.mirror else None
    return dtc if dtc.memory == _field(request, "memory") else None


def _unknown_dtc(server: UdsServer, request: Request) -> int:
    return _field(request, "dtc") is not None and _asked_dtc(server, request) is None


def _unknown_record(server: UdsServer, request: Request) -> int:
    dtcs, code = server.dtcs, _asked_dtc(server, request)
    asked = [code] if code is not None else [dtc for dtc in server.profile.dtcs if dtc.memory is PRIMARY]
    for name in _FRAME_FIELDS:
        frame = _field(request, name)
        if frame is not None:
            return frame != ALL_RECORDS and all(frame != one.number for dtc in asked for one in dtcs.snapshots_of(dtc))
    number = _field(request, "extended")
    if number is None:
        return False
    if request.sub_function == 0x1A:
        return not 1 <= number <= LAST_RECORD
    if request.sub_function != 0x16 and number in (ALL_RECORDS, ALL_OBD_RECORDS):
        return False
    return all(number != one.number for dtc in asked for one in dtcs.extended_of(dtc))


# ---- what answers are made of


def _mask(server: UdsServer) -> bytes:
    return bytes((server.profile.dtc_memory.status_availability,))


def _status(server: UdsServer, dtc: Dtc) -> int:
    return server.dtcs.status(dtc.code) & server.profile.dtc_memory.status_availability


def _line(server: UdsServer, dtc: Dtc) -> bytes:
    return dtc.code.to_bytes(3, "big") + bytes((_status(server, dtc),))


def _lines(server: UdsServer, dtcs: Iterable[Dtc]) -> bytes:
    return b"".join(_line(server, dtc) for dtc in dtcs)


def _primary(server: UdsServer) -> list[Dtc]:
    return [dtc for dtc in server.profile.dtcs if dtc.memory is PRIMARY]


def _severity(server: UdsServer, dtc: Dtc) -> int:
    return dtc.severity & server.profile.dtc_memory.severity_availability


def _matching(server: UdsServer, request: Request, dtcs: Iterable[Dtc]) -> list[Dtc]:
    """Return the codes of which a bit of the mask is set; the severity mask has to match as well, where there is one."""
    mask, severity = _given(request, "mask"), _field(request, "severity")
    return [
        dtc for dtc in dtcs if _status(server, dtc) & mask and (severity is None or _severity(server, dtc) & severity)
    ]


def _count(server: UdsServer, count: int) -> bytes:
    return _mask(server) + bytes((server.profile.dtc_memory.format,)) + count.to_bytes(2, "big")


def _frame(number: int, frame: Frame) -> bytes:
    data = b"".join(did.to_bytes(2, "big") + value for did, value in frame)
    return bytes((number, len(frame))) + data


# ---- answers


def _count_matching(server: UdsServer, request: Request) -> bytes:
    return _count(server, len(_matching(server, request, _primary(server))))


def _list_matching(server: UdsServer, request: Request) -> bytes:
    return _mask(server) + _lines(server, _matching(server, request, _primary(server)))


def _list_supported(server: UdsServer, request: Request) -> bytes:  # noqa: ARG001
    return _mask(server) + _lines(server, _primary(server))


def _snapshot_identification(server: UdsServer, request: Request) -> bytes:  # noqa: ARG001
    return b"".join(
        dtc.code.to_bytes(3, "big") + bytes((number,))
        for dtc in _primary(server)
        for number, _ in server.dtcs.frames(dtc)
    )


def _snapshots_of_dtc(server: UdsServer, request: Request) -> bytes:
    dtc, asked, memory = _asked_dtc(server, request), _given(request, "snapshot"), _field(request, "memory")
    assert dtc is not None
    frames = [_frame(*entry) for entry in server.dtcs.frames(dtc) if asked in (entry[0], ALL_RECORDS)]
    return (b"" if memory is None else bytes((memory,))) + _line(server, dtc) + b"".join(frames)


def _stored_data(server: UdsServer, request: Request) -> bytes:
    asked = _given(request, "stored")
    found = [
        bytes((number,)) + _line(server, dtc) + _frame(number, frame)[1:]
        for dtc in _primary(server)
        for number, frame in server.dtcs.frames(dtc)
        if asked in (number, ALL_RECORDS)
    ]
    return b"".join(found) or bytes((asked,))


def _is_asked(number: int, asked: int) -> bool:
    return asked in (number, ALL_RECORDS) or (asked == ALL_OBD_RECORDS and number >= FIRST_OBD_RECORD)


def _extended_of_dtc(server: UdsServer, request: Request) -> bytes:
    dtc, asked, memory = _asked_dtc(server, request), _given(request, "extended"), _field(request, "memory")
    assert dtc is not None
    data = [bytes(entry) for entry in server.dtcs.extended_data(dtc) if _is_asked(entry[0], asked)]
    return (b"" if memory is None else bytes((memory,))) + _line(server, dtc) + b"".join(data)


def _list_severity(server: UdsServer, request: Request) -> bytes:
    return _mask(server) + b"".join(_severity_line(server, dtc) for dtc in _matching(server, request, _primary(server)))


def _severity_of_dtc(server: UdsServer, request: Request) -> bytes:
    dtc = _asked_dtc(server, request)
    assert dtc is not None
    return _mask(server) + _severity_line(server, dtc)


def _severity_line(server: UdsServer, dtc: Dtc) -> bytes:
    return bytes((_severity(server, dtc), dtc.functional_unit)) + _line(server, dtc)


def _one_by_age(
    name: Literal["first_failed", "recent_failed", "first_confirmed", "recent_confirmed"],
) -> Callable[[UdsServer, Request], bytes]:
    """Return the answer that names the first or the most recent code; none where there is none since the last clearing."""
    choose = min if name.startswith("first") else max

    def answer(server: UdsServer, request: Request) -> bytes:  # noqa: ARG001
        states = server.dtcs.records.states
        ages = {getattr(states[dtc.code], name): dtc for dtc in _primary(server)}
        ages.pop(0, None)
        return _mask(server) + (_line(server, ages[choose(ages)]) if ages else b"")

    return answer


def _mirrored(server: UdsServer, request: Request) -> list[bytes]:
    available, mask = server.profile.dtc_memory.status_availability, _given(request, "mask")
    return [
        code.to_bytes(3, "big") + bytes((entry.status & available,))
        for code, entry in server.dtcs.records.mirror.items()
        if entry.status & available & mask
    ]


def _list_mirror(server: UdsServer, request: Request) -> bytes:
    return _mask(server) + b"".join(_mirrored(server, request))


def _count_mirror(server: UdsServer, request: Request) -> bytes:
    return _count(server, len(_mirrored(server, request)))


def _extended_of_mirror(server: UdsServer, request: Request) -> bytes:
    code, asked = _given(request, "dtc"), _given(request, "extended")
    entry = server.dtcs.records.mirror[code]
    head = code.to_bytes(3, "big") + bytes((entry.status & server.profile.dtc_memory.status_availability,))
    return head + b"".join(bytes(one) for one in entry.extended if _is_asked(one[0], asked))


def _count_emissions(server: UdsServer, request: Request) -> bytes:
    return _count(server, len(_matching(server, request, _in_group(server, EMISSIONS_GROUP))))


def _list_emissions(server: UdsServer, request: Request) -> bytes:
    return _mask(server) + _lines(server, _matching(server, request, _in_group(server, EMISSIONS_GROUP)))


def _fault_counters(server: UdsServer, request: Request) -> bytes:  # noqa: ARG001
    """Those that are on their way to a failure: from 1 to 126 (general knowledge: "prefailed")."""
    counters = ((dtc, server.dtcs.fault_counter(dtc.code)) for dtc in _primary(server))
    return b"".join(
        dtc.code.to_bytes(3, "big") + bytes((counter,)) for dtc, counter in counters if 0 < counter < FAULT_MAX
    )


def _permanent(server: UdsServer) -> list[Dtc]:
    return [server.dtcs.dtcs[code] for code in server.dtcs.records.permanent]


def _list_permanent(server: UdsServer, request: Request) -> bytes:  # noqa: ARG001
    return _mask(server) + _lines(server, _permanent(server))


def _extended_by_number(server: UdsServer, request: Request) -> bytes:
    asked = _given(request, "extended")
    return bytes((asked,)) + b"".join(
        _line(server, dtc) + bytes((value,))
        for dtc in _primary(server)
        for number, value in server.dtcs.extended_data(dtc)
        if number == asked
    )


def _list_user_memory(server: UdsServer, request: Request) -> bytes:
    memory = _given(request, "memory")
    there = [dtc for dtc in server.profile.dtcs if dtc.memory == memory]
    return bytes((memory,)) + _mask(server) + _lines(server, _matching(server, request, there))


def _list_with_extended(server: UdsServer, request: Request) -> bytes:
    """No record number follows where no code has one (py-uds: it is optional)."""
    asked = _given(request, "extended")
    having = [dtc for dtc in _primary(server) if any(one.number == asked for one in server.dtcs.extended_of(dtc))]
    return _mask(server) + (bytes((asked,)) + _lines(server, having) if having else b"")


def _in_group(server: UdsServer, group: int) -> list[Dtc]:
    return [dtc for dtc in _primary(server) if dtc.functional_group == group]


def _list_obd(server: UdsServer, request: Request) -> bytes:
    options, group = server.profile.dtc_memory, _given(request, "group")
    head = bytes((group, options.status_availability, options.severity_availability, options.obd_format))
    matching = _matching(server, request, _in_group(server, group))
    return head + b"".join(bytes((_severity(server, dtc),)) + _line(server, dtc) for dtc in matching)


def _list_obd_permanent(server: UdsServer, request: Request) -> bytes:
    """Four bytes a code (py-uds, iso14229, uds of Rust); udsoncan 1.25 expects the severity before each, as in 0x42."""
    options, group = server.profile.dtc_memory, _given(request, "group")
    there = [dtc for dtc in _permanent(server) if dtc.functional_group == group]
    return bytes((group, options.status_availability, options.obd_format)) + _lines(server, there)


def _list_readiness(server: UdsServer, request: Request) -> bytes:
    options, group, readiness = server.profile.dtc_memory, _given(request, "group"), _given(request, "readiness")
    there = [dtc for dtc in _in_group(server, group) if dtc.readiness_group == readiness]
    head = bytes((group, options.status_availability, options.obd_format, readiness))
    return head + _lines(server, there)


REPORTS: dict[int, Report] = {
    0x01: Report("reportNumberOfDTCByStatusMask", ("mask",), _count_matching),
    0x02: Report("reportDTCByStatusMask", ("mask",), _list_matching),
    0x03: Report("reportDTCSnapshotIdentification", (), _snapshot_identification),
    0x04: Report("reportDTCSnapshotRecordByDTCNumber", ("dtc", "snapshot"), _snapshots_of_dtc),
    0x05: Report("reportDTCStoredDataByRecordNumber", ("stored",), _stored_data),
    0x06: Report("reportDTCExtDataRecordByDTCNumber", ("dtc", "extended"), _extended_of_dtc),
    0x07: Report("reportNumberOfDTCBySeverityMaskRecord", ("severity", "mask"), _count_matching),
    0x08: Report("reportDTCBySeverityMaskRecord", ("severity", "mask"), _list_severity),
    0x09: Report("reportSeverityInformationOfDTC", ("dtc",), _severity_of_dtc),
    0x0A: Report("reportSupportedDTC", (), _list_supported),
    0x0B: Report("reportFirstTestFailedDTC", (), _one_by_age("first_failed")),
    0x0C: Report("reportFirstConfirmedDTC", (), _one_by_age("first_confirmed")),
    0x0D: Report("reportMostRecentTestFailedDTC", (), _one_by_age("recent_failed")),
    0x0E: Report("reportMostRecentConfirmedDTC", (), _one_by_age("recent_confirmed")),
    0x0F: Report("reportMirrorMemoryDTCByStatusMask", ("mask",), _list_mirror, UNTIL_2013),
    0x10: Report("reportMirrorMemoryDTCExtDataRecordByDTCNumber", ("dtc", "extended"), _extended_of_mirror, UNTIL_2013),
    0x11: Report("reportNumberOfMirrorMemoryDTCByStatusMask", ("mask",), _count_mirror, UNTIL_2013),
    0x12: Report("reportNumberOfEmissionsOBDDTCByStatusMask", ("mask",), _count_emissions, UNTIL_2013),
    0x13: Report("reportEmissionsOBDDTCByStatusMask", ("mask",), _list_emissions, UNTIL_2013),
    0x14: Report("reportDTCFaultDetectionCounter", (), _fault_counters),
    0x15: Report("reportDTCWithPermanentStatus", (), _list_permanent),
    0x16: Report("reportDTCExtDataRecordByRecordNumber", ("extended",), _extended_by_number),
    0x17: Report("reportUserDefMemoryDTCByStatusMask", ("mask", "memory"), _list_user_memory),
    0x18: Report("reportUserDefMemoryDTCSnapshotRecordByDTCNumber", ("dtc", "snapshot", "memory"), _snapshots_of_dtc),
    0x19: Report("reportUserDefMemoryDTCExtDataRecordByDTCNumber", ("dtc", "extended", "memory"), _extended_of_dtc),
    0x1A: Report("reportSupportedDTCExtDataRecord", ("extended",), _list_with_extended, FROM_2020),
    0x42: Report("reportWWHOBDDTCByMaskRecord", ("group", "mask", "severity"), _list_obd),
    0x55: Report("reportWWHOBDDTCWithPermanentStatus", ("group",), _list_obd_permanent),
    0x56: Report(
        "reportDTCInformationByDTCReadinessGroupIdentifier", ("group", "readiness"), _list_readiness, FROM_2020
    ),
}
_BY_EDITION = {
    edition: frozenset(number for number, report in REPORTS.items() if edition in report.editions) for edition in BOTH
}


def _read(server: UdsServer, request: Request) -> bytes:
    return bytes((0x59, request.sub_function)) + REPORTS[request.sub_function].answer(server, request)


SPECS = {
    0x19: ServiceSpec(
        serve=_read,
        min_len=2,
        exact_len=_request_len,
        sub_functions=_known_reports,
        checks={
            "memory selection known": _unknown_memory,
            "functional group known": _unknown_functional_group,
            "readiness group known": _unknown_readiness_group,
            "DTC known": _unknown_dtc,
            "record number known": _unknown_record,
        },
    ),
}
