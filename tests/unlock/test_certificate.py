"""Authentication 0x29 (APCE) on the wire: verify, prove, configuration, de-authenticate, and what its order demands."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from locked_unit import CODING, SECURED, CertificateUnit
from unlock_forge import EPOCH_S, HOUR, S, chain, flip, key_set, keys, leaf, owner_key, sized, trust

from ecu_sim.unlock.certificate import CertificateOptions
from wire.clock import WallClock
from wire.diag_cert import prove_ownership
from wire.token import Role, Scope

MS = 10**6


# ---- bytes


def test_the_configuration_is_apce() -> None:
    assert CertificateUnit().ask("2908") == bytes.fromhex("690802")


def test_a_good_certificate_is_answered_with_a_challenge() -> None:
    """Return 0x11 (ownership verification necessary), length and challenge, length 0 of the ephemeral key."""
    answer = CertificateUnit().present()
    assert answer[:3] == bytes.fromhex("690111")
    assert int.from_bytes(answer[3:5], "big") == 32
    assert answer[37:] == bytes(2)
    assert any(answer[5:37])


def test_a_good_proof_completes_the_authentication() -> None:
    """Return 0x12 (authentication complete), length 0 of the session key info."""
    unit = CertificateUnit()
    challenge = unit.challenge()
    assert not unit.open
    assert unit.prove(unit.proof(challenge)) == bytes.fromhex("6903120000")
    assert unit.open


def test_de_authentication_ends_the_grant() -> None:
    unit = CertificateUnit()
    unit.unlock()
    assert unit.ask("2900") == bytes.fromhex("690010")
    assert not unit.open
    assert unit.log[-1] == ("locked", "de-authentication")


def test_there_is_nothing_to_de_authenticate_when_nobody_is_authenticated() -> None:
    unit = CertificateUnit()
    assert unit.ask("2900") == bytes.fromhex("7f295d")
    unit.challenge()
    assert unit.nrc("2900") == 0x5D
    unit.unlock()
    unit.ask("2900")
    assert unit.nrc("2900") == 0x5D


@pytest.mark.parametrize("task", ["02", "05", "06", "07", "09", "7f"])
def test_tasks_that_the_scheme_does_not_have_are_refused(task: str) -> None:
    assert CertificateUnit().nrc("29" + task) == 0x12


def test_the_clients_own_challenge_may_come_along() -> None:
    unit = CertificateUnit()
    answer = unit.ask(b"\x29\x01\x00" + sized(chain()) + sized(bytes(32)))
    assert answer[:3] == bytes.fromhex("690111")


def test_an_ephemeral_key_may_come_along_with_the_proof() -> None:
    unit = CertificateUnit()
    proof = unit.proof(unit.challenge())
    assert unit.ask(b"\x29\x03" + sized(proof) + sized(bytes(65))) == bytes.fromhex("6903120000")


@pytest.mark.parametrize("configuration", [0x01, 0x10, 0xFF])
def test_a_communication_configuration_that_the_gateway_cannot_work_with_is_said_so(configuration: int) -> None:
    unit = CertificateUnit()
    assert unit.nrc(b"\x29\x01" + bytes((configuration,)) + sized(chain()) + sized(b"")) == 0x5C


@pytest.mark.parametrize(
    "payload",
    [
        "29",
        "2901",
        "290100",
        "29010000",
        "2901000000",
        "29010000000000 00",
        "290100ffff00",
        "29010000010000",
        "2903",
        "290300",
        "29030000",
        "2903000000",
        "290300000000 00",
        "2903ffff00",
        "290000",
        "290800",
        "2904",
        "290400010001",
    ],
)
def test_a_wrong_length_is_a_wrong_length(payload: str) -> None:
    assert CertificateUnit().nrc(payload) == 0x13


@given(st.integers(0, 900), st.booleans())
def test_a_request_cut_off_anywhere_grants_nothing(size: int, proving: bool) -> None:
    unit = CertificateUnit()
    if proving:
        whole = b"\x29\x03" + sized(unit.proof(unit.challenge())) + sized(b"")
    else:
        whole = b"\x29\x01\x00" + sized(chain()) + sized(b"")
    part = whole[: max(1, min(size, len(whole) - 1))]
    assert unit.nrc(part) == 0x13
    assert not unit.open


# ---- challenges


def test_each_verification_has_a_challenge_of_its_own() -> None:
    unit = CertificateUnit()
    challenges = [unit.challenge() for _ in range(20)]
    assert len(set(challenges)) == 20


def test_only_the_last_challenge_counts() -> None:
    unit = CertificateUnit()
    first = unit.challenge()
    unit.challenge()
    assert unit.prove(unit.proof(first)) == bytes.fromhex("7f2958")
    assert not unit.open


def test_a_proof_without_a_challenge_is_out_of_sequence() -> None:
    unit = CertificateUnit()
    assert unit.prove(unit.proof(bytes(32))) == bytes.fromhex("7f2924")


def test_a_proof_cannot_be_replayed() -> None:
    unit = CertificateUnit()
    proof = unit.proof(unit.challenge())
    assert unit.prove(proof)[0] == 0x69
    assert unit.prove(proof) == bytes.fromhex("7f2924")
    unit.ask("2900")
    assert unit.prove(proof) == bytes.fromhex("7f2924")
    unit.challenge()
    assert unit.prove(proof) == bytes.fromhex("7f2958")
    assert not unit.open


def test_a_wrong_proof_voids_the_challenge() -> None:
    unit = CertificateUnit()
    challenge = unit.challenge()
    assert unit.prove(unit.proof(challenge, owner_key(101))) == bytes.fromhex("7f2958")
    assert unit.log[-1] == ("refused", "ownership")
    assert unit.prove(unit.proof(challenge)) == bytes.fromhex("7f2924")
    assert not unit.open


def test_a_malformed_proof_voids_the_challenge() -> None:
    unit = CertificateUnit()
    challenge = unit.challenge()
    assert unit.nrc("290300") == 0x13
    assert unit.prove(unit.proof(challenge)) == bytes.fromhex("7f2924")


def test_a_refused_certificate_voids_the_challenge_before_it() -> None:
    unit = CertificateUnit()
    challenge = unit.challenge()
    assert unit.presented(chain(leaf(scope=0))) == 0x56
    assert unit.prove(unit.proof(challenge)) == bytes.fromhex("7f2924")


def test_de_authentication_voids_an_outstanding_challenge() -> None:
    unit = CertificateUnit()
    unit.unlock()
    challenge = unit.challenge()
    unit.ask("2900")
    assert unit.prove(unit.proof(challenge)) == bytes.fromhex("7f2924")
    assert not unit.open


@pytest.mark.parametrize(("age_ns", "nrc"), [(30 * S - 1, 0), (30 * S, 0x24), (24 * HOUR, 0x24)])
def test_a_challenge_lives_for_its_time(age_ns: int, nrc: int) -> None:
    unit = CertificateUnit(CertificateOptions(challenge_lifetime_ns=30 * S, verification_ns=0))
    challenge = unit.challenge(chain(leaf(end_s=EPOCH_S + 7 * 24 * 3600)))
    unit.leap(age_ns)
    answer = unit.prove(unit.proof(challenge))
    assert (answer[2] if answer[0] == 0x7F else 0) == nrc
    assert unit.open == (nrc == 0)


@pytest.mark.parametrize(("vin_suffix", "address"), [("2", 0x17), ("1", 0x19)], ids=["another vehicle", "another unit"])
def test_a_proof_made_for_another_lock_is_refused(vin_suffix: str, address: int) -> None:
    unit = CertificateUnit()
    vin = unit.gate.vin[:-1] + vin_suffix
    assert unit.prove(prove_ownership(owner_key(), unit.challenge(), vin, address)) == bytes.fromhex("7f2958")


def test_a_signature_over_the_bare_challenge_is_no_proof() -> None:
    unit = CertificateUnit()
    bare = owner_key().sign(unit.challenge(), ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    assert unit.prove(bare) == bytes.fromhex("7f2958")


@given(st.binary(max_size=80))
def test_random_proofs_prove_nothing(proof: bytes) -> None:
    unit = CertificateUnit()
    unit.challenge()
    assert unit.prove(proof) == bytes.fromhex("7f2958")
    assert not unit.open


def test_no_flipped_bit_of_a_good_proof_grants_anything() -> None:
    unit = CertificateUnit()
    size = len(unit.proof(bytes(32)))
    for bit in range(0, 8 * size, 5):
        proof = unit.proof(unit.challenge())
        assert unit.prove(flip(proof, bit % (8 * len(proof)))) == bytes.fromhex("7f2958")
    assert not unit.open


def test_the_work_is_the_signatures_and_0x78_tells_the_tester_to_wait() -> None:
    """60 ms of checking do not fit into P2 of 50 ms."""
    unit = CertificateUnit(CertificateOptions(verification_ns=60 * MS))
    unit.present()
    assert unit.now_ns == 60 * MS
    assert unit.server.outputs[0] == bytes.fromhex("7f2978")
    assert unit.ask("2908") == bytes.fromhex("690802")
    assert unit.now_ns == 60 * MS


# ---- the grant


def test_the_grant_carries_what_the_certificate_says() -> None:
    unit = CertificateUnit()
    unit.unlock(chain(leaf(serial=0xBEEF, role=Role.DEVELOPMENT, scope=Scope.CODING | Scope.RESET)))
    grant = unit.gate.grant(unit.now_ns)
    assert grant is not None
    assert (grant.scheme, grant.role, grant.scope) == ("certificate", Role.DEVELOPMENT, Scope.CODING | Scope.RESET)
    assert (grant.ident, grant.since_ns) == ("beef", unit.now_ns)


def test_the_grant_opens_its_scope_and_nothing_else() -> None:
    unit = CertificateUnit()
    unit.extended()
    assert unit.nrc(CODING) == 0x34
    unit.unlock(chain(leaf(scope=Scope.CODING)))
    assert unit.nrc(CODING) == 0
    assert unit.nrc("31010203") == 0x34


def test_security_access_waits_for_the_certificate() -> None:
    unit = CertificateUnit()
    unit.extended()
    assert unit.nrc("2703") == 0x34
    unit.unlock()
    assert unit.nrc(SECURED) == 0x33
    assert unit.seed_and_key() == 0
    assert unit.nrc(SECURED) == 0


def test_a_certificate_alone_opens_nothing() -> None:
    unit = CertificateUnit()
    unit.extended()
    unit.challenge()
    assert unit.nrc(CODING) == 0x34
    assert not unit.gate.allows(Scope.CODING, unit.now_ns)


def test_authentication_works_in_the_default_session() -> None:
    unit = CertificateUnit()
    assert unit.server.state.session == 1
    unit.unlock()


def test_a_failed_second_authentication_leaves_the_open_grant() -> None:
    unit = CertificateUnit()
    unit.unlock()
    before = unit.gate.grant(unit.now_ns)
    assert unit.presented(chain(leaf(scope=0))) == 0x56
    unit.prove(unit.proof(unit.challenge(), owner_key(101)))
    assert unit.gate.grant(unit.now_ns) == before


def test_a_second_authentication_replaces_the_first() -> None:
    unit = CertificateUnit()
    unit.unlock(chain(leaf(serial=1, scope=Scope.CODING)))
    unit.unlock(chain(leaf(serial=2, scope=Scope.ROUTINES)))
    grant = unit.gate.grant(unit.now_ns)
    assert grant is not None
    assert (grant.ident, grant.scope) == ("2", Scope.ROUTINES)


def test_the_scheme_has_no_routines_and_no_identifiers() -> None:
    unit = CertificateUnit()
    assert not unit.gate.rids
    assert not unit.gate.dids
    with pytest.raises(AssertionError, match="no routine C008"):
        unit.gate.routine(0xC008, b"", 0)
    with pytest.raises(AssertionError, match="no identifier 0174"):
        unit.gate.read_did(0x0174, 0)


# ---- enhanced rights (transmitCertificate)


def transmit(unit: CertificateUnit, certificate_field: bytes, evaluation_id: int = 1) -> bytes:
    return unit.ask(b"\x29\x04" + evaluation_id.to_bytes(2, "big") + sized(certificate_field))


def narrow() -> CertificateUnit:
    unit = CertificateUnit()
    unit.unlock(chain(leaf(scope=Scope.CODING)))
    return unit


def test_an_enhanced_certificate_adds_its_scope() -> None:
    unit = narrow()
    assert transmit(unit, chain(leaf(serial=2, scope=Scope.ROUTINES))) == bytes.fromhex("690413")
    assert unit.gate.allows(Scope.CODING | Scope.ROUTINES, unit.now_ns)
    assert not unit.gate.allows(Scope.RESET, unit.now_ns)


def test_an_enhanced_certificate_adds_nothing_beyond_the_profile() -> None:
    unit = CertificateUnit(CertificateOptions(enhanced_max_scope=Scope.ROUTINES))
    unit.unlock(chain(leaf(scope=Scope.CODING)))
    assert transmit(unit, chain(leaf(serial=2)))[0] == 0x69
    grant = unit.gate.grant(unit.now_ns)
    assert grant is not None
    assert grant.scope == Scope.CODING | Scope.ROUTINES


def test_an_enhanced_certificate_wants_somebody_authenticated() -> None:
    unit = CertificateUnit()
    assert transmit(unit, chain()) == bytes.fromhex("7f2934")
    assert not unit.open


def test_an_enhanced_certificate_of_an_unknown_kind_is_out_of_range() -> None:
    assert transmit(narrow(), chain(), evaluation_id=9) == bytes.fromhex("7f2931")


def test_an_enhanced_certificate_is_checked_like_any_other() -> None:
    unit = narrow()
    assert transmit(unit, chain(leaf(vin="X" * 17))) == bytes.fromhex("7f2955")
    assert not unit.gate.allows(Scope.ROUTINES, unit.now_ns)


def test_somebody_elses_enhanced_certificate_adds_nothing() -> None:
    """Certificates travel in clear: who has recorded one must not gain by it."""
    unit = narrow()
    recorded = chain(leaf(serial=2, public_key=owner_key(101).public_key()))
    assert transmit(unit, recorded) == bytes.fromhex("7f2958")
    assert not unit.gate.allows(Scope.ROUTINES, unit.now_ns)
    assert unit.gate.allows(Scope.CODING, unit.now_ns)


def test_the_grant_ends_with_the_earlier_of_both_certificates() -> None:
    unit = narrow()
    transmit(unit, chain(leaf(serial=2, scope=Scope.ROUTINES, end_s=EPOCH_S + 60)))
    unit.wait(60 * S)
    assert unit.open
    unit.wait(1 * S)
    assert not unit.open


def test_an_enhanced_certificate_does_not_prolong_the_grant() -> None:
    unit = narrow()
    transmit(unit, chain(leaf(serial=2, scope=Scope.ROUTINES, end_s=EPOCH_S + 24 * 3600)))
    unit.wait(3601 * S)
    assert not unit.open


def test_the_grant_ends_with_the_revocation_of_the_ca_above_it() -> None:
    unit = narrow()
    unit.trust.update(key_set(revoked_serials=frozenset((keys().backend_ca.serial_number,))))
    assert not unit.open
    assert unit.log[-1] == ("locked", "revocation")


def test_the_grant_ends_with_the_revocation_of_the_enhanced_certificate() -> None:
    unit = narrow()
    transmit(unit, chain(leaf(serial=2, scope=Scope.ROUTINES)))
    unit.trust.update(key_set(revoked_serials=frozenset((2,))))
    assert not unit.open


# ---- the clock


@pytest.mark.parametrize("drift_ppm", [-50_000, -100, 0, 100, 50_000])
def test_the_lock_falls_at_the_first_moment_after_the_end_by_the_units_own_clock(drift_ppm: int) -> None:
    unit = CertificateUnit(clock=WallClock(drift_ppm=drift_ppm))
    unit.unlock()
    due = unit.gate.next_deadline()
    assert due is not None
    assert unit.clock.utc_s(due - 1) == EPOCH_S + 3600
    assert unit.clock.utc_s(due) == EPOCH_S + 3601
    unit.wait(due - 1 - unit.now_ns)
    assert unit.open
    unit.wait(1)
    assert unit.log[-1] == ("locked", "expiry")
    assert unit.last.now_ns == due


def test_other_timers_just_before_the_end_do_not_move_it() -> None:
    unit = CertificateUnit()
    unit.unlock()
    due = unit.gate.next_deadline()
    unit.gate.handle_timer(3600 * S + S // 2)
    assert unit.gate.next_deadline() == due == 3601 * S


def test_the_trusted_root_is_replaced_with_a_new_key_set() -> None:
    unit = CertificateUnit()
    unit.trust.update(key_set(keys(2)))
    assert unit.trust.root_ca.public_bytes(Encoding.DER) == keys(2).root_ca.public_bytes(Encoding.DER)
    assert unit.presented() == 0x52


@pytest.mark.parametrize("bad", [{"root_ca": b"no certificate"}, {"token_keys": (bytes(31),)}], ids=["root", "key"])
def test_a_key_set_that_cannot_be_read_changes_nothing(bad: dict[str, object]) -> None:
    trusted = trust()
    root_ca, token_keys = trusted.root_ca, dict(trusted.token_keys)
    with pytest.raises(ValueError, match=r"."):
        trusted.update(key_set(keys(2), **bad))
    assert trusted.root_ca == root_ca
    assert trusted.token_keys.keys() == token_keys.keys()


# ---- the service around it


def test_a_suppressed_positive_answer_is_silent_and_takes_effect() -> None:
    unit = CertificateUnit(CertificateOptions(verification_ns=0))
    unit.unlock()
    assert unit.ask("2980") == b""
    assert not unit.open


def test_a_suppressed_answer_is_sent_after_0x78_went_out() -> None:
    unit = CertificateUnit(CertificateOptions(verification_ns=60 * MS))
    proof = unit.proof(unit.challenge())
    assert unit.ask(b"\x29\x83" + sized(proof) + sized(b"")) == bytes.fromhex("6903120000")


def test_a_refusal_is_never_suppressed() -> None:
    assert CertificateUnit().ask("2980") == bytes.fromhex("7f295d")


def test_an_unknown_task_asked_of_everybody_is_met_with_silence() -> None:
    unit = CertificateUnit()
    unit.server.receive(bytes.fromhex("2902"), True, 0)
    assert not unit.server.outputs
    unit.server.receive(bytes.fromhex("2908"), True, 0)
    assert list(unit.server.outputs) == [bytes.fromhex("690802")]
