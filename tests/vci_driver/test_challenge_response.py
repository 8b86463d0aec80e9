"""A broker's proof from login to unlock: the tester's half on udsoncan, the portal, and a unit behind challenge-response."""

from __future__ import annotations

from typing import Any

import pytest
from authenticating_unit import AcrUnit
from locked_unit import seeded
from portal_people import Counter, Visitor, manager
from scripted_workshop import EXTENDED, Workshop, text
from scripted_workshop import unit as scripted
from udsoncan.client import Client
from udsoncan.connections import BaseConnection
from udsoncan.exceptions import TimeoutException
from unlock_forge import ADDRESS, MINUTE, OTHER_VIN, VIN, S

from vci_driver.car_map import CarMap, EcuEntry, UnlockScheme
from vci_driver.challenge_response import ChallengeResponseScheme
from vci_driver.outcome import StepFailed, UnlockResult
from wire.challenge_response import (
    HMAC_SHA256,
    Crypto,
    ProofFormatError,
    ProofRequest,
    decode_proof,
    encode_proof,
    split_additional,
)
from wire.portal_api import PortalErrorCode, UnlockKind
from wire.token import Role, Scope
from wire.uds import Nrc

HOLDER = EcuEntry(name="unit", address=ADDRESS, request_id=0x714, response_id=0x77E)


class Wire(BaseConnection):
    """udsoncan's connection straight into a unit; `said` answers instead, by the head of the request."""

    def __init__(self, unit: AcrUnit) -> None:
        super().__init__("wire")
        self.unit = unit
        self.target = "unit"
        self.said: dict[bytes, bytes] = {}
        self._answer = b""

    def open(self) -> Wire:
        return self

    def close(self) -> None:
        return None

    def empty_rxqueue(self) -> None:
        self._answer = b""

    def is_open(self) -> bool:
        return True

    def specific_send(self, payload: bytes, timeout: float | None = None) -> None:
        self._answer = self.said.get(payload[:2]) or self.unit.ask(payload)

    def specific_wait_frame(self, timeout: float | None = None) -> bytes:
        answer, self._answer = self._answer, b""
        if not answer:
            raise TimeoutException("nothing said")
        return answer


class Chain:
    """A person at the portal, a tester, and a unit that knows the portal's keys."""

    def __init__(self, crypto: Crypto = Crypto.ASYMMETRIC) -> None:
        self.counter = Counter()
        self.person: Visitor = manager(self.counter)
        self.person.log_in()
        self.unit = AcrUnit(crypto)
        self.unit.trust.update(self.counter.portal.key_set())
        self.wire = Wire(self.unit)
        self.client = Client(self.wire, request_timeout=1)
        self.scheme = ChallengeResponseScheme(seeded(21))

    def ask(self, challenge: bytes, **changes: Any) -> Any:
        asked = {"kind": UnlockKind.PROOF, "make": "fca", "vin": VIN, "ecu_address": ADDRESS, "code": None}
        return self.person.ask(challenge=challenge, **{**asked, **changes})

    def unlock(self, **changes: Any) -> Any:
        issued = self.ask(self.scheme.challenge(self.client), **changes)
        self.scheme.present(self.client, issued.payload, VIN, HOLDER)
        return issued


def test_a_checked_person_opens_a_unit_whose_key_the_tester_never_has() -> None:
    chain = Chain()
    issued = chain.unlock(role=Role.AFTER_SALES, scope=Scope.CODING)
    assert chain.unit.open
    grant = chain.unit.gate.grant(chain.unit.now_ns)
    assert grant is not None
    assert (grant.role, grant.scope) == (Role.AFTER_SALES, Scope.CODING)
    record = chain.counter.portal.audit_log()[-1]
    assert (record.action, record.audit_id, record.subject) == (
        "unlock issued",
        issued.audit_id,
        f"proof:{grant.ident}",
    )
    assert (record.vin, record.ecu_address, record.make) == (VIN, ADDRESS, "fca")
    chain.scheme.lock(chain.client)
    assert not chain.unit.open


def test_the_grant_ends_by_the_units_own_bound() -> None:
    chain = Chain()
    chain.unlock()
    chain.unit.wait(60 * MINUTE)
    assert not chain.unit.open


@pytest.mark.parametrize("changes", [{"vin": OTHER_VIN}, {"ecu_address": ADDRESS + 1}], ids=["car", "unit"])
def test_a_proof_for_another_car_or_unit_opens_nothing(changes: dict[str, Any]) -> None:
    chain = Chain()
    with pytest.raises(StepFailed) as failed:
        chain.unlock(**changes)
    assert failed.value.result is UnlockResult.WRITING_TOKEN_FAILED
    assert failed.value.cause.response.code == Nrc.ownershipVerificationFailed
    assert not chain.unit.open


def test_a_proof_that_comes_too_late_opens_nothing() -> None:
    chain = Chain()
    issued = chain.ask(chain.scheme.challenge(chain.client))
    with pytest.raises(StepFailed):
        chain.scheme.present(chain.client, issued.payload, VIN, HOLDER, lambda: chain.unit.leap(30 * S))
    assert not chain.unit.open


def test_a_proof_is_of_no_use_a_second_time() -> None:
    chain = Chain()
    issued = chain.unlock()
    chain.scheme.lock(chain.client)
    chain.scheme.challenge(chain.client)
    with pytest.raises(StepFailed):
        chain.scheme.present(chain.client, issued.payload, VIN, HOLDER)
    assert not chain.unit.open


def test_a_unit_without_the_scheme_is_told_apart() -> None:
    chain = Chain()
    chain.wire.said[b"\x29\x05"] = bytes.fromhex("7f2911")
    with pytest.raises(StepFailed) as failed:
        chain.scheme.challenge(chain.client)
    assert failed.value.result is UnlockResult.SERVICE_NOT_FOUND


def test_a_unit_with_a_shared_key_does_not_take_the_brokers_algorithm() -> None:
    with pytest.raises(StepFailed) as failed:
        Chain(Crypto.SYMMETRIC).unlock()
    assert failed.value.result is UnlockResult.READING_REQUEST_FAILED
    assert failed.value.cause.response.code == Nrc.configurationDataUsageFailed


ALGORITHM = "06032b6570" + "00" * 11


@pytest.mark.parametrize(
    "answer",
    [
        "690501" + ALGORITHM + "0010" + "11" * 16 + "000101",
        "690500" + ALGORITHM + "000f" + "11" * 15 + "000101",
        "690500" + HMAC_SHA256.hex() + "0010" + "11" * 16 + "000101",
        "690500" + ALGORITHM + "0010" + "11" * 16 + "000102",
        "690500" + ALGORITHM + "0010" + "11" * 16 + "0000",
        "690500" + ALGORITHM + "0010" + "11" * 15,
    ],
    ids=["another return", "short challenge", "another algorithm", "another wish", "no need", "cut off"],
)
def test_a_careful_tester_carries_no_odd_challenge_to_the_broker(answer: str) -> None:
    chain = Chain()
    chain.wire.said[b"\x29\x05"] = bytes.fromhex(answer)
    with pytest.raises(StepFailed) as failed:
        chain.scheme.challenge(chain.client)
    assert failed.value.result is UnlockResult.READING_REQUEST_FAILED


@pytest.mark.parametrize("payload", [b"", b"\0", b"\0\0", b"\0\0\0\0\0", b"\xff\xff\0"])
def test_what_is_no_proof_is_not_brought_to_the_unit(payload: bytes) -> None:
    chain = Chain()
    chain.scheme.challenge(chain.client)
    with pytest.raises(StepFailed) as failed:
        chain.scheme.present(chain.client, payload, VIN, HOLDER)
    assert isinstance(failed.value.cause, ProofFormatError)


def test_a_unit_that_says_something_else_is_not_believed() -> None:
    chain = Chain()
    challenge = chain.scheme.challenge(chain.client)
    chain.wire.said[b"\x29\x06"] = bytes.fromhex("690600" + ALGORITHM + "0000")
    with pytest.raises(StepFailed, match="expected 0x12"):
        chain.scheme.present(chain.client, chain.ask(challenge).payload, VIN, HOLDER)


# ---- through the whole tester

CAR = CarMap(
    make="fca",
    gateway="gateway",
    functional_id=0x441,
    ecus=(
        EcuEntry(
            name="gateway",
            address=ADDRESS,
            request_id=0x710,
            response_id=0x77A,
            scheme=UnlockScheme.CHALLENGE_RESPONSE,
        ),
    ),
)


def test_the_tester_unlocks_asks_for_the_state_and_locks_again() -> None:
    chain = Chain()
    replies = {
        **EXTENDED,
        "22 F1 90": text(0xF190, VIN),
        "29 05": "690500" + ALGORITHM + "0010" + "11" * 16 + "000101",
        "29 06": "690612" + ALGORITHM + "0000",
        "29 00": "690010",
        "27 03": "7f2734",
    }
    made = Workshop(CAR, gateway=scripted(replies))
    made.portal.payload = chain.ask(GOOD.encode()).payload
    made.login()
    report = made.tester.unlock("gateway")
    assert (report.ok, report.minutes_left) == (True, None)
    (asked,) = made.portal.unlocks()
    assert (asked.kind, asked.make, asked.ecu_address) == (UnlockKind.PROOF, "fca", ADDRESS)
    assert ProofRequest.decode(asked.challenge).server_challenge == b"\x11" * 16
    assert made.tester.unlock_state("gateway").locked
    made.tester.relock("gateway")
    assert made.heard("gateway")[-1] == "29 00"


# ---- the broker's desk

GOOD = ProofRequest(task=6, configuration=0, algorithm=bytes.fromhex(ALGORITHM), server_challenge=bytes(32))


@pytest.mark.parametrize(
    "challenge",
    [
        b"",
        bytes(17),
        GOOD.encode()[:-1],
        GOOD.encode() + b"\0",
        bytes((3,)) + GOOD.encode()[1:],
        ProofRequest(task=6, configuration=0, algorithm=HMAC_SHA256, server_challenge=bytes(32)).encode(),
        ProofRequest(task=6, configuration=0, algorithm=GOOD.algorithm, server_challenge=bytes(15)).encode(),
    ],
    ids=["empty", "short", "cut off", "tail", "another task", "another algorithm", "short challenge"],
)
def test_the_broker_proves_over_nothing_odd_and_burns_no_record(challenge: bytes) -> None:
    chain = Chain()
    with chain.counter.refused(PortalErrorCode.REQUEST_STRUCTURE_INVALID):
        chain.ask(challenge)
    assert "unlock issued" not in chain.counter.actions()


def test_the_broker_proves_for_no_make_that_unlocks_otherwise() -> None:
    chain = Chain()
    with chain.counter.refused(PortalErrorCode.INVALID_INPUT):
        chain.ask(GOOD.encode(), make="mercedes")


def test_a_session_key_and_the_other_direction_are_proven_over_as_well() -> None:
    asked = ProofRequest(
        task=7,
        configuration=1,
        algorithm=GOOD.algorithm,
        server_challenge=bytes(32),
        server_ephemeral=b"s" * 32,
        client_challenge=b"c" * 32,
        client_ephemeral=b"e" * 32,
    )
    assert ProofRequest.decode(asked.encode()) == asked
    proof, additional = decode_proof(Chain().ask(asked.encode()).payload)
    assert encode_proof(proof, additional)[:2] == bytes.fromhex("0040")
    assert split_additional(additional)[1] == b"e" * 32


def test_a_revoked_proof_is_on_the_list_of_revoked_ids() -> None:
    chain = Chain()
    issued = chain.unlock()
    chain.counter.portal.operators.revoke_unlock(issued.audit_id, chain.counter.now_s)
    grant = chain.unit.gate.grant(chain.unit.now_ns)
    assert grant is not None
    assert bytes.fromhex(grant.ident) in chain.counter.portal.key_set().revoked_tokens
