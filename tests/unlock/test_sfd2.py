"""SFD2: each signed change opens its unit once, for itself, and what is used up stays used up, without supply as well."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sfd2_unit import WRITE, Sfd2Unit
from unlock_forge import ADDRESS, MINUTE, VIN, S, token, trust

from ecu_sim.refusal import Refusal
from ecu_sim.unlock.gate import SecuredGate
from ecu_sim.unlock.sfd2 import CHANGE_CHECKS, Sfd2Options
from ecu_sim.vehicle_state import PowerEvent
from wire.secured import Administrative, SecuredMessage
from wire.signed_change import Place, answer_signed_by
from wire.token import Generation, Scope

REFUSED = "7F 84 3A"
WRITTEN = "6E 06 00"


# ---- what opens


def test_a_signed_change_is_made_and_the_unit_is_locked_again() -> None:
    unit = Sfd2Unit()
    assert unit.inside(unit.signed()) == WRITTEN
    assert unit.value() == b"\x01\x02"
    assert unit.lock.grant(unit.now_ns) is None
    assert unit.ask("2E 06 00 03 04") == "7F 2E 38"
    assert unit.value() == b"\x01\x02"


def test_the_answer_repeats_the_counter_and_carries_no_signature_that_nobody_asked_for() -> None:
    unit = Sfd2Unit()
    assert unit.bring(unit.signed()) == "C4 00 00 01 00 00 00 01 6E 06 00"


def test_the_request_says_unit_vehicle_generation_and_the_counter_of_the_last_change() -> None:
    unit = Sfd2Unit()
    first = unit.fetch()
    assert (first.structure.vin, first.structure.ecu_address) == (VIN, ADDRESS)
    assert first.structure.generation == Generation.SFD2
    assert first.last_counter == 0
    unit.bring(unit.signed(counter=7))
    second = unit.fetch()
    assert second.last_counter == 7
    assert second.structure.nonce != first.structure.nonce


def test_the_status_says_signed_changes_only_before_during_and_after() -> None:
    unit = Sfd2Unit()
    assert unit.ask("22 01 74") == "62 01 74 00 00 02 00"
    unit.bring(unit.signed())
    assert unit.ask("22 01 74") == "62 01 74 00 00 02 00"


def test_the_unit_signs_its_answer_where_that_is_asked_for() -> None:
    unit = Sfd2Unit()
    asked = Administrative.REQUEST | Administrative.SIGNED | Administrative.SIGNATURE_ON_ANSWER
    request = unit.fetch()
    answer = SecuredMessage.decode(bytes.fromhex(unit.bring(unit.signed(request=request, administrative=asked))), 0xC4)
    key_bytes = bytes.fromhex(unit.ask("22 01 75"))[3:]
    key = Ed25519PublicKey.from_public_bytes(key_bytes)
    place = Place(vin=VIN, ecu_address=ADDRESS, nonce=request.structure.nonce)
    assert answer.administrative == Administrative.SIGNED
    assert answer_signed_by(key, place, answer)
    assert not answer_signed_by(key, place, replace(answer, inner=b"\x7f\x2e\x22"))


def test_a_change_releases_what_its_scope_says_and_no_more() -> None:
    unit = Sfd2Unit()
    assert unit.inside(unit.signed(scope=int(Scope.ROUTINES))) == "7F 2E 33"
    assert unit.inside(unit.signed("31 01 02 03", scope=int(Scope.ROUTINES))) == "71 01 02 03 00"
    assert unit.value() == bytes(2)


def test_an_object_without_scope_needs_the_wrapping_alone() -> None:
    unit = Sfd2Unit()
    assert unit.ask("2E 06 02 01 02") == "7F 2E 38"
    assert unit.inside(unit.signed("2E 06 02 01 02", scope=1)) == "6E 06 02"


def test_two_changes_need_two_signatures() -> None:
    unit = Sfd2Unit()
    change = unit.signed()
    assert unit.inside(change) == WRITTEN
    assert unit.bring(change) == REFUSED
    assert unit.reason == "no request outstanding"
    unit.fetch()
    assert unit.bring(change) == REFUSED
    assert unit.reason == "signature", "another nonce"


# ---- what must not open: every row of the table, and what the signature covers

FORGED = [
    ("calculation", {"calculation": 0}),
    ("issuer unknown", {"key_id": b"stranger"}),
    ("signature", {"vin": "WVWZZZE1ZRP000025"}),
    ("signature", {"ecu_address": 0x15}),
    ("signature", {"nonce": bytes(16)}),
    ("counter", {"counter": 0}),
    ("role", {"role": 0}),
    ("role", {"role": 77}),
    ("scope", {"scope": 0}),
]


@pytest.mark.parametrize(("reason", "wrong"), FORGED, ids=[f"{reason}: {wrong}" for reason, wrong in FORGED])
def test_a_wrong_change_is_refused_with_0x3a_and_uses_up_nothing(reason: str, wrong: dict) -> None:
    unit = Sfd2Unit()
    request = unit.fetch()
    assert unit.bring(unit.signed(request=request, **wrong)) == REFUSED
    assert unit.reason == reason
    assert unit.lock.last_counter == 0
    assert unit.value() == bytes(2)
    assert unit.inside(unit.signed(request=request)) == WRITTEN, (
        "the request stands: a refusal must void nobody's change"
    )


def test_no_request_no_change() -> None:
    unit = Sfd2Unit()
    other = Sfd2Unit()
    assert unit.bring(other.signed()) == REFUSED
    assert unit.reason == "no request outstanding"


def test_the_latest_request_counts() -> None:
    unit = Sfd2Unit()
    first = unit.signed()
    second = unit.signed()
    assert unit.bring(first) == REFUSED
    assert unit.inside(second) == WRITTEN


def test_the_lock_command_voids_what_was_asked_for() -> None:
    unit = Sfd2Unit()
    change = unit.signed()
    assert unit.ask("31 01 C0 0A") == "71 01 C0 0A 24"
    assert unit.bring(change) == REFUSED


def test_a_request_is_good_for_ten_minutes_to_the_nanosecond() -> None:
    for wait_ns, answer in ((10 * MINUTE - 25_000_000, "C4"), (10 * MINUTE - 20_000_000, "7F")):
        unit = Sfd2Unit()
        change = unit.signed()
        unit.server._restart_s3 = lambda now_ns: None
        unit.server._s3_deadline_ns = None
        unit.now_ns += wait_ns
        assert unit.bring(change)[:2] == answer, "the check takes 20 ms, and looks at the time when it is done"
    assert unit.reason == "request too old"


def test_a_revoked_change_is_refused() -> None:
    unit = Sfd2Unit()
    change = unit.signed(change_id=b"r" * 16)
    unit.lock.trust = trust(revoked_tokens=frozenset((b"r" * 16,)))
    assert unit.bring(change) == REFUSED
    assert unit.reason == "revoked"


def test_a_demanded_role_is_demanded() -> None:
    unit = Sfd2Unit(Sfd2Options(min_role=3))
    assert unit.bring(unit.signed()) == REFUSED
    assert unit.inside(unit.signed(role=3)) == WRITTEN


def test_every_row_of_the_table_refuses_something_here() -> None:
    tried = {reason for reason, _ in FORGED} | {"no request outstanding", "request too old", "revoked"}
    assert tried == {reason for reason, _ in CHANGE_CHECKS}


def test_no_single_bit_of_a_signed_change_can_be_changed() -> None:
    unit = Sfd2Unit()
    request = unit.fetch()
    wire = unit.signed(request=request).encode()
    for at in range(1, len(wire)):
        spoiled = wire[:at] + bytes((wire[at] ^ 0x01,)) + wire[at + 1 :]
        assert unit.bring(spoiled)[:5] == "7F 84", at
    assert unit.value() == bytes(2)
    assert unit.inside(wire) == WRITTEN


# ---- the other generation's tokens


def test_a_token_never_opens_it_whoever_signed_it_for_whatever() -> None:
    unit = Sfd2Unit()
    structure = unit.fetch().structure
    for generation in (Generation.SFD, Generation.SFD2):
        wire = token(structure, generation=generation).hex()
        assert unit.ask_and_wait(f"31 01 C0 04 {wire}", S) == ["7F 31 53"]
        assert unit.reason == "generation"
    assert unit.ask_and_wait("31 01 C0 04 00 01", S) == ["7F 31 54"]
    assert unit.ask(WRITE) == "7F 2E 38"


def test_a_token_where_a_signature_belongs_is_refused() -> None:
    unit = Sfd2Unit()
    request = unit.fetch()
    message = replace(unit.signed(request=request), signature=token(request.structure))
    assert unit.bring(message) == REFUSED
    assert unit.reason.startswith("format")


def test_the_routines_of_the_lock_take_no_option_and_no_other_sub_function() -> None:
    unit = Sfd2Unit()
    assert unit.ask("31 01 C0 08 00") == "7F 31 13"
    assert unit.ask("31 01 C0 0A 00") == "7F 31 13"
    assert unit.ask("31 02 C0 08") == "7F 31 12"


# ---- used up


@pytest.mark.parametrize("event", ["voltage", "session", "length"])
def test_a_change_whose_inner_service_refuses_is_used_up(event: str) -> None:
    unit = Sfd2Unit()
    inner = "2E 06 00 01" if event == "length" else WRITE
    change = unit.signed(inner)
    if event == "voltage":
        unit.vehicle.supply_mv = 10_500
    if event == "session":
        unit.ask("10 02")
    assert unit.inside(change) == {"voltage": "7F 2E 93", "session": "7F 2E 31", "length": "7F 2E 13"}[event]
    assert unit.lock.last_counter == 1
    unit.vehicle.supply_mv = 12_600
    unit.extended()
    assert unit.bring(change) == REFUSED, "who recorded it must not send it when it would work"
    assert unit.inside(unit.signed()) == WRITTEN


def test_the_counter_outlives_reset_and_supply_and_the_request_does_not() -> None:
    unit = Sfd2Unit()
    unit.bring(unit.signed(counter=9))
    for lose in (lambda: unit.ask("11 01"), lambda: unit.server.power(PowerEvent.BATTERY_LOST, unit.now_ns)):
        change = unit.signed()
        lose()
        unit.server.power(PowerEvent.BATTERY_BACK, unit.now_ns)
        unit.run_for(2 * S)
        unit.extended()
        assert unit.bring(change) == REFUSED
        assert unit.reason == "no request outstanding"
        assert unit.fetch().last_counter == 9
    assert unit.bring(unit.signed(counter=9)) == REFUSED
    assert unit.inside(unit.signed(counter=10)) == WRITTEN


def test_sleep_voids_nothing_and_wakes_to_nothing() -> None:
    unit = Sfd2Unit()
    change = unit.signed()
    unit.server.power(PowerEvent.SLEEP, unit.now_ns)
    unit.server.power(PowerEvent.WAKE, unit.now_ns)
    unit.extended()
    assert unit.inside(change) == WRITTEN


def test_a_counter_that_is_used_up_ends_all_changes() -> None:
    unit = Sfd2Unit()
    assert unit.inside(unit.signed(counter=0xFFFF)) == WRITTEN
    assert unit.ask("31 01 C0 08") == "7F 31 22"


def test_the_lock_itself_opens_for_nothing_that_does_not_verify() -> None:
    """Whoever calls it, and whatever was asked before."""
    unit = Sfd2Unit()
    wrong = unit.signed(role=0)
    with pytest.raises(Refusal) as refused, unit.lock.opened_for(wrong, unit.now_ns):
        pytest.fail("it is open")
    assert refused.value.nrc == 0x3A
    with unit.lock.opened_for(unit.signed(), unit.now_ns):
        assert unit.lock.allows(Scope.CODING, unit.now_ns)
    assert not unit.lock.allows(Scope.CODING, unit.now_ns)


def test_it_is_a_lock_as_the_service_wants_one() -> None:
    assert isinstance(Sfd2Unit().lock, SecuredGate)
    assert Sfd2Unit().lock.session_key(0) is None, "encrypted is refused: there is no key"
    assert Sfd2Unit().lock.minutes_left(0) == 0


class Changes(RuleBasedStateMachine):
    """Whatever is sent in whatever order: one signature, one change; the counter only grows."""

    @initialize()
    def start(self) -> None:
        self.unit = Sfd2Unit()
        self.made: list[SecuredMessage] = []
        self.taken: set[bytes] = set()
        self.counter = 0

    @rule(step=st.integers(1, 3), value=st.integers(0, 0xFFFF))
    def sign(self, step: int, value: int) -> None:
        request = self.unit.fetch()
        inner = f"2E 06 00 {value:04X}"
        self.made.append(self.unit.signed(inner, request=request, counter=request.last_counter + step))

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def send(self, data: st.DataObject) -> None:
        message = data.draw(st.sampled_from(self.made))
        before = self.unit.value()
        answer = self.unit.bring(message)
        if answer.startswith("C4"):
            assert message.signature not in self.taken
            assert message is self.made[-1], "only what was signed for the latest request"
            assert self.unit.value() == message.inner[3:]
            self.taken.add(message.signature)
        else:
            assert answer == REFUSED
            assert self.unit.value() == before

    @rule()
    def reset(self) -> None:
        self.unit.server.reset(self.unit.now_ns, "by hand")
        self.unit.run_for(S)
        self.unit.extended()

    @invariant()
    def the_counter_only_grows_and_nothing_stays_open(self) -> None:
        assert self.unit.lock.last_counter >= self.counter
        self.counter = self.unit.lock.last_counter
        assert self.unit.lock.grant(self.unit.now_ns) is None


Changes.TestCase.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
TestChanges = Changes.TestCase
