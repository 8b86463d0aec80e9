"""The witness's own reading of frames: whole messages of every length, no frame that makes it raise, and its table of facts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.monitor import protected
from bench.monitor.reassembly import Reassembly
from bench.monitor.watched import WatchedCar, WatchedUnit
from bench.monitor.witness import Witness
from wire.frame import Frame
from wire.portal_api import AuditRecord

S = 1_000_000_000
CAR = WatchedCar(
    make="vag",
    vin="WVWZZZCDZSW000001",
    units=(
        WatchedUnit(name="gateway", request_id=0x710, response_id=0x77A, address=0x19, bus="obd", own_lock=True),
        WatchedUnit(name="cluster", request_id=0x714, response_id=0x77E, address=0x17, bus="body", own_lock=True),
    ),
    gateway="gateway",
    obd_bus="obd",
    functional_ids=(0x700,),
)


def frames_of(payload: bytes, dl: int = 8) -> list[bytes]:
    """Segment by the book, a few lines, to read against."""
    if len(payload) <= 7:
        return [bytes((len(payload),)) + payload]
    if dl > 8 and len(payload) <= dl - 2:
        return [bytes((0, len(payload))) + payload]
    size = len(payload)
    head = bytes((0x10 | size >> 8, size & 0xFF)) if size <= 4095 else b"\x10\x00" + size.to_bytes(4, "big")
    first = dl - len(head)
    rest = [payload[at : at + dl - 1] for at in range(first, size, dl - 1)]
    return [head + payload[:first]] + [bytes((0x20 | (n & 0xF),)) + part for n, part in enumerate(rest, 1)]


@given(st.binary(min_size=1, max_size=5000), st.sampled_from([8, 64]), st.sampled_from([b"", b"\xaa" * 8]))
def test_messages_of_every_length_are_read_whole(payload: bytes, dl: int, padding: bytes) -> None:
    reader = Reassembly()
    frames = frames_of(payload, dl)
    frames[-1] = (frames[-1] + padding)[: max(len(frames[-1]), 8)]
    heard = [message for frame in frames if (message := reader.take(frame)) is not None]
    assert heard == [payload]


def test_a_lost_frame_loses_the_message_and_not_the_next() -> None:
    reader = Reassembly()
    frames = frames_of(bytes(range(60)))
    assert [reader.take(frame) for frame in frames[:3] + frames[4:]] == [None] * (len(frames) - 1)
    assert [reader.take(frame) for frame in frames][-1] == bytes(range(60))


def test_a_single_frame_in_between_ends_a_message() -> None:
    reader = Reassembly()
    frames = frames_of(bytes(range(20)))
    assert reader.take(frames[0]) is None
    assert reader.take(b"\x02\x3e\x00") == b"\x3e\x00"
    assert [reader.take(frame) for frame in frames[1:]] == [None, None]


@given(st.lists(st.binary(max_size=64), max_size=60))
def test_odd_frames_are_read_without_a_word(frames: list[bytes]) -> None:
    reader = Reassembly()
    for frame in frames:
        reader.take(frame)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["obd", "body", "unknown"]),
            st.sampled_from([0x700, 0x710, 0x714, 0x77A, 0x77E]),
            st.binary(max_size=64),
        ),
        max_size=60,
    )
)
def test_the_witness_never_raises_whatever_stands_on_the_buses(frames: list[tuple[str, int, bytes]]) -> None:
    witness = Witness(CAR, 0)
    for number, (bus, can_id, data) in enumerate(frames):
        witness.tap(bus)(number, None, Frame(can_id, data), "")


def say(witness: Witness, at_ns: int, can_id: int, message: str, bus: str = "obd") -> None:
    for frame in frames_of(bytes.fromhex(message)):
        witness.tap(bus)(at_ns, None, Frame(can_id, frame), "")


def issued(number: str = "ab" * 16, vin: str = CAR.vin, address: int = 0x17, utc_s: int = 0) -> AuditRecord:
    return AuditRecord(
        audit_id="1",
        utc_s=utc_s,
        action="unlock issued",
        person="t@x",
        company="c",
        make="vag",
        vin=vin,
        ecu_address=address,
        role=2,
        scope=511,
        subject=f"sfd-token:{number}",
    )


TOKEN = "31 01 C0 04" + "ab" * 16 + CAR.vin.encode().hex()


@pytest.mark.parametrize(
    ("record", "rules"),
    [
        (issued(), []),
        (issued(number="cd" * 16), ["grant without an issued unlock"]),
        (issued(vin="WVWZZZCDZSW000002"), ["grant without an issued unlock"]),
        (issued(address=0x03), ["grant without an issued unlock"]),
        (issued(utc_s=60), ["grant without an issued unlock"]),
    ],
    ids=["issued", "other token", "other vehicle", "other unit", "issued later"],
)
def test_a_token_counts_only_with_its_own_record(record: AuditRecord, rules: list[str]) -> None:
    witness = Witness(CAR, 0)
    witness.audit(record)
    say(witness, 0, 0x714, TOKEN)
    say(witness, 1, 0x77E, "71 01 C0 04 24")
    assert [violation.rule for violation in witness.violations] == rules


def test_the_window_is_90_minutes_to_the_second() -> None:
    witness = Witness(CAR, 0)
    witness.bonnet(is_open=True, odometer_km=300)
    witness.audit(issued())
    say(witness, 0, 0x714, TOKEN)
    say(witness, 0, 0x77E, "71 01 C0 04 24")
    for at_s, found in ((5399, 0), (5400, 1)):
        say(witness, at_s * S, 0x714, "31 01 02 03")
        say(witness, at_s * S + 1, 0x77E, "71 01 02 03 01")
        assert len(witness.violations) == found


def test_a_refusal_is_no_answer() -> None:
    witness = Witness(CAR, 0)
    say(witness, 0, 0x714, "2E 06 00 01")
    say(witness, 1, 0x77E, "7F 2E 33")
    say(witness, 2, 0x77E, "6E 06 00")
    assert not witness.violations


def test_buses_it_was_not_told_of_hold_nothing_for_it() -> None:
    witness = Witness(CAR, 0)
    say(witness, 0, 0x714, "2E 06 00 01", bus="engine bay")
    say(witness, 1, 0x77E, "6E 06 00", bus="engine bay")
    assert (witness.requests_seen, witness.violations) == (0, [])


BLOCKED = [
    "11 01",
    "27 03",
    "28 00",
    "29 00",
    "2E",
    "2F",
    "31 01 02 03",
    "34",
    "35",
    "36",
    "37",
    "38",
    "3D",
    "84",
    "85",
]


@pytest.mark.parametrize("request_", BLOCKED)
@pytest.mark.parametrize("make", ["vag", "mercedes"])
def test_its_own_table_blocks_what_the_makes_block(make: str, request_: str) -> None:
    assert protected.blocked_behind(make, bytes.fromhex(request_))


@pytest.mark.parametrize("request_", ["10 03", "3E 00", "19 02", "22 F1 90", "14 FF FF FF"])
@pytest.mark.parametrize("make", ["vag", "mercedes"])
def test_its_own_table_leaves_reading_free(make: str, request_: str) -> None:
    assert not protected.blocked_behind(make, bytes.fromhex(request_))
