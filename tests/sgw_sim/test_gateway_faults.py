"""A gateway among lost, repeated, delayed and hostile frames: no route is ever wedged, nothing blocked ever comes out inside."""

from __future__ import annotations

import pytest
from gateway_rig import FUNCTIONAL, MS, OWN_REQUEST, UNITS, Rig, positive
from hypothesis import given, settings
from hypothesis import strategies as st

from wire.faults import FaultRule
from wire.frame import Frame
from wire.isotp_door import IsoTpOptions

READ = b"\x22\xf1\x90"
BOUND_NS = 2500 * MS
"""After this long without a fault a plain request works again: N_Bs, N_Cr and the answer window are 1 s each."""
ANSWERED = (0x10, 0x3E, 0x19, 0x22, 0x14)


def answer(payload: bytes) -> bytes:
    """Short requests get long answers and the other way round."""
    return positive(payload[:3]) + bytes(200) if len(payload) < 8 else positive(payload[:3])


rules = st.builds(
    FaultRule,
    kind=st.sampled_from(["drop", "duplicate", "delay", "corrupt", "error"]),
    bus=st.sampled_from([None, "obd", "body"]),
    can_id=st.sampled_from([None, 0x714, 0x77E]),
    skip=st.integers(0, 40),
    count=st.integers(1, 4),
    delay_ns=st.sampled_from([100_000, 3 * MS, 50 * MS]),
)
requests = st.lists(
    st.tuples(
        st.sampled_from(["engine", "cluster"]),
        st.sampled_from([READ, b"\x22" + bytes(80), b"\x2e\x06\x00" + bytes(50)]),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=80)
@given(
    rules=st.lists(rules, min_size=1, max_size=4),
    requests=requests,
    gap_ms=st.sampled_from([0, 1, 7, 60]),
    block_size=st.sampled_from([0, 2]),
    hold_ms=st.sampled_from([0, 1]),
)
def test_no_fault_wedges_a_route(
    rules: list[FaultRule], requests: list[tuple[str, bytes]], gap_ms: int, block_size: int, hold_ms: int
) -> None:
    options = IsoTpOptions(block_size=block_size)
    rig = Rig(default=answer, tester=options, inside=options, unit=options, hold_ns=hold_ms * MS)
    rig.faults(*rules)
    for unit, payload in requests:
        rig.tester.send(unit, payload)
        rig.world.run_for(gap_ms * MS)
    rig.world.run_for(1000 * MS)
    for bus in (rig.obd, *rig.inner):
        bus.faults = None
    rig.tester.give_up()
    rig.world.run_for(BOUND_NS)
    for unit in UNITS:
        assert rig.ask(unit, READ, 200 * MS) == [answer(READ)]


@given(lost=st.integers(0, 32), kind=st.sampled_from(["drop", "duplicate"]), bus=st.sampled_from(["obd", "body"]))
def test_one_lost_or_repeated_frame_costs_one_exchange_at_most(lost: int, kind: str, bus: str) -> None:
    rig = Rig(default=lambda payload: positive(payload[:100]))
    rig.faults(FaultRule(kind=kind, bus=bus, skip=lost, count=1))
    request = b"\x22" + bytes(120)
    rig.ask("cluster", request, 1500 * MS)
    rig.tester.give_up()
    assert rig.ask("cluster", request, 1500 * MS) == [positive(request[:100])]


@pytest.mark.parametrize("bus", ["powertrain", "body"])
def test_a_dead_inner_bus_leaves_the_others_alone(bus: str) -> None:
    rig = Rig(default=positive)
    rig.faults(FaultRule(kind="drop", bus=bus))
    dead, alive = ("engine", "cluster") if bus == "powertrain" else ("cluster", "engine")
    rig.tester.send(dead, READ)
    assert rig.ask(alive, READ) == [b"\x62\xf1\x90"]
    assert set(rig.ask_all(READ)) & {dead, alive} == {alive}


# ---- hostile frames

heads = st.sampled_from(
    [
        bytes.fromhex(text)
        for text in [
            "",
            "02 3E 80",
            "03 22 F1 90",
            "02 27 03",
            "10 14 2E 06",
            "10 14 22 F1",
            "21",
            "22",
            "30 00 00",
            "31 00 00",
            "32 00 00",
            "07 2E 06 00",
            "04 31 01 02 03",
            "05 31 01 C0 08",
            "10 0A 84 00 01 00 00 00",
        ]
    ]
)
hostile = st.tuples(
    st.sampled_from(
        [FUNCTIONAL, OWN_REQUEST, *(unit[1] for unit in UNITS.values()), *(unit[2] for unit in UNITS.values())]
    ),
    st.builds(lambda head, rest: (head + rest)[:8], heads, st.binary(max_size=8)),
)


def may_pass(message: bytes) -> bool:
    """What an armed J533 lets through, said once more and without its policy."""
    plain = bytes((message[0], message[1] & 0x7F)) + message[2:] if message[0] == 0x31 and len(message) > 1 else message
    if plain[0] == 0x84:
        return len(plain) > 8 and plain[8] != 0x84 and may_pass(plain[8:])
    return plain[0] in ANSWERED or plain[:4] in (b"\x31\x01\xc0\x08", b"\x31\x01\xc0\x04", b"\x31\x01\xc0\x0a")


@given(st.lists(hostile, min_size=1, max_size=80), st.sampled_from([0, 1]))
def test_no_frames_from_outside_bring_a_blocked_service_onto_an_inner_bus(
    frames: list[tuple[int, bytes]], hold_ms: int
) -> None:
    rig = Rig(default=answer, hold_ns=hold_ms * MS)
    attacker = rig.obd.attach("attacker")
    for can_id, data in frames:
        attacker.send(Frame(can_id, data))
    rig.world.run_for(6000 * MS)
    for ear, port in zip(rig.inside, (1, 2), strict=True):
        for can_id in [FUNCTIONAL, *(request for at, request, _ in UNITS.values() if at == port)]:
            assert all(may_pass(message) for message in ear.messages(can_id))
        asked = {FUNCTIONAL, *(request for at, request, _ in UNITS.values() if at == port)}
        own = {response for at, _, response in UNITS.values() if at == port}
        assert {can_id for _, can_id, _ in ear.frames} <= asked | own
    assert rig.ask("cluster", READ, 200 * MS)[-1:] == [answer(READ)]


@pytest.mark.parametrize("target", [OWN_REQUEST, FUNCTIONAL, 0x714])
@pytest.mark.parametrize("data", ["02 27 03", "03 22 F1 90"], ids=["blocked", "allowed"])
@pytest.mark.parametrize("inner_bitrate", [10_000, 500_000])
def test_a_flood_of_requests_does_not_stop_the_gateway(target: int, data: str, inner_bitrate: int) -> None:
    """Requests have priority over answers on the bus, so answers pile up; what cannot be sent is dropped, not queued for ever."""
    answering = False
    rig = Rig(default=lambda payload: positive(payload) if answering else None, hold_ns=0, inner_bitrate=inner_bitrate)
    attacker = rig.obd.attach("attacker")
    for _ in range(500):
        attacker.send(Frame(target, bytes.fromhex(data)))
    rig.world.run_for(20_000 * MS)
    answering = True
    rig.tester.give_up()
    assert rig.ask("cluster", READ, 1000 * MS) == [b"\x62\xf1\x90"]


def test_a_gateway_that_lost_its_supply_starts_afresh() -> None:
    rig = Rig(default=lambda _: bytes((0x62,)) + bytes(300))
    rig.tester.send("cluster", READ)
    rig.world.run_for(10 * MS)
    rig.gateway.lose_supply()
    rig.endpoint.flush()
    rig.tester.give_up()
    rig.world.run_for(1500 * MS)
    assert rig.ask("cluster", READ) == [bytes((0x62,)) + bytes(300)]


def test_a_gateway_that_is_down_hears_nothing() -> None:
    rig = Rig(default=positive)
    rig.server.reachable = False
    assert rig.ask("cluster", READ) == []
    assert rig.quiet_inside()
