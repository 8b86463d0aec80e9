"""Each NRC of Authentication 0x29 from 0x50 to 0x5D, and how to cause it: what docs/unlock.md tells, done.

0x50 to 0x57 come from the certificate, row by row: test_certificate_refusals.
"""

from collections.abc import Callable

import pytest
from authenticating_unit import EPHEMERAL, AcrUnit, ApceUnit, StuckEntropy, wish
from cryptography.hazmat.primitives.serialization import Encoding
from unlock_forge import EPOCH_S, OTHER_VIN, chain, key_set, leaf, owner_key

from ecu_sim.unlock.exchanges import FAULT_NRCS, GateFault
from wire.challenge_response import Crypto
from wire.uds import Nrc

Cause = Callable[[], bytes]


def shown(**forged: object) -> Cause:
    return lambda: ApceUnit().verify(field=chain(leaf(**forged)))


def leaf_alone() -> bytes:
    return ApceUnit().verify(field=leaf().public_bytes(Encoding.DER))


def revoked() -> bytes:
    unit = ApceUnit()
    unit.trust.update(key_set(revoked_serials=frozenset((0x1234,))))
    return unit.verify()


def wrong_proof() -> bytes:
    unit = ApceUnit()
    return unit.own(unit.verified().exchange, key=owner_key(101))


def stuck_random_source() -> bytes:
    unit = ApceUnit(entropy=StuckEntropy())
    unit.verified()
    return unit.verify()


def stuck_random_source_in_challenge_response() -> bytes:
    unit = AcrUnit(entropy=StuckEntropy())
    unit.challenged()
    return unit.request()


def no_right_that_the_unit_has() -> bytes:
    unit = ApceUnit(known_scopes=0x01)
    return unit.own(unit.verified(field=chain(leaf(scope=0x20))).exchange)


def wish_for_nothing() -> bytes:
    unit = AcrUnit()
    return unit.own(unit.closed(unit.challenged(), asked=wish(scope=0)))


def no_ephemeral_key() -> bytes:
    unit = ApceUnit()
    return unit.own(unit.verified(configuration=1).exchange)


def nobody_authenticated() -> bytes:
    return ApceUnit().ask("2900")


CAUSES: list[tuple[str, int, Cause]] = [
    ("expired", 0x50, shown(end_s=EPOCH_S - 1)),
    ("signed by another key", 0x51, shown(signing_key=owner_key(9))),
    ("under another issuer", 0x52, leaf_alone),
    ("for a CA", 0x53, shown(ca=True)),
    ("no certificate", 0x54, lambda: ApceUnit().verify(field=b"text")),
    ("for another car", 0x55, shown(vin=OTHER_VIN)),
    ("in no role", 0x56, shown(role=0)),
    ("revoked", 0x57, revoked),
    ("another key's proof", 0x58, wrong_proof),
    ("the random source is stuck", 0x59, stuck_random_source),
    ("the random source gives nothing", 0x59, lambda: ApceUnit(entropy=StuckEntropy(b"\0")).verify()),
    ("the random source is stuck, challenge-response", 0x59, stuck_random_source_in_challenge_response),
    ("no right that the unit has", 0x5A, no_right_that_the_unit_has),
    ("a proof for no right", 0x5A, wish_for_nothing),
    ("no ephemeral key", 0x5B, no_ephemeral_key),
    ("unknown configuration", 0x5C, lambda: ApceUnit().verify(configuration=0x7F)),
    ("unknown configuration, challenge-response", 0x5C, lambda: AcrUnit().request(configuration=0x7F)),
    ("unknown algorithm", 0x5C, lambda: AcrUnit().request(algorithm=bytes(16))),
    ("nobody is authenticated", 0x5D, nobody_authenticated),
    ("nobody is authenticated, challenge-response", 0x5D, lambda: AcrUnit().ask("2900")),
]


@pytest.mark.parametrize(("nrc", "cause"), [row[1:] for row in CAUSES], ids=[row[0] for row in CAUSES])
def test_each_cause_has_its_code(nrc: int, cause: Cause) -> None:
    assert cause() == bytes((0x7F, 0x29, nrc))


def test_every_code_of_the_service_has_a_cause() -> None:
    assert {nrc for _, nrc, _ in CAUSES} == set(range(0x50, 0x5E))


# ---- units that are told to fail


def provoke(unit: ApceUnit | AcrUnit, fault: GateFault) -> bytes:
    """Do what the fault strikes, otherwise right; return the refusal."""
    apce = isinstance(unit, ApceUnit)
    if fault in (GateFault.CHALLENGE, GateFault.CONFIGURATION):
        return unit.verify() if apce else unit.request()
    if fault is GateFault.DE_AUTHENTICATION:
        unit.authenticate()
        return unit.ask("2900")
    if apce:
        return unit.own(unit.verified(configuration=1).closed_with(EPHEMERAL))
    ephemeral = EPHEMERAL.public_key().public_bytes_raw()
    return unit.own(unit.closed(unit.challenged(1), ephemeral=ephemeral))


UNITS = {
    "certificate": ApceUnit,
    "asymmetric": lambda **options: AcrUnit(Crypto.ASYMMETRIC, **options),
    "symmetric": lambda **options: AcrUnit(Crypto.SYMMETRIC, **options),
}


@pytest.mark.parametrize("scheme", list(UNITS))
@pytest.mark.parametrize("fault", list(GateFault))
def test_a_unit_can_be_told_to_fail_at_what_has_hardware_behind_it(scheme: str, fault: GateFault) -> None:
    unit = UNITS[scheme](fails=frozenset((fault,)))
    assert provoke(unit, fault) == bytes((0x7F, 0x29, FAULT_NRCS[fault]))
    still_open = fault is GateFault.DE_AUTHENTICATION
    assert unit.open == still_open  # "server could still be unprotected"
    unit.gate.exchanges.faults.clear()
    assert provoke(unit, fault)[0] == 0x69


def test_the_faults_have_the_codes_that_follow_the_proofs() -> None:
    assert sorted(FAULT_NRCS.values()) == list(range(0x59, 0x5E))
    assert set(FAULT_NRCS) == set(GateFault)
    assert Nrc(FAULT_NRCS[GateFault.SESSION_KEY]).name == "sessionKeyCreationDerivationFailed"
