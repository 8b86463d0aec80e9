"""Signatures of changes that went wrong at a back end that errs: spoiled on purpose, so that units with SFD2 can refuse them."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from scenarios.stage import TamperKind as K
from wire.portal_api import RequestUnlock
from wire.secured import SecuredMessage
from wire.signed_change import ChangeClaims, ChangeOrder, ChangeSignature, Place, sign_change
from wire.token import NONCE_LEN, SIGNATURE_LEN, Generation, TokenClaims, key_id, sign

OTHER_VIN = "WVWZZZCDZSW999999"
_STRANGER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x02")
_FOREVER_S = 1 << 40


def spoil_change(kind: K, signer: Ed25519PrivateKey, request: RequestUnlock, payload: bytes) -> bytes | None:
    """Return a spoiled signature, or None where this cannot go wrong with a change."""
    act = CHANGE_TAMPERING.get(kind)
    return None if act is None else act(SpoiledChange(request.challenge, payload, signer))


class SpoiledChange:
    """One change as it was signed, to be spoiled with the back end's own key in hand."""

    def __init__(self, challenge: bytes, payload: bytes, key: Ed25519PrivateKey) -> None:
        order = ChangeOrder.decode(challenge)
        structure = order.request.structure
        self.message: SecuredMessage = order.message
        self.place = Place(vin=structure.vin, ecu_address=structure.ecu_address, nonce=structure.nonce)
        self.payload = payload
        self.claims: ChangeClaims = ChangeSignature.decode(payload).claims
        self.key = key

    def _signed_for(self, place: Place) -> bytes:
        return sign_change(self.claims, place, self.message, self.key).encode()

    def flipped(self) -> bytes:
        """Flip the last bit of the signature."""
        return self.payload[:-1] + bytes((self.payload[-1] ^ 0x01,))

    def for_other_vin(self) -> bytes:
        """Sign it for another vehicle."""
        return self._signed_for(replace(self.place, vin=OTHER_VIN))

    def for_other_ecu(self) -> bytes:
        """Sign it for another unit."""
        return self._signed_for(replace(self.place, ecu_address=self.place.ecu_address ^ 0x7F))

    def for_old_nonce(self) -> bytes:
        """Sign it for a request that was never the unit's last."""
        return self._signed_for(replace(self.place, nonce=bytes(NONCE_LEN)))

    def for_other_change(self) -> bytes:
        """Sign other data than the tester is going to send."""
        inner = self.message.inner[:-1] + bytes((self.message.inner[-1] ^ 0x01,))
        return sign_change(self.claims, self.place, replace(self.message, inner=inner), self.key).encode()

    def without_role(self) -> bytes:
        """Sign it for a role that there is not."""
        return sign_change(replace(self.claims, role=0), self.place, self.message, self.key).encode()

    def without_scope(self) -> bytes:
        """Sign it for no scope."""
        return sign_change(replace(self.claims, scope=0), self.place, self.message, self.key).encode()

    def as_token(self) -> bytes:
        """Give a good SFD token for this unit and nonce instead."""
        claims = TokenClaims(
            key_id=self.claims.key_id,
            token_id=self.claims.change_id,
            ecu_address=self.place.ecu_address,
            vin=self.place.vin,
            role=self.claims.role,
            scope=self.claims.scope,
            nonce=self.place.nonce,
            not_before_utc_s=0,
            not_after_utc_s=_FOREVER_S,
            generation=Generation.SFD,
        )
        return sign(claims, self.key).encode()

    def by_other_issuer(self) -> bytes:
        """Sign it with a key that the vehicle does not know."""
        claims = replace(self.claims, key_id=key_id(_STRANGER_KEY.public_key()))
        return sign_change(claims, self.place, self.message, _STRANGER_KEY).encode()

    def by_other_algorithm(self) -> bytes:
        """Put a keyed hash under the public key where the signature belongs."""
        public_key = self.key.public_key().public_bytes_raw()
        return self.payload[:-SIGNATURE_LEN] + hmac.digest(public_key, self.payload[:-SIGNATURE_LEN], "sha512")


CHANGE_TAMPERING: Mapping[K, Callable[[SpoiledChange], bytes]] = {
    K.FLIP_BIT: SpoiledChange.flipped,
    K.OTHER_VIN: SpoiledChange.for_other_vin,
    K.OTHER_ECU: SpoiledChange.for_other_ecu,
    K.OTHER_CHANGE: SpoiledChange.for_other_change,
    K.STALE_CHALLENGE: SpoiledChange.for_old_nonce,
    K.WRONG_ROLE: SpoiledChange.without_role,
    K.WRONG_SCOPE: SpoiledChange.without_scope,
    K.WRONG_GENERATION: SpoiledChange.as_token,
    K.OTHER_ISSUER: SpoiledChange.by_other_issuer,
    K.OTHER_ALGORITHM: SpoiledChange.by_other_algorithm,
}
