"""What is true of each request for trouble codes (0x14, 0x19, 0x85) to the unit that is walked past: facts, written by hand."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from dtc_unit import CODES, OPTIONS
from walk import Fails, Probe, Situation

from ecu_sim.server import UdsServer

DTCS = CODES
DTC_MEMORY = replace(OPTIONS, setting_option="groups", writes_from_mv=9_000)
"""Codes 029900 and 010300 (emissions; the second in readiness group 1), 410200 (group D0), C10400 without records, and 810300 in
memory 10. Memory 11 is empty. Frames 1 and 2, extended data 01, 02, 90.
"""
BOOST, DOOR, UNKNOWN = b"\x02\x99\x00", b"\x81\x03\x00", b"\x12\x34\x56"
NOT_DEFAULT = (2, 3)


def _supply(millivolts: int) -> Callable[[UdsServer], None]:
    def prepare(server: UdsServer) -> None:
        server.vehicle.supply_mv = millivolts

    return prepare


def _is_in(*extras: int) -> Fails:
    """Fail at these numbers of bytes too many."""
    return lambda _, extra: extra in extras


def _is_not_in(*extras: int) -> Fails:
    return lambda _, extra: extra not in extras


def clear() -> Iterator[Probe]:
    """A fifth byte selects a memory; one that is added by the walk is 00, which this unit has not."""

    def probe(body: bytes, lengths: tuple[int, ...], memory: Fails, group: Fails, *, writable: bool = True) -> Probe:
        return Probe(
            sid=0x14,
            body=body,
            fails={
                "exact length": _is_not_in(*lengths),
                "memory selection known": memory,
                "group known": group,
                "memory writable": not writable,
            },
            prepare=_supply(12_600 if writable else 8_999),
        )

    for group, unknown in ((b"\xff\xff\xff", False), (BOOST, False), (b"\xff\xff\x33", False), (b"\x40\0\0", False)):
        yield probe(group, (0, 1), _is_in(1), unknown)
    for group in (UNKNOWN, DOOR, b"\xff\xff\x34", b"\xc0\0\x01"):
        yield probe(group, (0, 1), _is_in(1), group=True)
    yield probe(b"\xff\xff\xff\x10", (0, -1), memory=False, group=False)
    yield probe(DOOR + b"\x10", (0, -1), memory=False, group=_is_in(-1))
    yield probe(BOOST + b"\x10", (0, -1), memory=False, group=_is_not_in(-1))
    yield probe(b"\xff\xff\xff\x12", (0, -1), memory=_is_not_in(-1), group=False)
    yield probe(b"\xff\xff\xff", (0, 1), _is_in(1), group=False, writable=False)


ROWS = {
    "": "",
    "memory": "memory selection known",
    "group": "functional group known",
    "readiness": "readiness group known",
    "dtc": "DTC known",
    "record": "record number known",
}
REPORTS: Mapping[int, tuple[tuple[bytes, str], ...]] = {
    **dict.fromkeys((0x01, 0x02), ((b"\xff", ""), (b"\x00", ""))),
    **dict.fromkeys((0x03, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x14, 0x15), ((b"", ""),)),
    0x04: (
        (BOOST + b"\x01", ""),
        (BOOST + b"\xff", ""),
        (BOOST + b"\x03", "record"),
        (BOOST + b"\x00", "record"),
        (UNKNOWN + b"\x01", "dtc"),
        (DOOR + b"\x01", "dtc"),
        (b"\xc1\x04\x00\x01", "record"),
    ),
    0x05: ((b"\x01", ""), (b"\xff", ""), (b"\x03", "record"), (b"\x00", "record")),
    0x06: (
        (BOOST + b"\x90", ""),
        (BOOST + b"\xfe", ""),
        (BOOST + b"\xff", ""),
        (BOOST + b"\x91", "record"),
        (BOOST + b"\x00", "record"),
        (UNKNOWN + b"\xff", "dtc"),
        (b"\xc1\x04\x00\x01", "record"),
    ),
    **dict.fromkeys((0x07, 0x08), ((b"\xe0\xff", ""), (b"\x00\x00", ""))),
    0x09: ((BOOST, ""), (UNKNOWN, "dtc"), (DOOR, "dtc")),
    0x16: ((b"\x90", ""), (b"\x91", "record"), (b"\xfe", "record"), (b"\xff", "record"), (b"\x00", "record")),
    0x17: ((b"\xff\x10", ""), (b"\xff\x11", ""), (b"\xff\x12", "memory")),
    0x18: (
        (DOOR + b"\x01\x10", ""),
        (DOOR + b"\x03\x10", "record"),
        (DOOR + b"\x01\x11", "dtc"),
        (BOOST + b"\x01\x10", "dtc"),
        (DOOR + b"\x01\x12", "memory"),
    ),
    0x19: (
        (DOOR + b"\xfe\x10", ""),
        (DOOR + b"\x03\x10", "record"),
        (BOOST + b"\xff\x10", "dtc"),
        (DOOR + b"\x01\x00", "memory"),
    ),
    0x1A: ((b"\x01", ""), (b"\xef", ""), (b"\x00", "record"), (b"\xf0", "record"), (b"\xff", "record")),
    0x42: ((b"\x33\xff\xff", ""), (b"\xd0\x00\x00", ""), (b"\x34\xff\xff", "group"), (b"\xff\xff\xff", "group")),
    0x55: ((b"\x33", ""), (b"\x34", "group")),
    0x56: ((b"\x33\x01", ""), (b"\xd0\x01", ""), (b"\x33\x02", "readiness"), (b"\x34\x01", "group")),
}
"""Each report of the 2020 edition: what its request may hold, and the row at which it fails."""


def read_dtc() -> Iterator[Probe]:
    for sub in range(0x80):
        for body, fails in REPORTS.get(sub, ()):
            rows = {row: row == ROWS[fails] for row in ROWS.values() if row}
            yield Probe(sid=0x19, sub=sub, body=body, minimum=2, fails=rows)
        if sub not in REPORTS:
            yield Probe(
                sid=0x19,
                sub=sub,
                body=b"\xff",
                known=False,
                minimum=2,
                fixed=False,
                fails=dict.fromkeys(ROWS.values(), False),
            )


def control_dtc() -> Iterator[Probe]:
    """01 and 02 take a list of groups of three bytes; the unit's own 40 and 41 take none."""

    def probe(sub: int, body: bytes = b"", *, known: bool = True, unknown: bool = False) -> Probe:
        takes_list = sub in (1, 2)

        def wrong_length(_: Situation, extra: int) -> bool:
            size = len(body) + extra
            return size % 3 != 0 if takes_list else size != 0

        fails: dict[str, Fails] = {"exact length": wrong_length, "setting option known": unknown}
        return Probe(sid=0x85, sub=sub, body=body, sessions=NOT_DEFAULT, known=known, minimum=2, fails=fails)

    for sub in range(0x80):
        known = sub in (0x01, 0x02, 0x40, 0x41)
        yield probe(sub, known=known)
        if sub in (0x01, 0x02):
            yield from (probe(sub, group) for group in (BOOST, DOOR, b"\xff\xff\x33", b"\x40\0\0" + BOOST))
            yield from (probe(sub, group, unknown=True) for group in (UNKNOWN, BOOST + UNKNOWN, b"\xff\xff\x34"))
