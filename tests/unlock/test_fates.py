"""What keeps a grant and what ends it, event by event, caused the way a car causes them; the tables are the domain's own.

SFD (domain facts, section 2): ends on time-out and on command, by profile on reset and on the loss of terminal 15; awake time
stands still in sleep. Certificates (section 3): until de-authentication, the certificate's end, reset or sleep, and by profile
the loss of terminal 15; a session change keeps the grant and ends SecurityAccess. Signed seeds (section 3, stage 1): until reset,
sleep or terminal 15, and as there for the session.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
from locked_unit import CODING, SECURED, CertificateUnit, LockedUnit, SfdUnit
from seed_unit import SeedUnit
from unlock_forge import EPOCH_S, MINUTE, S, chain, key_set, leaf

from ecu_sim.unlock.certificate import CERTIFICATE_FATES, CertificateOptions
from ecu_sim.unlock.gate import Fate, GateEvent
from ecu_sim.unlock.sfd import BASE_FATES, SfdOptions
from ecu_sim.unlock.signed_seed import SIGNED_SEED_FATES, SignedSeedOptions
from ecu_sim.vehicle_state import PowerEvent

KEPT, ENDED = Fate.KEPT, Fate.ENDED
E = GateEvent
Cause = Callable[[LockedUnit], None]

SFD: dict[GateEvent, Fate] = {
    E.SESSION_CHANGE: KEPT,
    E.SAME_SESSION_AGAIN: KEPT,
    E.S3_TIMEOUT: KEPT,
    E.ECU_RESET: ENDED,  # profile switch
    E.TERMINAL_15_OFF: KEPT,  # profile switch
    E.SLEEP: KEPT,
    E.LOCK_COMMAND: ENDED,
    E.DE_AUTHENTICATE: KEPT,  # no such service
    E.EXPIRY: ENDED,
    E.REVOKED: KEPT,  # the unit is offline
}
CERTIFICATE: dict[GateEvent, Fate] = {
    E.SESSION_CHANGE: KEPT,
    E.SAME_SESSION_AGAIN: KEPT,
    E.S3_TIMEOUT: KEPT,
    E.ECU_RESET: ENDED,
    E.TERMINAL_15_OFF: KEPT,  # profile switch
    E.SLEEP: ENDED,
    E.LOCK_COMMAND: KEPT,  # no such routine
    E.DE_AUTHENTICATE: ENDED,
    E.EXPIRY: ENDED,
    E.REVOKED: ENDED,
}
SIGNED_SEED: dict[GateEvent, Fate] = {
    E.SESSION_CHANGE: KEPT,
    E.SAME_SESSION_AGAIN: KEPT,
    E.S3_TIMEOUT: KEPT,
    E.ECU_RESET: ENDED,
    E.TERMINAL_15_OFF: ENDED,  # profile switch
    E.SLEEP: ENDED,
    E.LOCK_COMMAND: KEPT,  # no such routine
    E.DE_AUTHENTICATE: KEPT,  # no such service
    E.EXPIRY: KEPT,  # no end in time
    E.REVOKED: ENDED,
}


def session_change(unit: LockedUnit) -> None:
    assert unit.ask("1001")[0] == 0x50


def other_session(unit: LockedUnit) -> None:
    assert unit.ask("1002")[0] == 0x50


def same_session(unit: LockedUnit) -> None:
    assert unit.ask("1003")[0] == 0x50


def s3(unit: LockedUnit) -> None:
    unit.wait(5 * S)
    assert unit.server.state.session == 1


def reset(unit: LockedUnit) -> None:
    assert unit.ask("1101") == bytes.fromhex("5101")
    unit.wait(S)


def battery(unit: LockedUnit) -> None:
    unit.power(PowerEvent.BATTERY_LOST)
    unit.wait(S)
    unit.power(PowerEvent.BATTERY_BACK)
    unit.wait(S)


def terminal_15(unit: LockedUnit) -> None:
    unit.power(PowerEvent.TERMINAL_15_OFF)
    unit.power(PowerEvent.TERMINAL_15_ON)


def sleep(unit: LockedUnit) -> None:
    unit.power(PowerEvent.SLEEP)
    unit.wait(MINUTE)
    unit.power(PowerEvent.WAKE)


def lock_command(unit: LockedUnit) -> None:
    unit.ask("3101c00a")


def de_authenticate(unit: LockedUnit) -> None:
    unit.ask("2900")


def expiry(unit: LockedUnit) -> None:
    unit.wait(90 * MINUTE)


def revocation(unit: LockedUnit) -> None:
    """The back end revokes every unlock of these tests; the unit gets the new key set."""
    ids = frozenset(number.to_bytes(16, "big") for number in range(10))
    grant = unit.gate.grant(unit.now_ns)
    if isinstance(unit, SeedUnit) and grant is not None:
        ids |= {bytes.fromhex(grant.ident)}
    unit.trust.update(key_set(revoked_serials=frozenset((0x1234,)), revoked_tokens=ids))


CAUSES: list[tuple[GateEvent, Cause]] = [
    (E.SESSION_CHANGE, session_change),
    (E.SESSION_CHANGE, other_session),
    (E.SAME_SESSION_AGAIN, same_session),
    (E.S3_TIMEOUT, s3),
    (E.ECU_RESET, reset),
    (E.ECU_RESET, battery),
    (E.TERMINAL_15_OFF, terminal_15),
    (E.SLEEP, sleep),
    (E.LOCK_COMMAND, lock_command),
    (E.DE_AUTHENTICATE, de_authenticate),
    (E.EXPIRY, expiry),
    (E.REVOKED, revocation),
]
PROFILES: list[tuple[str, Callable[[], LockedUnit], dict[GateEvent, Fate]]] = [
    ("SFD", SfdUnit, SFD),
    ("SFD, survives a reset", lambda: SfdUnit(SfdOptions(ends_on_reset=False)), SFD | {E.ECU_RESET: KEPT}),
    (
        "SFD, ends with terminal 15",
        lambda: SfdUnit(SfdOptions(ends_on_terminal_15=True)),
        SFD | {E.TERMINAL_15_OFF: ENDED},
    ),
    ("certificate", CertificateUnit, CERTIFICATE),
    (
        "certificate, ends with terminal 15",
        lambda: CertificateUnit(CertificateOptions(ends_on_terminal_15=True)),
        CERTIFICATE | {E.TERMINAL_15_OFF: ENDED},
    ),
    ("signed seed", SeedUnit, SIGNED_SEED),
    (
        "signed seed, keeps with terminal 15",
        lambda: SeedUnit(SignedSeedOptions(ends_on_terminal_15=False)),
        SIGNED_SEED | {E.TERMINAL_15_OFF: KEPT},
    ),
]
by_profile = pytest.mark.parametrize(("make", "table"), [row[1:] for row in PROFILES], ids=[row[0] for row in PROFILES])
by_cause = pytest.mark.parametrize(("event", "cause"), CAUSES, ids=[cause.__name__ for _, cause in CAUSES])


def unlocked(make: Callable[[], LockedUnit]) -> LockedUnit:
    unit = make()
    unit.extended()
    assert isinstance(unit, SfdUnit | CertificateUnit | SeedUnit)
    unit.unlock()
    return unit


@by_profile
@by_cause
def test_each_event_has_the_fate_of_the_table(
    make: Callable[[], LockedUnit], table: dict[GateEvent, Fate], event: GateEvent, cause: Cause
) -> None:
    unit = unlocked(make)
    before = unit.gate.grant(unit.now_ns)
    cause(unit)
    if table[event] is ENDED:
        assert not unit.open
        assert unit.log[-1] == ("locked", event.value)
        unit.extended()
        assert unit.nrc(CODING) == unit.gate.refusal_nrc
    else:
        assert unit.gate.grant(unit.now_ns) == before
        assert "locked" not in dict(unit.log)
        unit.extended()
        assert unit.nrc(CODING) == 0


@by_profile
@by_cause
def test_an_event_opens_nothing_that_is_locked(
    make: Callable[[], LockedUnit], table: dict[GateEvent, Fate], event: GateEvent, cause: Cause
) -> None:
    unit = make()
    unit.extended()
    cause(unit)
    assert not unit.open
    assert unit.log == []


@by_profile
@by_cause
def test_what_was_locked_can_be_unlocked_again(
    make: Callable[[], LockedUnit], table: dict[GateEvent, Fate], event: GateEvent, cause: Cause
) -> None:
    unit = unlocked(make)
    cause(unit)
    unit.trust.update(key_set())
    assert isinstance(unit, SfdUnit | CertificateUnit | SeedUnit)
    if not isinstance(unit, CertificateUnit):
        if isinstance(unit, SeedUnit) and unit.open:
            unit.power(PowerEvent.SLEEP)  # an open lock takes no key
            unit.power(PowerEvent.WAKE)
        unit.unlock()
    else:
        unit.unlock(chain(leaf(end_s=EPOCH_S + 24 * 3600)))


@pytest.mark.parametrize("event", list(GateEvent))
@by_profile
def test_a_gate_told_of_an_event_does_what_the_table_says(
    make: Callable[[], LockedUnit], table: dict[GateEvent, Fate], event: GateEvent
) -> None:
    unit = unlocked(make)
    unit.gate.handle_event(event, unit.now_ns)
    assert unit.open == (table[event] is KEPT)


def test_the_tables_speak_of_every_event() -> None:
    for table in (SFD, CERTIFICATE, SIGNED_SEED, BASE_FATES, CERTIFICATE_FATES, SIGNED_SEED_FATES):
        assert set(table) == set(GateEvent)
    assert {event for event, _ in CAUSES} == set(GateEvent)
    assert BASE_FATES == SFD
    assert CERTIFICATE_FATES == CERTIFICATE
    assert SIGNED_SEED_FATES == SIGNED_SEED


@pytest.mark.parametrize("cause", [session_change, other_session, same_session, s3, reset, terminal_15, sleep])
@pytest.mark.parametrize("make", [SfdUnit, CertificateUnit, SeedUnit], ids=["SFD", "certificate", "signed seed"])
def test_whatever_leaves_the_session_ends_security_access(make: Callable[[], LockedUnit], cause: Cause) -> None:
    unit = unlocked(make)
    assert unit.seed_and_key() == 0
    assert unit.nrc(SECURED) == 0
    cause(unit)
    unit.extended()
    assert unit.nrc(SECURED) in (0x33, unit.gate.refusal_nrc)
    assert unit.server.state.open_level is None


def test_tester_present_extends_no_grant() -> None:
    unit = unlocked(SfdUnit)
    for _ in range(45):
        unit.wait(2 * MINUTE - 1)
        unit.ask("3e00")
        unit.wait(1)
    assert not unit.open


@pytest.mark.parametrize("pass_time", ["wait", "leap"])
def test_a_certificates_grant_ends_exactly_with_the_certificate(pass_time: str) -> None:
    """Valid to the end of its last second; whether or not a timer ran."""
    unit = CertificateUnit()
    unit.extended()
    unit.unlock(chain(leaf(end_s=EPOCH_S + 60)))
    getattr(unit, pass_time)(61 * S - 1 - unit.now_ns)
    assert unit.open
    getattr(unit, pass_time)(1)
    assert not unit.open
    assert unit.log[-1] == ("locked", "expiry")


def test_an_end_while_asleep_is_not_missed() -> None:
    unit = unlocked(CertificateUnit)
    unit.power(PowerEvent.SLEEP)
    assert unit.gate.next_deadline() is None
    unit.leap(2 * 3600 * S)
    unit.power(PowerEvent.WAKE)
    assert not unit.open


def test_the_loss_of_a_session_keeps_the_way_to_the_grant() -> None:
    """The challenge of a certificate outlives the session; a reset or sleep voids it."""
    for cause, answer in [
        (session_change, "6903120000"),
        (s3, "6903120000"),
        (reset, "7f2924"),
        (battery, "7f2924"),
        (sleep, "7f2924"),
    ]:
        unit = CertificateUnit(CertificateOptions(challenge_lifetime_ns=600 * S))
        unit.extended()
        challenge = unit.challenge()
        cause(unit)
        assert unit.prove(unit.proof(challenge)) == bytes.fromhex(answer), cause


def test_an_event_in_the_middle_of_a_signature_check_voids_the_work() -> None:
    """The token is on the table, then the unit restarts: nothing may be granted afterwards."""
    unit = SfdUnit(SfdOptions(verification_ns=200_000_000))
    wire = unit.token()
    unit.server.receive(b"\x31\x01\xc0\x04" + wire, False, unit.now_ns)
    unit.wait(100_000_000)
    unit.power(PowerEvent.BATTERY_LOST)
    unit.power(PowerEvent.BATTERY_BACK)
    unit.wait(10 * S)
    assert not unit.open
    assert unit.write(wire) == 0x24


def test_the_options_switch_only_their_own_rows() -> None:
    default = SfdOptions()
    assert default.fates() == SFD
    assert replace(default, ends_on_reset=False).fates() == SFD | {E.ECU_RESET: KEPT}
    assert replace(default, ends_on_terminal_15=True).fates() == SFD | {E.TERMINAL_15_OFF: ENDED}
    assert CertificateOptions().fates() == CERTIFICATE
    assert CertificateOptions(ends_on_terminal_15=True).fates() == CERTIFICATE | {E.TERMINAL_15_OFF: ENDED}
