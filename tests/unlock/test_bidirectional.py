"""Authentication 0x29 with certificates in both directions (02), and the session key: what each side can rely on."""

from dataclasses import replace

import pytest
from authenticating_unit import CLIENT_CHALLENGE, EPHEMERAL, IDENTITY, WORKS, ApceUnit
from hypothesis import given
from hypothesis import strategies as st
from locked_unit import CODING
from unlock_forge import ADDRESS, VIN, S, chain, flip, leaf, owner_key, sized

from ecu_sim.unlock.certificate import CertificateGate, CertificateOptions
from ecu_sim.unlock.certification_path import issued_by
from ecu_sim.unlock.exchanges import GateFault
from ecu_sim.vehicle_state import PowerEvent
from wire.authentication import Party, agree, public_bytes
from wire.diag_cert import claims_of, decode_chain, exchange_proven, prove_exchange, prove_ownership
from wire.errors import LocalMisuse

LOW_ORDER = bytes(32)
"""A public key of order one: everybody agrees on zero with it (RFC 7748 section 6.1)."""


# ---- the gateway proves itself


def test_the_gateway_shows_a_certificate_of_its_works_for_this_car_and_unit() -> None:
    verified = ApceUnit().verified()
    gateway, ca = decode_chain(verified.server_chain)
    assert ca is not None
    assert issued_by(gateway, ca)
    assert issued_by(ca, WORKS.root_ca)
    assert (claims_of(gateway).vin, claims_of(gateway).ecu_address) == (VIN, ADDRESS)


def test_the_gateways_proof_is_over_the_clients_challenge_by_the_key_of_its_certificate() -> None:
    verified = ApceUnit().verified()
    public_key = IDENTITY.key.public_key()
    assert decode_chain(verified.server_chain)[0].public_key() == public_key
    assert exchange_proven(public_key, verified.server_proof, verified.exchange, Party.SERVER)
    other = replace(verified.exchange, client_challenge=flip(CLIENT_CHALLENGE, 0))
    assert not exchange_proven(public_key, verified.server_proof, other, Party.SERVER)


def test_the_gateways_proof_names_whom_it_talks_to() -> None:
    """Else one could pass it on as an answer to somebody else's certificate."""
    verified = ApceUnit().verified()
    other = replace(verified.exchange, additional=bytes(32))
    assert not exchange_proven(IDENTITY.key.public_key(), verified.server_proof, other, Party.SERVER)


def test_a_gateways_certificate_opens_nothing() -> None:
    """It is no tester's: another root, and for servers."""
    assert ApceUnit().verify(field=IDENTITY.chain) == bytes.fromhex("7f2952")


@pytest.mark.parametrize("task", [1, 2])
@pytest.mark.parametrize("with_key", [False, True], ids=["plain", "session key"])
def test_either_direction_opens_with_and_without_a_session_key(task: int, with_key: bool) -> None:
    unit = ApceUnit()
    key = unit.authenticate(task, with_key=with_key)
    assert unit.gate.session_key(unit.now_ns) == (key or None)
    unit.extended()
    assert unit.nrc(CODING) == 0


def test_a_gateway_that_is_to_prove_itself_needs_an_identity() -> None:
    gate = ApceUnit().gate
    with pytest.raises(LocalMisuse, match="identity"):
        CertificateGate(
            vin=VIN,
            ecu_address=ADDRESS,
            trust=gate.trust,
            clock=gate.clock,
            entropy=gate.exchanges._entropy,
            options=CertificateOptions(mutual="required"),
        )


# ---- what is offered


@pytest.mark.parametrize(
    ("mutual", "offered"), [("never", {0, 1, 3, 4, 8}), ("allowed", {0, 1, 2, 3, 4, 8}), ("required", {0, 2, 3, 4, 8})]
)
def test_a_direction_that_the_profile_does_not_offer_is_no_sub_function(mutual: str, offered: set[int]) -> None:
    unit = ApceUnit(mutual=mutual)
    assert unit.gate.tasks == offered
    refused = {task for task in range(0x80) if unit.nrc(bytes((0x29, task))) == 0x12}
    assert refused == set(range(0x80)) - offered


def test_nobody_talks_a_gateway_that_wants_both_directions_down_to_one() -> None:
    unit = ApceUnit(mutual="required")
    assert unit.verify(task=1) == bytes.fromhex("7f2912")
    exchange = unit.verified().closed_with(None)
    assert unit.own(replace(exchange, task=1)) == bytes.fromhex("7f2958")
    assert not unit.open


@pytest.mark.parametrize(
    ("session_key", "configuration", "nrc"),
    [("never", 0, 0), ("never", 1, 0x5C), ("required", 0, 0x5C), ("required", 1, 0), ("allowed", 2, 0x5C)],
)
def test_a_configuration_that_the_profile_does_not_offer_cannot_be_used(
    session_key: str, configuration: int, nrc: int
) -> None:
    unit = ApceUnit(session_key=session_key)
    answer = unit.verify(configuration=configuration)
    assert (answer[2] if answer[0] == 0x7F else 0) == nrc


# ---- challenges of the client


@pytest.mark.parametrize("size", [0, 1, 15])
def test_the_gateway_proves_nothing_over_a_challenge_that_could_be_collected(size: int) -> None:
    unit = ApceUnit()
    assert unit.verify(client_challenge=bytes(size)) == bytes.fromhex("7f2913")
    assert unit.own(ApceUnit().verified().exchange) == bytes.fromhex("7f2924")


@pytest.mark.parametrize("size", [16, 32, 255])
def test_a_longer_challenge_of_the_client_is_taken(size: int) -> None:
    unit = ApceUnit()
    exchange = unit.verified(client_challenge=bytes(size)).exchange
    assert unit.own(exchange)[0] == 0x69


# ---- attacks


def test_a_proof_for_one_direction_is_none_for_the_other() -> None:
    unit = ApceUnit()
    exchange = unit.verified(task=2).exchange
    old = prove_ownership(owner_key(), exchange.server_challenge, VIN, ADDRESS)
    assert unit.ask(b"\x29\x03" + sized(old) + sized(b"")) == bytes.fromhex("7f2958")
    unit.verified(task=1)
    assert unit.own(replace(exchange, task=1)) == bytes.fromhex("7f2958")
    assert not unit.open


def test_the_gateways_own_proof_sent_back_proves_nothing() -> None:
    unit = ApceUnit()
    verified = unit.verified()
    assert unit.ask(b"\x29\x03" + sized(verified.server_proof) + sized(b"")) == bytes.fromhex("7f2958")
    assert not unit.open


def test_a_proof_as_if_by_the_server_proves_nothing() -> None:
    unit = ApceUnit()
    assert unit.own(unit.verified().exchange, party=Party.SERVER) == bytes.fromhex("7f2958")


def test_the_gateways_challenge_taken_as_ones_own_gains_nothing() -> None:
    """Two exchanges at once: what one asks the other to sign is never a client's proof."""
    unit = ApceUnit()
    first = unit.verified().exchange
    second = unit.verified(client_challenge=first.server_challenge)
    assert unit.ask(b"\x29\x03" + sized(second.server_proof) + sized(b"")) == bytes.fromhex("7f2958")
    assert unit.own(first) == bytes.fromhex("7f2924")
    assert not unit.open


def test_an_ephemeral_key_that_was_swapped_on_the_way_is_noticed() -> None:
    unit = ApceUnit()
    exchange = unit.verified(configuration=1).closed_with(EPHEMERAL)
    swapped = replace(exchange, server_ephemeral=bytes(31) + b"\x09")
    assert unit.own(swapped) == bytes.fromhex("7f2958")


def test_a_session_key_cannot_be_talked_away() -> None:
    """Who strips the configuration on the way gets a proof that the gateway does not take."""
    unit = ApceUnit()
    exchange = unit.verified(configuration=0).closed_with(None)
    assert unit.own(replace(exchange, configuration=1)) == bytes.fromhex("7f2958")


def test_a_proof_of_challenge_response_does_not_close_an_exchange_of_certificates() -> None:
    unit = ApceUnit()
    exchange = unit.verified().exchange
    assert unit.nrc(b"\x29\x06" + bytes(16) + sized(b"") * 3) == 0x12
    assert unit.nrc(b"\x29\x05" + bytes(17)) == 0x12
    assert unit.own(exchange)[0] == 0x69  # neither touched what was open


def test_a_challenge_serves_once_and_a_proof_is_not_taken_twice() -> None:
    unit = ApceUnit()
    exchange = unit.verified().exchange
    assert unit.own(exchange)[0] == 0x69
    assert unit.own(exchange) == bytes.fromhex("7f2924")
    unit.verified()
    assert unit.own(exchange) == bytes.fromhex("7f2958")


@pytest.mark.parametrize(("age_ns", "nrc"), [(30 * S - 1, 0), (30 * S, 0x24)])
def test_the_challenge_runs_out(age_ns: int, nrc: int) -> None:
    unit = ApceUnit()
    exchange = unit.verified().exchange
    unit.leap(age_ns)
    answer = unit.own(exchange)
    assert (answer[2] if answer[0] == 0x7F else 0) == nrc
    assert unit.open == (nrc == 0)


@given(st.integers(0, 6000), st.booleans())
def test_a_request_cut_off_anywhere_grants_nothing(at: int, proving: bool) -> None:
    unit = ApceUnit()
    if proving:
        exchange = unit.verified(configuration=1).closed_with(EPHEMERAL)
        whole = b"\x29\x03" + sized(bytes(70)) + sized(exchange.client_ephemeral)
    else:
        whole = b"\x29\x02\x00" + sized(chain()) + sized(CLIENT_CHALLENGE)
    assert unit.nrc(whole[: max(1, at % len(whole))]) == 0x13
    assert not unit.open


# ---- the session key


@pytest.mark.parametrize(
    "ephemeral", [b"", bytes(31), bytes(33), LOW_ORDER], ids=["none", "short", "long", "low order"]
)
def test_no_session_key_can_be_made_with_a_bad_key_and_nothing_is_granted(ephemeral: bytes) -> None:
    unit = ApceUnit()
    exchange = replace(unit.verified(configuration=1).exchange, client_ephemeral=ephemeral)
    assert unit.own(exchange) == bytes.fromhex("7f295b")
    assert unit.log[-1] == ("refused", "session key")
    assert not unit.open
    assert unit.gate.session_key(unit.now_ns) is None


def test_each_exchange_has_a_session_key_of_its_own() -> None:
    unit = ApceUnit()
    assert len({unit.authenticate(with_key=True) for _ in range(5)}) == 5


def test_a_man_in_the_middle_agrees_on_another_key() -> None:
    exchange = ApceUnit().verified(configuration=1).closed_with(EPHEMERAL)
    right = agree(EPHEMERAL, exchange.server_ephemeral, exchange)
    wrong = agree(EPHEMERAL, public_bytes(EPHEMERAL), exchange)
    assert right.key != wrong.key
    assert right.info != wrong.info


def test_the_session_key_goes_with_the_grant() -> None:
    unit = ApceUnit()
    for end in (lambda: unit.ask("2900"), lambda: unit.power(PowerEvent.SLEEP)):
        unit.authenticate(with_key=True)
        assert unit.gate.session_key(unit.now_ns)
        end()
        assert unit.gate.session_key(unit.now_ns) is None
        assert unit.gate.exchanges.session_key is None  # not even kept


def test_the_session_key_ends_with_the_certificate() -> None:
    unit = ApceUnit()
    unit.authenticate(with_key=True)
    unit.leap(3601 * S)
    assert unit.gate.session_key(unit.now_ns) is None


def test_a_new_authentication_without_a_key_drops_the_old_key() -> None:
    unit = ApceUnit()
    unit.authenticate(with_key=True)
    unit.authenticate()
    assert unit.open
    assert unit.gate.session_key(unit.now_ns) is None


def test_a_failed_authentication_leaves_grant_and_key() -> None:
    unit = ApceUnit()
    key = unit.authenticate(with_key=True)
    exchange = unit.verified().exchange
    assert unit.own(exchange, key=owner_key(101)) == bytes.fromhex("7f2958")
    assert unit.gate.session_key(unit.now_ns) == key


def test_no_log_tells_a_key_a_challenge_or_a_proof() -> None:
    unit = ApceUnit()
    key = unit.authenticate(with_key=True)
    said = f"{unit.gate.log.records} {unit.server.log}"
    assert key.hex() not in said
    assert repr(key) not in said
    assert key.hex() not in repr(unit.gate.exchanges._session_key)
    assert repr(key) not in repr(unit.gate.exchanges._session_key)


# ---- slow checks


def test_during_the_check_another_authentication_is_told_to_come_again() -> None:
    unit = ApceUnit(verification_ns=60_000_000)
    request = b"\x29\x02\x00" + sized(chain()) + sized(CLIENT_CHALLENGE)
    unit.server.receive(request, False, unit.now_ns)
    unit.server.receive(b"\x29\x08", False, unit.now_ns)
    assert unit.server.outputs.pop() == bytes.fromhex("7f2921")
    unit.wait(60_000_000)
    assert [answer[:3].hex() for answer in unit.server.outputs] == ["7f2978", "690211"]


def test_a_reset_during_the_check_of_a_proof_grants_nothing() -> None:
    unit = ApceUnit(verification_ns=60_000_000)
    exchange = unit.verified().exchange
    proof = prove_exchange(owner_key(), exchange, Party.CLIENT)
    unit.server.receive(b"\x29\x03" + sized(proof) + sized(b""), False, unit.now_ns)
    unit.power(PowerEvent.BATTERY_LOST)
    unit.power(PowerEvent.BATTERY_BACK)
    unit.wait(S)
    assert not unit.open
    assert unit.own(exchange) == bytes.fromhex("7f2924")


# ---- rights


def test_only_rights_that_the_unit_has_are_set() -> None:
    unit = ApceUnit(known_scopes=0x21)
    unit.authenticate()
    grant = unit.gate.grant(unit.now_ns)
    assert grant is not None
    assert grant.scope == 0x21


def test_enhanced_rights_of_which_the_unit_has_none_cannot_be_set() -> None:
    unit = ApceUnit(enhanced_max_scope=0x02)
    unit.authenticate()
    enhanced = chain(leaf(serial=2, scope=0x20))
    assert unit.nrc(b"\x29\x04\x00\x01" + sized(enhanced)) == 0x5A


def test_a_unit_told_to_fail_fails_until_told_otherwise() -> None:
    unit = ApceUnit(fails=frozenset((GateFault.CHALLENGE,)))
    assert unit.verify() == bytes.fromhex("7f2959")
    unit.gate.exchanges.faults.clear()
    unit.authenticate()


def test_the_minutes_left_are_the_certificates() -> None:
    unit = ApceUnit()
    assert unit.gate.minutes_left(unit.now_ns) == 0
    unit.authenticate()
    assert unit.gate.minutes_left(unit.now_ns) == 60
