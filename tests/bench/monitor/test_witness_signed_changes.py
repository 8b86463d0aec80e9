"""The witness on a car with SFD2: what changes without a signature of the back end, for once and for exactly this, is caught."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lying_car import BEHIND, CAME_THROUGH, ask, change, on_bench, rules

from bench.bench import Bench
from bench.monitor.signed_changes import Ledger, inside, is_signed
from ecu_sim.profile import FREE
from ecu_sim.server import UdsServer
from ecu_sim.unlock.gate import Grant
from scenarios.strategy import Goal
from sgw_sim.arming import FilterArming, Observation
from vci_driver.outcome import UnlockFailed
from vci_driver.signed_changes import ChangeTerms, SignedChange
from wire.portal_api import AuditRecord
from wire.secured import SecuredMessage
from wire.token import ALL_SCOPES

ID = "vag-id"
PLAIN, NO_ORDER = "changed without a signature", "change without a signed order"
TWICE, BY_TOKEN = "a signed change was taken twice", "a token was taken where only signed changes count"
DATE = bytes.fromhex("2E F1 99 26 11 23")


def at_work() -> Bench:
    bench = on_bench(ID)
    bench.strategy.reach("logged-in", Goal())
    return bench


def signed(bench: Bench, unit: str = "cluster", inner: bytes = DATE) -> SignedChange:
    return bench.tester().core.change_signer.signed(unit, inner, ChangeTerms())


def send(bench: Bench, made: SignedChange, **changes: object) -> bytes:
    return bench.tester().core.link.request(made.unit, replace(made.message, **changes).encode())


def believe_all(bench: Bench, unit: str = "cluster") -> None:
    """From now on the unit's lock verifies nothing and takes everything."""
    gate = bench.car.unit(unit).gate
    gate.change_refused = lambda message, now_ns: ""
    gate.takes_secured = lambda inner: True
    gate.use_up = lambda message, now_ns: None


def demand_nothing(server: UdsServer) -> None:
    """From now on the unit takes each write and starts each routine as it comes."""
    profile = server.profile
    server.profile = replace(
        profile,
        dids={number: replace(did, write=did.write and FREE) for number, did in profile.dids.items()},
        routines={number: replace(routine, access=FREE) for number, routine in profile.routines.items()},
    )


def send_twice(bench: Bench) -> None:
    made = signed(bench)
    send(bench, made)
    send(bench, made)


def disarm(bench: Bench) -> None:
    change(bench, bonnet_open=True)


# ---- honest cars


def test_an_honest_car_is_never_accused() -> None:
    bench = at_work()
    assert send(bench, signed(bench))[:1] == b"\xc4"
    assert ask(bench, "cluster", "22 01 74") == bytes.fromhex("62 01 74 00 00 02 00")
    assert ask(bench, "cluster", "31 01 C0 0A")[0] == 0x71
    with pytest.raises(UnlockFailed):
        bench.tester().unlock("cluster")
    disarm(bench)
    assert ask(bench, "cluster", DATE.hex()) == bytes.fromhex("7F 2E 38")
    bench.tester().unlock("brakes")
    assert ask(bench, "brakes", "31 01 02 03")[0] == 0x71, "units with SFD go on as ever"
    assert rules(bench) == set()


def test_a_refusal_inside_accuses_nobody_and_uses_the_record_up() -> None:
    bench = at_work()
    made = signed(bench, inner=bytes.fromhex("2E 06 00 01"))
    assert send(bench, made)[-3:] == bytes.fromhex("7F 2E 13")
    assert rules(bench) == set()


# ---- liars


@pytest.mark.parametrize("request_", [DATE.hex(), "31 01 02 03"])
def test_a_unit_that_changes_without_the_wrapping_is_caught(request_: str) -> None:
    bench = at_work()
    disarm(bench)
    demand_nothing(bench.car.unit("cluster").server)
    ask(bench, "cluster", "10 03")
    assert ask(bench, "cluster", request_)[0] in (0x6E, 0x71)
    assert rules(bench) == {PLAIN}


LIES: dict[str, tuple[Callable[[Bench], object], str]] = {
    "other data than was signed": (lambda b: send(b, signed(b), inner=DATE[:-1] + b"\x24"), NO_ORDER),
    "another counter": (lambda b: send(b, signed(b), counter=77), NO_ORDER),
    "never signed": (lambda b: send(b, signed(b), inner=bytes.fromhex("31 01 02 03"), counter=1), NO_ORDER),
    "another unit's": (lambda b: ask(b, "cluster", signed(b, "airbag").message.encode().hex()), NO_ORDER),
    "twice": (send_twice, TWICE),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_unit_that_takes_what_was_not_signed_for_this_once_is_caught(lie: str) -> None:
    bench = at_work()
    act, rule = LIES[lie]
    believe_all(bench)
    ask(bench, "cluster", "10 03")
    act(bench)
    assert rules(bench) == {rule}


def test_a_change_that_was_refused_and_then_taken_is_caught() -> None:
    bench = at_work()
    change(bench, supply_mv=10_500)
    for inner in ("2E F1 99 26 11 23", "2E F1 98 00 00 01 E2 40 07"):
        send(bench, signed(bench, inner=bytes.fromhex(inner)))
    made = signed(bench, inner=bytes.fromhex("2E 06 00 01 02 03 04 05 06 07 08"))
    assert send(bench, made)[-3:] == bytes.fromhex("7F 2E 93")
    change(bench, supply_mv=12_600)
    believe_all(bench)
    assert send(bench, made)[-3:] == bytes.fromhex("6E 06 00")
    assert rules(bench) == {TWICE}


def test_a_unit_with_sfd2_that_takes_a_token_is_caught() -> None:
    bench = at_work()
    bench.car.unit("cluster").gate.routine = lambda rid, option, now_ns: b"\x24"
    ask(bench, "cluster", "31 01 C0 04 00 01 02")
    assert rules(bench) == {BY_TOKEN}


def test_a_unit_with_sfd2_that_says_open_is_caught() -> None:
    bench = at_work()
    bench.car.unit("cluster").gate.read_did = lambda did, now_ns: b"\x01\x02\x01\x59"
    ask(bench, "cluster", "22 01 74")
    assert rules(bench) == {"says open without a grant"}


def test_a_unit_with_sfd_that_serves_a_wrapped_write_without_a_grant_is_caught() -> None:
    bench = at_work()
    disarm(bench)
    unit = bench.car.unit("brakes")
    unit.server.receive = lambda payload, functional, now_ns: unit.server.outputs.append(
        bytes.fromhex("C4 00 00 01 00 00 00 01 71 01 02 03 01")
    )
    ask(bench, "brakes", "84 00 21 01 00 00 00 01 31 01 02 03")
    assert rules(bench) == {"answered without a grant"}


def test_a_gateway_that_lets_an_unsigned_wrapped_write_through_is_caught() -> None:
    bench = at_work()
    bench.car.gateway.arming = FilterArming(
        Observation(bonnet_open=True, odometer_km=1, body_controller_lost=False, crash=False)
    )
    assert not bench.car.gateway.armed
    ask(bench, "cluster", "10 03")
    ask(bench, "cluster", "84 00 01 01 00 00 00 01" + DATE.hex())
    assert rules(bench) == {CAME_THROUGH}


def test_an_unsigned_wrapped_write_that_is_answered_behind_an_armed_filter_is_caught() -> None:
    bench = at_work()
    bench.car.gateway.arming = FilterArming(
        Observation(bonnet_open=True, odometer_km=1, body_controller_lost=False, crash=False)
    )
    unit = bench.car.unit("brakes")
    unit.gate.grant = lambda now_ns: Grant(scheme="sfd", role=1, scope=ALL_SCOPES, ident="00", since_ns=0)
    unit.server.receive = lambda payload, functional, now_ns: unit.server.outputs.append(
        bytes.fromhex("C4 00 00 01 00 00 00 01 71 01 02 03 01")
    )
    ask(bench, "brakes", "84 00 01 01 00 00 00 01 31 01 02 03")
    assert rules(bench) >= {CAME_THROUGH, BEHIND}


def test_the_report_says_what_it_cannot_see_of_a_change() -> None:
    assert "what a signed change says of its role and scope" in on_bench(ID).findings().blind_spots
    assert "what a signed change says of its role and scope" not in on_bench("vag-golf").findings().blind_spots


def test_a_record_for_another_vehicle_counts_for_nothing() -> None:
    ledger = Ledger("WVWZZZE1ZRP000024")
    request = bytes.fromhex("84 00 21 01 00 00 00 01 2E")
    subject = f"signed-change:00:{hashlib.sha256(request).hexdigest()}"
    for vin, address, wrong in (
        ("WVWZZZE1ZRP000025", 0x17, NO_ORDER),
        ("WVWZZZE1ZRP000024", 0x15, NO_ORDER),
        ("WVWZZZE1ZRP000024", 0x17, ""),
    ):
        ledger.note(
            AuditRecord(
                audit_id="a",
                utc_s=0,
                action="change signed",
                person="p",
                company="c",
                make="vag",
                vin=vin,
                ecu_address=address,
                role=2,
                scope=1,
                subject=subject,
            )
        )
        assert ledger.take(0x17, request) == wrong
    assert ledger.take(0x17, request) == TWICE


# ---- its own reading


@given(st.binary(max_size=40))
def test_whatever_goes_by_is_read_without_a_word(message: bytes) -> None:
    assert inside(message) in message
    if is_signed(message):
        assert inside(message)
    Ledger("WVWZZZE1ZRP000024").take(1, message)


@given(st.binary(min_size=1, max_size=20), st.binary(max_size=20), st.integers(0, 0xFFFF))
def test_its_reading_agrees_with_the_format(inner: bytes, signature: bytes, counter: int) -> None:
    for sid in (0x84, 0xC4):
        wire = SecuredMessage(sid=sid, administrative=0x21, counter=counter, inner=inner, signature=signature).encode()
        assert inside(wire) == inner
        assert is_signed(wire) is bool(signature)
