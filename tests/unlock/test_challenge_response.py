"""Authentication 0x29 by challenge-response (05 to 07), with a broker's key or a shared one: what opens, and what does not."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from authenticating_unit import CLIENT_CHALLENGE, EPHEMERAL, OWN_KEY, AcrUnit, wish
from hypothesis import given
from hypothesis import strategies as st
from locked_unit import CODING
from unlock_forge import ADDRESS, MINUTE, VIN, S, flip, keys, sized

from ecu_sim.unlock.challenge_response import (
    CHALLENGE_CHECKS,
    PROOF_CHECKS,
    ChallengeResponseGate,
    ChallengeResponseOptions,
)
from ecu_sim.unlock.fields import Fields
from ecu_sim.unlock.gate import GateEvent
from ecu_sim.vehicle_state import PowerEvent
from wire.authentication import Exchange, Party, agree, public_bytes
from wire.challenge_response import (
    ED25519,
    HMAC_SHA256,
    HMAC_SHA512,
    Crypto,
    mac_holds,
    sign_exchange,
    signature_holds,
    unit_key,
)
from wire.diag_cert import ALGORITHM_INDICATOR
from wire.errors import LocalMisuse
from wire.token import Role, Scope

BOTH = pytest.mark.parametrize("crypto", list(Crypto))


# ---- bytes


@pytest.mark.parametrize(("crypto", "returned"), [(Crypto.ASYMMETRIC, "03"), (Crypto.SYMMETRIC, "04")])
def test_the_configuration_tells_the_kind_of_key(crypto: Crypto, returned: str) -> None:
    assert AcrUnit(crypto).ask("2908") == bytes.fromhex("6908" + returned)


@BOTH
def test_the_answer_to_a_request_is_algorithm_challenge_and_what_is_needed(crypto: Crypto) -> None:
    unit = AcrUnit(crypto)
    answer = unit.request()
    assert answer[:3] == bytes.fromhex("690500")
    assert answer[3:19] == unit.algorithm
    assert answer[19:21] == bytes.fromhex("0020")
    assert answer[53:] == bytes.fromhex("000101")


def test_the_algorithm_indicator_is_a_ber_oid_left_aligned() -> None:
    assert bytes.fromhex("06032b6570").ljust(16, b"\0") == ED25519
    assert bytes.fromhex("06082a864886f70d0209").ljust(16, b"\0") == HMAC_SHA256


@BOTH
@pytest.mark.parametrize("with_key", [False, True], ids=["plain", "session key"])
@pytest.mark.parametrize("task", [6, 7])
def test_either_direction_opens_with_and_without_a_session_key(crypto: Crypto, with_key: bool, task: int) -> None:
    unit = AcrUnit(crypto)
    unit.extended()
    assert unit.nrc(CODING) == 0x34
    unit.authenticate(task, with_key=with_key)
    assert (unit.gate.session_key(unit.now_ns) is not None) == with_key
    assert unit.nrc(CODING) == 0


@BOTH
def test_the_unit_proves_itself_over_the_clients_challenge(crypto: Crypto) -> None:
    unit = AcrUnit(crypto)
    exchange = unit.closed(unit.challenged(1), 7, ephemeral=public_bytes(EPHEMERAL))
    fields = Fields(unit.own(exchange)[19:])
    proof, info = fields.sized(), fields.sized()
    fields.end()

    def holds(over: Exchange, party: Party) -> bool:
        if crypto is Crypto.SYMMETRIC:
            return mac_holds(unit.shared, proof, over, party)
        return signature_holds(OWN_KEY.public_key(), proof, over, party)

    assert holds(exchange, Party.SERVER)
    assert not holds(exchange, Party.CLIENT)
    assert not holds(replace(exchange, client_challenge=flip(CLIENT_CHALLENGE, 3)), Party.SERVER)
    key = agree(EPHEMERAL, exchange.server_ephemeral, exchange)
    assert (info, unit.gate.session_key(unit.now_ns)) == (key.info, key.key)


def test_the_longer_mac_opens_too() -> None:
    unit = AcrUnit(Crypto.SYMMETRIC)
    assert unit.own(unit.closed(unit.challenged(algorithm=HMAC_SHA512)))[2] == 0x12
    assert unit.open


# ---- what is offered


@pytest.mark.parametrize(
    ("mutual", "offered"), [("never", {0, 5, 6, 8}), ("allowed", {0, 5, 6, 7, 8}), ("required", {0, 5, 7, 8})]
)
def test_a_direction_that_the_profile_does_not_offer_is_no_sub_function(mutual: str, offered: set[int]) -> None:
    unit = AcrUnit(mutual=mutual)
    refused = {task for task in range(0x80) if unit.nrc(bytes((0x29, task))) == 0x12}
    assert refused == set(range(0x80)) - offered


@BOTH
@pytest.mark.parametrize(
    "algorithm", [bytes(16), b"\xff" * 16, ALGORITHM_INDICATOR, HMAC_SHA256, ED25519], ids=lambda one: one.hex()[:12]
)
def test_an_algorithm_that_the_unit_does_not_work_with_cannot_be_used(crypto: Crypto, algorithm: bytes) -> None:
    unit = AcrUnit(crypto)
    good = algorithm == unit.algorithm
    assert (unit.request(algorithm=algorithm)[0] == 0x69) == good
    if not good:
        assert unit.request(algorithm=algorithm) == bytes.fromhex("7f295c")
        assert unit.log[-1] == ("refused", "algorithm unknown")


def test_a_symmetric_unit_needs_a_secret_and_a_unit_that_proves_itself_a_key() -> None:
    gate = AcrUnit().gate

    def make(**options: object) -> None:
        ChallengeResponseGate(
            vin=VIN,
            ecu_address=ADDRESS,
            trust=gate.trust,
            clock=gate.clock,
            entropy=gate.exchanges._entropy,
            options=ChallengeResponseOptions(**options),
        )

    with pytest.raises(LocalMisuse, match="16 bytes"):
        make(crypto=Crypto.SYMMETRIC, secret=bytes(15))
    with pytest.raises(LocalMisuse, match="key of its own"):
        make(mutual="allowed")
    make(crypto=Crypto.SYMMETRIC, secret=bytes(16), mutual="required")


def test_two_units_of_a_family_have_different_keys() -> None:
    assert len({unit_key(bytes(16), vin, address) for vin in (VIN, "X" * 17) for address in (1, 2)}) == 4


# ---- refusals, row by row

Case = Callable[[AcrUnit], bytes]


def without_asking(unit: AcrUnit) -> bytes:
    return unit.own(unit.closed(replace(AcrUnit().challenged(), algorithm=unit.algorithm)))


def too_late(unit: AcrUnit) -> bytes:
    exchange = unit.closed(unit.challenged())
    unit.leap(30 * S)
    return unit.own(exchange)


def other_algorithm(unit: AcrUnit) -> bytes:
    other = HMAC_SHA512 if unit.crypto is Crypto.SYMMETRIC else ALGORITHM_INDICATOR
    return unit.own(replace(unit.closed(unit.challenged()), algorithm=other), bytes(64))


def mirrored(unit: AcrUnit) -> bytes:
    exchange = unit.challenged()
    return unit.own(unit.closed(exchange, client_challenge=exchange.server_challenge))


def unreadable(unit: AcrUnit) -> bytes:
    return unit.own(replace(unit.closed(unit.challenged()), additional=b"\x02" + wish().encode()[1:]))


def asking(task: int = 6, **changes: int) -> Case:
    return lambda unit: unit.own(unit.closed(unit.challenged(), task, wish(**changes)))


def flipped(unit: AcrUnit) -> bytes:
    exchange = unit.closed(unit.challenged())
    return unit.own(exchange, flip(unit.proof(exchange), 77))


def as_the_server(unit: AcrUnit) -> bytes:
    exchange = unit.closed(unit.challenged(), 7)
    return unit.own(exchange, unit.proof(exchange, Party.SERVER))


def for_the_other_direction(unit: AcrUnit) -> bytes:
    exchange = unit.closed(unit.challenged(), 7)
    return unit.own(exchange, unit.proof(replace(exchange, task=6)))


def wider_than_proven(unit: AcrUnit) -> bytes:
    exchange = unit.closed(unit.challenged(), asked=wish(scope=Scope.CODING))
    proof = unit.proof(exchange)
    return unit.own(unit.closed(exchange, asked=wish()), proof)


def for_another_unit(unit: AcrUnit) -> bytes:
    exchange = unit.closed(unit.challenged())
    return unit.own(exchange, unit.proof(replace(exchange, ecu_address=ADDRESS + 1)))


def for_another_car(unit: AcrUnit) -> bytes:
    exchange = unit.closed(unit.challenged())
    return unit.own(exchange, unit.proof(replace(exchange, vin="X" * 17)))


def without_session_key(unit: AcrUnit) -> bytes:
    return unit.own(unit.closed(unit.challenged(1)))


def short_challenge(unit: AcrUnit) -> bytes:
    return unit.own(unit.closed(unit.challenged(), 7, client_challenge=bytes(15)))


def no_challenge(unit: AcrUnit) -> bytes:
    return unit.own(unit.closed(unit.challenged(), 7, client_challenge=b""))


REFUSALS: list[tuple[str, str, int, Case]] = [
    ("over no challenge of the client, in both directions", "client challenge too short", 0x13, no_challenge),
    ("over too short a challenge of the client", "client challenge too short", 0x13, short_challenge),
    ("with another version of the wish", "additional parameter", 0x13, unreadable),
    ("that nobody asked for", "no challenge outstanding", 0x24, without_asking),
    ("that comes too late", "challenge too old", 0x24, too_late),
    ("by another algorithm", "another algorithm than asked for", 0x24, other_algorithm),
    ("with the unit's challenge sent back", "challenge sent back as one's own", 0x58, mirrored),
    ("with a bit turned", "ownership", 0x58, flipped),
    ("as if by the unit itself", "ownership", 0x58, as_the_server),
    ("for the other direction", "ownership", 0x58, for_the_other_direction),
    ("for less than is asked", "ownership", 0x58, wider_than_proven),
    ("for another unit", "ownership", 0x58, for_another_unit),
    ("for another car", "ownership", 0x58, for_another_car),
    ("in no known role", "role", 0x5A, asking(role=0)),
    ("in a role above all", "role", 0x5A, asking(role=9)),
    ("for no time", "duration", 0x5A, asking(duration_min=0)),
    ("for no right", "access rights", 0x5A, asking(scope=0)),
    ("for rights that nobody has", "access rights", 0x5A, asking(scope=0x8000)),
    ("without the key that was agreed", "session key", 0x5B, without_session_key),
]


@BOTH
@pytest.mark.parametrize(("reason", "nrc", "make"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_a_bad_proof_is_refused_with_its_reason_and_voids_the_challenge(
    crypto: Crypto, reason: str, nrc: int, make: Case
) -> None:
    unit = AcrUnit(crypto)
    unit.extended()
    assert make(unit) == bytes((0x7F, 0x29, nrc))
    assert unit.log[-1] == ("refused", reason)
    assert not unit.open
    assert unit.nrc(CODING) == 0x34
    assert without_asking(unit) == bytes.fromhex("7f2924")


def test_a_key_that_the_unit_does_not_know_proves_nothing() -> None:
    unit = AcrUnit()
    exchange = unit.closed(unit.challenged(), asked=wish(key_id=bytes(8)))
    assert unit.own(exchange) == bytes.fromhex("7f2958")
    assert unit.log[-1] == ("refused", "key unknown")


def test_another_back_ends_key_proves_nothing() -> None:
    unit = AcrUnit()
    exchange = unit.closed(unit.challenged())
    assert unit.own(exchange, sign_exchange(keys(2).token_key, exchange, Party.CLIENT)) == bytes.fromhex("7f2958")


def test_every_row_of_the_tables_is_reached() -> None:
    reached = {reason for _, reason, _, _ in REFUSALS} | {"key unknown"}
    assert {reason for reason, _, _ in PROOF_CHECKS} <= reached
    assert {reason for reason, _, _ in CHALLENGE_CHECKS} == {"communication configuration", "algorithm unknown"}


def test_a_role_below_the_profiles_is_not_set() -> None:
    unit = AcrUnit(min_role=Role.DEVELOPMENT)
    assert asking()(unit) == bytes.fromhex("7f295a")


@pytest.mark.parametrize("text", ["2905", "290500", "29050000", "2906", "2907", "290000", "290800"])
def test_a_wrong_length_is_a_wrong_length(text: str) -> None:
    assert AcrUnit().nrc(text) == 0x13


@BOTH
@given(st.data())
def test_a_proof_cut_off_or_prolonged_grants_nothing(crypto: Crypto, data: st.DataObject) -> None:
    unit = AcrUnit(crypto)
    exchange = unit.closed(unit.challenged())
    whole = (
        b"\x29\x06"
        + exchange.algorithm
        + sized(unit.proof(exchange))
        + sized(exchange.client_challenge)
        + sized(exchange.additional)
    )
    at = data.draw(st.integers(1, len(whole)))
    assert unit.nrc(whole[:at] if at < len(whole) else whole + b"\0") == 0x13
    assert not unit.open


@BOTH
@given(st.binary(max_size=70))
def test_random_proofs_prove_nothing(crypto: Crypto, proof: bytes) -> None:
    unit = AcrUnit(crypto)
    assert unit.own(unit.closed(unit.challenged()), proof) == bytes.fromhex("7f2958")


# ---- replays


@BOTH
def test_a_challenge_serves_once_and_a_proof_is_not_taken_twice(crypto: Crypto) -> None:
    unit = AcrUnit(crypto)
    exchange = unit.closed(unit.challenged())
    assert unit.own(exchange)[0] == 0x69
    assert unit.own(exchange) == bytes.fromhex("7f2924")
    unit.challenged()
    assert unit.own(exchange) == bytes.fromhex("7f2958")


@BOTH
def test_the_units_proof_to_one_client_is_no_clients_proof(crypto: Crypto) -> None:
    """Reflection: with one shared key, what the unit proves must not be what a client has to prove."""
    unit = AcrUnit(crypto)
    first = unit.closed(unit.challenged(), 7)
    said = Fields(unit.own(first)[19:]).sized()
    unit.ask("2900")
    again = unit.closed(unit.challenged(), 7)
    assert unit.own(again, said) == bytes.fromhex("7f2958")
    assert not unit.open


@BOTH
def test_only_the_last_challenge_counts(crypto: Crypto) -> None:
    unit = AcrUnit(crypto)
    first = unit.closed(unit.challenged())
    unit.challenged()
    assert unit.own(first) == bytes.fromhex("7f2958")


def test_a_refused_request_voids_the_challenge_before_it() -> None:
    unit = AcrUnit()
    exchange = unit.closed(unit.challenged())
    assert unit.request(algorithm=bytes(16)) == bytes.fromhex("7f295c")
    assert unit.own(exchange) == bytes.fromhex("7f2924")


def test_certificates_do_not_mix_in() -> None:
    unit = AcrUnit()
    exchange = unit.closed(unit.challenged())
    for task in (1, 2, 3, 4):
        assert unit.nrc(bytes((0x29, task)) + bytes(20)) == 0x12
    assert unit.own(exchange)[0] == 0x69


# ---- the grant


def test_the_grant_carries_what_was_proven() -> None:
    unit = AcrUnit()
    unit.authenticate(asked=wish(ident=b"\xab" * 16, role=Role.DEVELOPMENT, scope=Scope.CODING))
    grant = unit.gate.grant(unit.now_ns)
    assert grant is not None
    assert (grant.scheme, grant.role, grant.scope) == ("challenge-response", Role.DEVELOPMENT, Scope.CODING)
    assert grant.ident == "ab" * 16
    assert not unit.gate.allows(Scope.ROUTINES, unit.now_ns)


@pytest.mark.parametrize(("asked", "minutes"), [(30, 30), (600, 60)])
def test_the_grant_ends_after_its_time_and_the_profile_bounds_it(asked: int, minutes: int) -> None:
    unit = AcrUnit()
    unit.authenticate(asked=wish(duration_min=asked))
    assert unit.gate.minutes_left(unit.now_ns) == minutes
    assert unit.gate.next_deadline() == unit.now_ns + minutes * MINUTE
    unit.wait(minutes * MINUTE - 1)
    assert unit.open
    unit.wait(1)
    assert unit.log[-1] == ("locked", "expiry")
    assert not unit.open
    assert unit.gate.minutes_left(unit.now_ns) == 0


def test_a_late_timer_keeps_nothing_open() -> None:
    unit = AcrUnit()
    unit.authenticate(with_key=True)
    unit.leap(30 * MINUTE)
    assert not unit.gate.allows(Scope.CODING, unit.now_ns)
    assert unit.gate.session_key(unit.now_ns) is None
    assert unit.gate.exchanges.session_key is None  # not even kept


CAUSES: dict[GateEvent, Callable[[AcrUnit], object]] = {
    GateEvent.SESSION_CHANGE: lambda unit: unit.ask("1001"),
    GateEvent.SAME_SESSION_AGAIN: lambda unit: unit.ask("1003"),
    GateEvent.S3_TIMEOUT: lambda unit: unit.wait(5 * S),
    GateEvent.ECU_RESET: lambda unit: unit.ask("1101"),
    GateEvent.TERMINAL_15_OFF: lambda unit: unit.power(PowerEvent.TERMINAL_15_OFF),
    GateEvent.SLEEP: lambda unit: unit.power(PowerEvent.SLEEP),
    GateEvent.DE_AUTHENTICATE: lambda unit: unit.ask("2900"),
}
ENDED = {GateEvent.ECU_RESET, GateEvent.TERMINAL_15_OFF, GateEvent.SLEEP, GateEvent.DE_AUTHENTICATE}


@pytest.mark.parametrize("event", list(CAUSES))
def test_what_keeps_the_grant_and_what_ends_it(event: GateEvent) -> None:
    unit = AcrUnit()
    unit.extended()
    unit.authenticate()
    CAUSES[event](unit)
    assert unit.open == (event not in ENDED)


def test_a_profile_may_keep_the_grant_without_terminal_15() -> None:
    unit = AcrUnit(ends_on_terminal_15=False)
    unit.authenticate()
    unit.power(PowerEvent.TERMINAL_15_OFF)
    assert unit.open


@pytest.mark.parametrize("event", [PowerEvent.SLEEP, PowerEvent.BATTERY_LOST])
def test_sleep_and_loss_of_supply_forget_the_challenge(event: PowerEvent) -> None:
    unit = AcrUnit()
    exchange = unit.closed(unit.challenged())
    unit.power(event)
    unit.power(PowerEvent.WAKE if event is PowerEvent.SLEEP else PowerEvent.BATTERY_BACK)
    unit.wait(S)
    assert unit.own(exchange) == bytes.fromhex("7f2924")


def test_the_check_takes_time_and_0x78_says_so() -> None:
    unit = AcrUnit(verification_ns=60_000_000)
    unit.authenticate()
    assert unit.server.outputs[0] == bytes.fromhex("7f2978")
    assert unit.now_ns == 60_000_000
