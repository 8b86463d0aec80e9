"""Signs changes for SFD2: an order is checked against what was asked for, then signed for this one change and no other."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wire.entropy import Entropy
from wire.portal_api import PortalError, PortalErrorCode, RequestUnlock, UnlockKind
from wire.secured import SECURED_REQUEST, Administrative
from wire.signed_change import (
    CALCULATION_ED25519,
    ChangeClaims,
    ChangeOrder,
    Place,
    change_digest,
    sign_change,
)
from wire.token import TOKEN_ID_LEN, Generation, TokenFormatError, key_id

CHANGE_LIFETIME_S = 600
"""How long a signed change is of use: a unit keeps its request ten minutes. The unit's own clock decides; this is for people."""
UNREADABLE = Administrative.ENCRYPTED | Administrative.PRE_ESTABLISHED_KEY


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedChange:
    """What was signed. `ident`: the key under which it can be revoked; `subject`: what the audit log says, digest included."""

    payload: bytes
    ident: str
    subject: str


def checked_order(request: RequestUnlock) -> ChangeOrder:
    """Read what is to be signed. Raises `PortalError` where it is no change, or another one than the request names."""
    try:
        order = ChangeOrder.decode(request.challenge)
    except TokenFormatError as error:
        raise PortalError(PortalErrorCode.REQUEST_STRUCTURE_INVALID, f"{error}") from None
    structure, message = order.request.structure, order.message
    if structure.vin != request.vin or structure.ecu_address != request.ecu_address:
        raise _refused("The change is for another vehicle or unit.")
    if structure.generation != Generation.SFD2:
        raise _refused("The request is of another generation.")
    if message.administrative & UNREADABLE or not message.administrative & Administrative.SIGNED:
        raise _refused("A change is signed as it can be read, and says that it is signed.")
    if message.calculation != CALCULATION_ED25519 or message.signature:
        raise _refused("The change is prepared for another signature, or has one already.")
    if message.counter <= order.request.last_counter:
        raise _refused("The change's counter was used before.")
    if message.inner[0] == SECURED_REQUEST:
        raise _refused("A secured request inside a secured request is no change.")
    return order


def issue_change(request: RequestUnlock, order: ChangeOrder, key: Ed25519PrivateKey, entropy: Entropy) -> IssuedChange:
    """Sign the change of a checked order."""
    structure = order.request.structure
    change_id = entropy.token_bytes(TOKEN_ID_LEN)
    claims = ChangeClaims(key_id=key_id(key.public_key()), change_id=change_id, role=request.role, scope=request.scope)
    place = Place(vin=structure.vin, ecu_address=structure.ecu_address, nonce=structure.nonce)
    ident = f"{UnlockKind.SIGNED_CHANGE}:{change_id.hex()}"
    return IssuedChange(
        payload=sign_change(claims, place, order.message, key).encode(),
        ident=ident,
        subject=f"{ident}:{change_digest(order.message)}",
    )


def _refused(sentence: str) -> PortalError:
    return PortalError(PortalErrorCode.REQUEST_STRUCTURE_INVALID, sentence)
