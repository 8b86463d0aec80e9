"""The tester's half of the two unlock schemes: what is said to the unit that holds the lock, and what its answers mean.

SFD (public tools' notes; payloads ours): `31 01 C0 08` fetches the request structure, `31 01 C0 04` writes the token, `22 01 74`
reads the state, `31 01 C0 0A` locks (our own choice). Certificate: `29 01` shows the chain, `29 03` proves ownership of its key,
`29 00` ends it. Everything goes through udsoncan, as a user's own tool would do it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from udsoncan.exceptions import InvalidResponseException, NegativeResponseException, UnexpectedResponseException
from udsoncan.services.RoutineControl import RoutineControl

from vci_driver.car_map import EcuEntry
from vci_driver.outcome import LockState, StepFailed, UnlockResult
from vci_driver.uds_connection import EcuClient
from wire.diag_cert import COMMUNICATION_CONFIGURATION, prove_ownership
from wire.entropy import Entropy
from wire.errors import CarrierFault, RemoteFault
from wire.portal_api import UnlockKind
from wire.token import Generation
from wire.uds import AuthenticationReturn, Nrc

RID_REQUEST_STRUCTURE = 0xC008
RID_WRITE_TOKEN = 0xC004
RID_LOCK = 0xC00A
DID_STATE = 0x0174
ROUTINE_INFO = 0x24
"""First byte of both routines' status record (as in public notes)."""
STATE_LEN = 4
STATE_OPEN = 0x01

ASK_ERRORS = (
    NegativeResponseException,
    InvalidResponseException,
    UnexpectedResponseException,
    RemoteFault,
    CarrierFault,
)
"""What a udsoncan call over our link can raise when the other side, or the way there, is at fault. Our own mistakes pass."""

_NOT_THERE = frozenset(
    {
        Nrc.serviceNotSupported,
        Nrc.subFunctionNotSupported,
        Nrc.requestOutOfRange,
    }
)
"""Refusals that say: I do not know this service, routine or identifier at all."""

MIN_CHALLENGE_LEN = 16
"""A shorter challenge could be collected and replayed; a careful tester signs none."""
MAX_FIELD_LEN = 0xFFFF
"""Lengths in 0x29 have 16 bits."""
_ORDER_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class LockStateUnknown(RemoteFault):
    """The unit does not say whether it is open."""


class AlreadyOpen(Exception):
    """There is nothing to unlock: the unit says that it is open."""


Pause = Callable[[], None]


def at_once() -> None:
    """Do not hesitate."""


class Scheme(Protocol):
    """One way to open a unit."""

    kind: UnlockKind

    def challenge(self, client: EcuClient) -> bytes:
        """Return what the back end is to sign or certify. Raises `StepFailed`, or `AlreadyOpen`."""

    def present(self, client: EcuClient, payload: bytes, vin: str, holder: EcuEntry, pause: Pause = at_once) -> None:
        """Bring what the back end issued to the unit; `pause` runs before the last word. Raises `StepFailed`."""

    def lock(self, client: EcuClient) -> None:
        """End the grant. Raises what udsoncan raises."""


def is_not_there(error: Exception) -> bool:
    """Return whether a refusal means that the unit has no such thing."""
    return isinstance(error, NegativeResponseException) and error.response.code in _NOT_THERE


def read_state(client: EcuClient) -> LockState:
    """Return the state that `22 01 74` reports; raise what udsoncan raises, or `LockStateUnknown` for other bytes."""
    response = client.read_data_by_identifier(DID_STATE)
    assert response is not None
    value: bytes = response.service_data.values[DID_STATE]
    if len(value) != STATE_LEN:
        raise LockStateUnknown(f"{client.conn.target!r} reports a lock state of {len(value)} bytes: {value.hex(' ')}")
    is_open = value[0] == STATE_OPEN
    return LockState(
        locked=not is_open,
        minutes_left=value[3] if is_open else None,
        signed_changes_only=not is_open and value[2] == Generation.SFD2,
    )


class SfdScheme:
    """A token for one control unit, over its own request structure."""

    kind = UnlockKind.SFD_TOKEN

    def challenge(self, client: EcuClient) -> bytes:
        """Fetch the request structure."""
        try:
            record = _routine(client, RID_REQUEST_STRUCTURE, None)
        except ASK_ERRORS as error:
            result = UnlockResult.SERVICE_NOT_FOUND if is_not_there(error) else UnlockResult.READING_REQUEST_FAILED
            raise StepFailed(result, error) from error
        if record[:1] != bytes((ROUTINE_INFO,)) or len(record) < 2:
            fault = RemoteFault(f"{client.conn.target!r} answered {record[:8].hex(' ')} instead of a request structure")
            raise StepFailed(UnlockResult.READING_REQUEST_FAILED, fault)
        return record[1:]

    def present(
        self,
        client: EcuClient,
        payload: bytes,
        vin: str,  # noqa: ARG002 - the token says it
        holder: EcuEntry,  # noqa: ARG002
        pause: Pause = at_once,
    ) -> None:
        """Write the token."""
        pause()
        try:
            record = _routine(client, RID_WRITE_TOKEN, payload)
        except ASK_ERRORS as error:
            raise StepFailed(UnlockResult.WRITING_TOKEN_FAILED, error) from error
        if record != bytes((ROUTINE_INFO,)):
            fault = RemoteFault(f"{client.conn.target!r} answered {record[:8].hex(' ')} to the token")
            raise StepFailed(UnlockResult.WRITING_TOKEN_FAILED, fault)

    def lock(self, client: EcuClient) -> None:
        """Send the lock command."""
        _routine(client, RID_LOCK, None)


class CertificateScheme:
    """A diagnostic certificate for a key of the tester's own, which never leaves it. A new key for each unlock."""

    kind = UnlockKind.CERTIFICATE

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._private_key: ec.EllipticCurvePrivateKey | None = None

    def challenge(self, client: EcuClient) -> bytes:  # noqa: ARG002 - the unit is asked later, over its own challenge
        """Make a key pair and return its public half (SubjectPublicKeyInfo, DER)."""
        # 64 random bits more than the order has make the bias of the remainder negligible (FIPS 186-5 A.2.1).
        scalar = int.from_bytes(self._entropy.token_bytes(40), "big") % (_ORDER_P256 - 1) + 1
        self._private_key = ec.derive_private_key(scalar, ec.SECP256R1())
        return self._private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def present(self, client: EcuClient, payload: bytes, vin: str, holder: EcuEntry, pause: Pause = at_once) -> None:
        """Show the chain (`29 01`), sign the unit's challenge, prove ownership (`29 03`)."""
        private_key, self._private_key = self._private_key, None
        assert private_key is not None, "present follows challenge"
        try:
            if len(payload) > MAX_FIELD_LEN:
                raise RemoteFault(f"the back end issued {len(payload)} bytes: more than a certificate field holds")
            shown = client.verify_certificate_unidirectional(COMMUNICATION_CONFIGURATION, payload)
            assert shown is not None
            data = shown.service_data
            expect_return(
                client, data.return_value, AuthenticationReturn.certificateVerifiedOwnershipVerificationNecessary
            )
            challenge = data.challenge_server or b""
            if len(challenge) < MIN_CHALLENGE_LEN:
                raise RemoteFault(
                    f"{client.conn.target!r} gave a challenge of {len(challenge)} bytes: it is not signed"
                )
            pause()
            proof = prove_ownership(private_key, challenge, vin, holder.address)
            proven = client.proof_of_ownership(proof)
            assert proven is not None
            expect_return(
                client,
                proven.service_data.return_value,
                AuthenticationReturn.ownershipVerifiedAuthenticationComplete,
            )
        except ASK_ERRORS as error:
            result = UnlockResult.WRITING_TOKEN_FAILED
            if isinstance(error, NegativeResponseException) and error.response.code == Nrc.serviceNotSupported:
                result = UnlockResult.SERVICE_NOT_FOUND
            raise StepFailed(result, error) from error

    def lock(self, client: EcuClient) -> None:
        """De-authenticate."""
        response = client.deauthenticate()
        assert response is not None
        expect_return(client, response.service_data.return_value, AuthenticationReturn.deAuthenticationSuccessful)


def _routine(client: EcuClient, rid: int, record: bytes | None) -> bytes:
    response = client.routine_control(rid, RoutineControl.ControlType.startRoutine, record)
    assert response is not None
    return bytes(response.service_data.routine_status_record)


def expect_return(client: EcuClient, got: int, wanted: AuthenticationReturn) -> None:
    """Raise `RemoteFault` where Authentication returned something else."""
    if got != wanted:
        raise RemoteFault(
            f"{client.conn.target!r} returned 0x{got:02X} to Authentication, expected 0x{wanted.value:02X} {wanted.name}"
        )
