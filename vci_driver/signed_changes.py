"""The tester's half of SFD2: each change is signed by the back end for itself, and goes as SecuredDataTransmission 0x84.

    31 01 C0 08 -> nonce and last counter;  back end -> signature;  84 ... -> C4 with the inner answer, or 7F 84

`SecuredConnection` does this below udsoncan: whoever uses its client writes, starts routines and controls outputs as ever. What
fails on the way is `UnlockFailed` with the field's result code (-6: the unit did not take the signature); a refusal of the inner
service is udsoncan's own, as if it had come plain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from udsoncan.exceptions import NegativeResponseException
from udsoncan.Request import Request
from udsoncan.Response import Response

from vci_driver.link import DiagnosticLink
from vci_driver.outcome import StepFailed, UnlockFailed, UnlockReport, UnlockResult
from vci_driver.portal_client import UnlockWish
from vci_driver.uds_connection import EcuClient, UdsonConnection
from vci_driver.unlocking import ASK_ERRORS, SfdScheme
from wire.errors import LocalMisuse, RemoteFault
from wire.portal_api import Unlock, UnlockKind
from wire.secured import SECURED_ANSWER, SECURED_REQUEST, Administrative, SecuredFormatError, SecuredMessage
from wire.signed_change import (
    CALCULATION_ED25519,
    ChangeOrder,
    ChangeRequest,
    Place,
    answer_signed_by,
)
from wire.token import ALL_SCOPES, Generation, Role, TokenFormatError
from wire.uds import NEGATIVE_RESPONSE, SUB_FUNCTION_SERVICES, SUPPRESS_POSITIVE_RESPONSE, Nrc, Service

CHANGES = frozenset((Service.WriteDataByIdentifier, Service.InputOutputControlByIdentifier, Service.RoutineControl))
"""What is wrapped: all that SFD protects (domain facts)."""
UNLOCK_ROUTINES = (b"\xc0\x08", b"\xc0\x04", b"\xc0\x0a")
"""The lock's own routines, which never are."""
ANSWER_KEY_DID = 0x0175
PENDING = Nrc.requestCorrectlyReceivedResponsePending


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeTerms:
    """In which role and for which scope a change is signed; `signed_answer`: whether the unit is to sign what it answers;
    `counter`: the anti-replay counter to use, None for the next one.
    """

    role: int = Role.AFTER_SALES
    scope: int = ALL_SCOPES
    signed_answer: bool = False
    counter: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedChange:
    """A change as the back end signed it, ready to be sent. `audit_id`: the back end's record."""

    unit: str
    message: SecuredMessage
    place: Place
    audit_id: str


class ChangeSigner:
    """Has changes signed and brings them to units. `prepare` enters the session in which a unit takes changes and keeps it;
    `issue` asks the back end. Raises `UnlockFailed`.
    """

    def __init__(
        self,
        link: DiagnosticLink,
        *,
        vin: Callable[[], str],
        prepare: Callable[[str], EcuClient],
        issue: Callable[[UnlockWish], Unlock],
    ) -> None:
        self._link = link
        self._vin = vin
        self._prepare = prepare
        self._issue = issue

    def signed(self, unit: str, inner: bytes, terms: ChangeTerms) -> SignedChange:
        """Fetch the unit's request for a change and have this change signed for it."""
        try:
            return self._signed(unit, inner, terms)
        except StepFailed as failure:
            raise _failed(unit, failure) from failure.cause

    def _signed(self, unit: str, inner: bytes, terms: ChangeTerms) -> SignedChange:
        vin, client = self._vin(), self._prepare(unit)
        request = _change_request(unit, SfdScheme().challenge(client))
        bits = Administrative.REQUEST | Administrative.SIGNED
        if terms.signed_answer:
            bits |= Administrative.SIGNATURE_ON_ANSWER
        counter = request.last_counter + 1 if terms.counter is None else terms.counter
        message = SecuredMessage(administrative=bits, calculation=CALCULATION_ED25519, counter=counter, inner=inner)
        entry = self._link.car.ecu(unit)
        unlock = self._issue(
            UnlockWish(
                kind=UnlockKind.SIGNED_CHANGE,
                make=self._link.car.make,
                vin=vin,
                ecu_address=entry.address,
                role=terms.role,
                scope=terms.scope,
                challenge=ChangeOrder(request=request, message=message).encode(),
            )
        )
        return SignedChange(
            unit=unit,
            message=replace(message, signature=unlock.payload),
            place=Place(vin=vin, ecu_address=entry.address, nonce=request.structure.nonce),
            audit_id=unlock.audit_id,
        )

    def send(self, change: SignedChange) -> bytes:
        """Bring a signed change to its unit; return the inner answer, positive or negative, empty where it is suppressed."""
        connection = SecuredConnection(self._link, change.unit, self, ChangeTerms())
        connection.send_signed(change)
        while True:
            answer = connection.wait_frame(exception=True)
            if not answer or answer[0] != NEGATIVE_RESPONSE or answer[2:] != bytes((PENDING,)):
                return answer or b""


class SecuredConnection(UdsonConnection):
    """A udsoncan connection to one unit over which changes go signed, and everything else as it is."""

    def __init__(self, link: DiagnosticLink, target: str, signer: ChangeSigner, terms: ChangeTerms) -> None:
        super().__init__(link, target)
        self._signer = signer
        self._terms = terms
        self._change: SignedChange | None = None

    def send(self, data: bytes | Request | Response, timeout: float | None = None) -> None:
        """Send a request; a change is signed first, which may take the back end's time."""
        payload = data if isinstance(data, bytes) else data.get_payload()
        assert payload is not None
        if is_change(payload):
            self.send_signed(self._signer.signed(self.target, payload, self._terms))
            return
        self._change = None
        super().send(payload, timeout)

    def send_signed(self, change: SignedChange) -> None:
        """Send what was signed. A change whose positive answer is suppressed is on the bus when this returns."""
        super().send(change.message.encode())
        self._change = change
        if _suppresses(change.message.inner):
            self._under_way.suppressed = True
            self.link.wait_until_sent(self._under_way)

    def wait_frame(self, timeout: float | None = None, exception: bool = False) -> bytes | None:  # noqa: FBT001, FBT002 - udsoncan's signature
        """Return the next answer, that of the inner service unwrapped. Raises `UnlockFailed` where the unit took no change."""
        change = self._change
        if change is None:
            return super().wait_frame(timeout, exception)
        try:
            answer = self._wait(self._under_way)
            return _unwrapped(change, answer, self._answer_key) if answer else None
        except ASK_ERRORS as error:
            raise _failed(self.target, StepFailed(UnlockResult.WRITING_TOKEN_FAILED, error)) from error

    def _answer_key(self) -> Ed25519PublicKey:
        """Read the public key with which the unit signs its answers."""
        answer = self.link.request(self.target, b"\x22" + ANSWER_KEY_DID.to_bytes(2, "big"))
        try:
            return Ed25519PublicKey.from_public_bytes(answer[3:] if answer[:1] == b"\x62" else b"")
        except ValueError:
            raise RemoteFault(f"{self.target!r} signed its answer and does not say with which key") from None


def is_change(payload: bytes) -> bool:
    """Return whether a request is one that a unit with SFD2 takes signed alone."""
    if payload[:1] == bytes((Service.RoutineControl,)) and payload[2:4] in UNLOCK_ROUTINES:
        return False
    return payload[0] in CHANGES


def _change_request(unit: str, data: bytes) -> ChangeRequest:
    try:
        request = ChangeRequest.decode(data)
    except TokenFormatError as error:
        raise StepFailed(UnlockResult.READING_REQUEST_FAILED, error) from error
    if request.structure.generation != Generation.SFD2:
        fault = RemoteFault(f"{unit!r} hands out a request of generation {request.structure.generation}, not of SFD2")
        raise StepFailed(UnlockResult.READING_REQUEST_FAILED, fault)
    return request


def _unwrapped(change: SignedChange, answer: bytes, key: Callable[[], Ed25519PublicKey]) -> bytes:
    """Return the inner answer; 0x78 as if the inner service had said it."""
    asked = change.message
    if answer[:2] == bytes((NEGATIVE_RESPONSE, SECURED_REQUEST)):
        if answer[2:] == bytes((PENDING,)):
            return bytes((NEGATIVE_RESPONSE, asked.inner[0], PENDING))
        raise NegativeResponseException(Response.from_payload(answer))
    try:
        message = SecuredMessage.decode(answer, SECURED_ANSWER)
    except SecuredFormatError as error:
        raise RemoteFault(f"{change.unit!r} answered no secured message: {error}") from None
    if message.counter != asked.counter:
        raise RemoteFault(f"{change.unit!r} answered counter {message.counter} to {asked.counter}")
    wants = asked.administrative & Administrative.SIGNATURE_ON_ANSWER
    if wants and not (message.signature and answer_signed_by(key(), change.place, message)):
        raise RemoteFault(f"{change.unit!r} did not sign its answer, or not this one: do not rely on it")
    return message.inner


def _suppresses(inner: bytes) -> bool:
    return len(inner) > 1 and inner[0] in SUB_FUNCTION_SERVICES and inner[1] >= SUPPRESS_POSITIVE_RESPONSE


def _failed(unit: str, failure: StepFailed) -> UnlockFailed:
    return UnlockFailed(UnlockReport(ecu=unit, result=failure.result, cause=failure.cause))


def not_opened(unit: str) -> LocalMisuse:
    """Return why a unit with SFD2 cannot be unlocked."""
    return LocalMisuse(f"{unit!r} takes no token: each change is signed for itself, as Tester.secured() does it")
