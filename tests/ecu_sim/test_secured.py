"""SecuredDataTransmission 0x84 in a unit: in which order it refuses, what goes inside, what the answer looks like."""

from dataclasses import replace

import pytest
from ecu_bench import MS, Ecu, S
from hypothesis import given
from hypothesis import strategies as st
from sfd2_unit import PROFILE, WRITE, Sfd2Unit

from ecu_sim.profile import Access, ServiceRule
from ecu_sim.unlock.sfd2 import Sfd2Options
from wire.secured import Administrative, SecuredMessage

HEADER = "84 00 21 01 00 00 00 01"


def test_a_unit_without_the_service_does_not_know_it() -> None:
    assert Ecu().ask(HEADER + WRITE) == "7F 84 11"


def test_a_unit_whose_lock_verifies_nothing_verifies_nothing() -> None:
    for locked in (True, False):
        ecu = Ecu(services={**PROFILE.services}, locked=locked).extended()
        assert ecu.ask(HEADER + WRITE) == "7F 84 3A"


def test_the_default_session_has_it_not() -> None:
    unit = Sfd2Unit()
    change = unit.signed()
    unit.ask("10 01")
    assert unit.bring(change) == "7F 84 7F"
    unit.extended()
    assert unit.inside(change) == "6E 06 00"


def test_a_profile_may_offer_it_in_the_default_session() -> None:
    rule = ServiceRule(access=Access(sessions=frozenset((1, 3))))
    unit = Sfd2Unit(services={**PROFILE.services, 0x84: rule})
    change = unit.signed("2E 06 03 01 02")
    unit.ask("10 01")
    assert unit.inside(change) == "6E 06 03"


@pytest.mark.parametrize(
    ("request_", "nrc"),
    [
        ("84", "13"),
        ("84 00 21 01 00 00 00 01", "13"),
        ("84 00 21 01 00 01 00 01 2E", "13"),
        ("84 00 21 01 FF FF 00 01 2E 06 00 01 02", "13"),
        ("84 00 20 01 00 00 00 01" + WRITE, "3A"),
        ("84 00 01 01 00 00 00 01" + WRITE, "3A"),
        ("84 00 31 01 00 00 00 01" + WRITE, "3A"),
        ("84 00 29 01 00 00 00 01" + WRITE, "3A"),
        ("84 80 21 01 00 00 00 01" + WRITE, "3A"),
        ("84 00 23 01 00 00 00 01" + WRITE, "3A"),
        (HEADER + "84 00 21 01 00 00 00 01 2E 06 00 01 02", "39"),
        (HEADER + "22 F1 90", "39"),
        (HEADER + "10 03", "39"),
        (HEADER + "31 01 C0 08", "39"),
        (HEADER + "31 01 C0 04", "39"),
        (HEADER + "31 01 C0 0A", "39"),
        (HEADER + WRITE, "3A"),
        (HEADER + "31", "3A"),
    ],
    ids=[
        "bare",
        "nothing inside",
        "a signature and nothing inside",
        "a signature longer than all",
        "an answer, it says",
        "not signed",
        "encrypted",
        "with a pre-established key",
        "an unknown bit above",
        "an unknown bit below",
        "wrapped twice",
        "reading, which is free",
        "a session, which is free",
        "the lock's own request",
        "the lock's own token",
        "the lock's own command",
        "says signed and is not",
        "a service that is cut off",
    ],
)
def test_what_is_wrong_with_it_has_its_own_refusal(request_: str, nrc: str) -> None:
    unit = Sfd2Unit()
    unit.fetch()
    assert unit.bring(request_) == f"7F 84 {nrc}"


def test_what_can_be_refused_at_once_takes_no_time() -> None:
    unit = Sfd2Unit()
    assert unit.ask("84") == "7F 84 13"
    assert unit.ask(HEADER + "22 F1 90") == "7F 84 39"
    assert unit.ask(HEADER + WRITE) == "", "a signature is checked first"
    assert unit.run_for(S) == [(unit.now_ns - S + 20 * MS, "7F 84 3A")]


def test_a_functional_one_is_not_heard() -> None:
    unit = Sfd2Unit()
    change = unit.signed().encode()
    for request in (change, bytes.fromhex("84"), bytes.fromhex(HEADER + "22 F1 90")):
        assert unit.ask(request, functional=True) == ""
    assert unit.run_for(S) == []
    assert unit.inside(change) == "6E 06 00", "and nothing was used up"


def test_the_profile_says_which_services_may_come_secured() -> None:
    unit = Sfd2Unit(Sfd2Options(secured_services=frozenset((0x11, 0x22))))
    assert unit.bring(unit.signed()) == "7F 84 39"
    assert unit.inside(unit.signed("22 F1 90"))[:8] == "62 F1 90"
    assert unit.inside(unit.signed("22 06 03")) == "62 06 03 00 00"
    assert unit.ask("22 06 03") == "7F 22 38"


def test_an_inner_reset_happens_behind_its_answer() -> None:
    unit = Sfd2Unit(Sfd2Options(secured_services=frozenset((0x11,))))
    assert unit.inside(unit.signed("11 01")) == "51 01"
    assert unit.session == 1


# ---- refusals of the inner service come inside


@pytest.mark.parametrize(
    ("inner", "answer"),
    [
        ("2E 06 00 01", "7F 2E 13"),
        ("2E 09 99 01", "7F 2E 31"),
        ("31 01 02 03 00", "7F 31 13"),
        ("31 04 02 03", "7F 31 12"),
        ("31 01", "7F 31 13"),
        ("2F 06 00 03", "7F 2F 11"),
    ],
)
def test_a_refusal_of_the_inner_service_comes_inside_a_positive_answer(inner: str, answer: str) -> None:
    unit = Sfd2Unit()
    assert unit.inside(unit.signed(inner)) == answer


@given(st.binary(min_size=1, max_size=12))
def test_whatever_is_signed_is_answered_and_never_breaks_the_unit(inner: bytes) -> None:
    unit = Sfd2Unit(Sfd2Options(secured_services=frozenset(range(256)) - {0x10, 0x11}))
    answer = unit.bring(unit.signed(inner.hex()))
    assert answer[:2] in ("C4", "7F", "")
    assert unit.lock.grant(unit.now_ns) is None
    assert unit.ask("3E 00") == "7E 00"


@given(st.binary(max_size=140))
def test_whatever_comes_as_0x84_changes_nothing(rest: bytes) -> None:
    unit = Sfd2Unit()
    unit.fetch()
    assert unit.bring(b"\x84" + rest)[:5] == "7F 84"
    assert unit.value() == bytes(2)
    assert unit.lock.last_counter == 0


# ---- suppressed, slow


def test_the_inner_suppress_bit_silences_the_whole_answer() -> None:
    unit = Sfd2Unit()
    assert unit.bring(unit.signed("31 81 02 03")) == ""
    assert 0x0203 in unit.server.state.routines


def test_a_refusal_is_never_suppressed() -> None:
    unit = Sfd2Unit()
    assert unit.inside(unit.signed("31 81 09 99")) == "7F 31 31"
    assert unit.bring("84 00 21 01 00 00 00 01 31 81 02 03") == "7F 84 3A"


def test_a_slow_inner_service_says_0x78_in_the_name_of_0x84() -> None:
    unit = Sfd2Unit()
    answers = unit.ask_and_wait(unit.signed("2E 06 01 01 02").encode().hex())
    assert answers[:-1] == ["7F 84 78"] * 3, "12 s: behind P2, and twice P2*"
    assert answers[-1] == "C4 00 00 01 00 00 00 01 6E 06 01"


def test_after_0x78_a_suppressed_answer_is_given() -> None:
    unit = Sfd2Unit()
    answers = unit.ask_and_wait(unit.signed("31 81 02 04").encode().hex())
    assert answers == ["7F 84 78", "C4 00 00 01 00 00 00 01 71 01 02 04 00"]


def test_a_slow_inner_service_does_not_work_for_a_wrong_signature() -> None:
    unit = Sfd2Unit()
    change = replace(unit.signed("2E 06 01 01 02"), signature=bytes(94))
    assert unit.ask_and_wait(change.encode().hex()) == ["7F 84 3A"]


def test_what_changed_while_the_inner_service_worked_counts() -> None:
    unit = Sfd2Unit()
    unit.ask(unit.signed("2E 06 01 01 02").encode())
    unit.run_for(S)
    unit.vehicle.supply_mv = 10_500
    assert [answer for _, answer in unit.run_for(60 * S)][-1].endswith("7F 2E 93")
    assert unit.value(0x0601) == bytes(2)


def test_a_reset_while_it_works_uses_up_nothing_and_changes_nothing() -> None:
    unit = Sfd2Unit()
    unit.ask(unit.signed("2E 06 01 01 02").encode())
    unit.run_for(S)
    unit.server.reset(unit.now_ns, "by hand")
    assert unit.run_for(60 * S) == []
    assert unit.lock.last_counter == 0
    assert unit.value(0x0601) == bytes(2)


def test_an_answer_that_is_too_long_is_not_given() -> None:
    unit = Sfd2Unit()
    change = unit.signed()
    unit.server.profile = replace(unit.server.profile, max_answer_bytes=10)
    assert unit.bring(change) == "7F 84 14"


def test_the_log_says_why_and_the_wire_does_not() -> None:
    unit = Sfd2Unit()
    unit.bring(unit.signed(vin="WVWZZZE1ZRP000025"))
    assert unit.reason == "signature"
    assert any("change verified" in record.text for record in unit.server.log)


def test_the_bits_are_the_standards() -> None:
    """As the tests of the Rust crate iso14229-1 have them: 0x0061 is a signed request that wants a signed answer."""
    bits = Administrative.REQUEST | Administrative.SIGNED | Administrative.SIGNATURE_ON_ANSWER
    assert SecuredMessage(administrative=bits, counter=1, inner=b"\x3e").encode()[1:3] == bytes.fromhex("0061")
