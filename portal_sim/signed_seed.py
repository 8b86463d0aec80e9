"""The back end's share of a signed-seed lock: which seeds it signs, for whom, and the key that comes of it."""

from __future__ import annotations

from portal_sim.desk import Work
from portal_sim.keys import BackendKeys
from portal_sim.records import Account
from wire.portal_api import PortalError, PortalErrorCode, RequestUnlock, UnlockKind
from wire.signed_seed import (
    GRANTED_ROLE,
    GRANTED_SCOPE,
    SEED_LIFETIME_S,
    SeedFormatError,
    SeedRequest,
    seed_id,
    sign_seed,
)


def checked_seed(work: Work, account: Account, request: RequestUnlock) -> SeedRequest:
    """Return the seed that may be signed for this person. Raises `PortalError`.

    A key says neither role nor scope, so what is asked for must be what every key opens: else somebody would get more than the
    audit log says. A seed is answered for one person only; who asks again, after a lost connection say, gets the same key.
    """
    if request.role != GRANTED_ROLE or request.scope != GRANTED_SCOPE:
        raise PortalError(
            PortalErrorCode.INVALID_INPUT,
            f"A key for a seed opens the gateway for {GRANTED_ROLE.name} with every scope: nothing else can be asked for.",
        )
    try:
        seed = SeedRequest.decode(request.challenge)
    except SeedFormatError as error:
        raise PortalError(PortalErrorCode.REQUEST_STRUCTURE_INVALID, f"{error}") from None
    ident = _ident(seed)
    if work.unit.issued_to(ident) not in (None, account.email):
        raise PortalError(
            PortalErrorCode.REQUEST_STRUCTURE_INVALID,
            "This seed has been answered for somebody else: fetch a new one from the gateway.",
        )
    return seed


def make_key(keys: BackendKeys, request: RequestUnlock, seed: SeedRequest, now_s: int) -> tuple[bytes, str, int]:
    """Return the key, what it is called in the audit log, and until when it is good for something at the latest."""
    key = sign_seed(keys.token_key, request.vin, request.ecu_address, seed)
    return key, _ident(seed), now_s + SEED_LIFETIME_S


def _ident(seed: SeedRequest) -> str:
    return f"{UnlockKind.SIGNED_SEED}:{seed_id(seed.seed).hex()}"
