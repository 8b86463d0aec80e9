"""The broker's desk: proves with the back end's own key, for a checked person, over a unit's challenge (0x29, ACR).

What the proof releases, and for how long, is what the person asked for and is entitled to; it stands under the proof.
"""

from __future__ import annotations

from portal_sim.keys import BackendKeys
from wire.authentication import MIN_CHALLENGE_LEN, Party
from wire.challenge_response import (
    ED25519,
    ProofFormatError,
    ProofRequest,
    Wish,
    encode_proof,
    sign_exchange,
)
from wire.entropy import Entropy
from wire.portal_api import PortalError, PortalErrorCode, RequestUnlock
from wire.token import TOKEN_ID_LEN, key_id
from wire.uds import AuthenticationTask

TASKS = frozenset(
    {
        AuthenticationTask.verifyProofOfOwnershipUnidirectional,
        AuthenticationTask.verifyProofOfOwnershipBidirectional,
    }
)


def checked_proof_request(data: bytes) -> ProofRequest:
    """Return what is to be proven. Raises `PortalError` for what the back end's key is not for."""
    try:
        asked = ProofRequest.decode(data)
    except ProofFormatError as error:
        raise PortalError(PortalErrorCode.REQUEST_STRUCTURE_INVALID, f"{error}") from None
    if asked.task not in TASKS or asked.algorithm != ED25519:
        raise PortalError(
            PortalErrorCode.REQUEST_STRUCTURE_INVALID, "The back end proves by Ed25519, for 06 and 07 alone."
        )
    if len(asked.server_challenge) < MIN_CHALLENGE_LEN:
        raise PortalError(
            PortalErrorCode.REQUEST_STRUCTURE_INVALID, "The unit's challenge is too short to be proven over."
        )
    return asked


def prove(
    request: RequestUnlock, asked: ProofRequest, keys: BackendKeys, entropy: Entropy, duration_min: int
) -> tuple[bytes, bytes]:
    """Return (payload, the proof's id)."""
    ident = entropy.token_bytes(TOKEN_ID_LEN)
    wish = Wish(
        ident=ident,
        role=request.role,
        scope=request.scope,
        duration_min=duration_min,
        key_id=key_id(keys.token_key.public_key()),
    )
    exchange = asked.exchange(request.vin, request.ecu_address, wish)
    return encode_proof(sign_exchange(keys.token_key, exchange, Party.CLIENT), exchange.additional), ident
