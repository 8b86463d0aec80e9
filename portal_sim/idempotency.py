"""Idempotency keys: who asks again for an unlock, because its answer was lost, gets the same one and spends no second code.

A key belongs to a person and to what was asked for with it. The answer is kept in the same unit as the unlock.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from portal_sim.desk import Work, hashed
from portal_sim.forms import invalid
from portal_sim.records import KeptReply
from wire.plain import from_plain, to_plain
from wire.portal_api import PortalError, PortalErrorCode, RequestUnlock, Unlock

MAX_KEY_CHARS = 64
"""A UUID has 36."""
_NOT_ASKED_FOR = ("session", "code", "idempotency_key")
"""A repetition may come from the next session, and with the next code."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """A request that may be a repetition."""

    key_hash: str
    request_hash: str

    @classmethod
    def of(cls, email: str, request: RequestUnlock) -> Repeated | None:
        """Return it, or None for a request without a key. Raises `PortalError` for a key that is none."""
        key = request.idempotency_key
        if not key:
            return None
        if len(key) > MAX_KEY_CHARS or not key.isascii() or not key.isprintable():
            raise invalid("the idempotency key", f"it has at most {MAX_KEY_CHARS} printable ASCII characters")
        wish = {name: value for name, value in to_plain(request).items() if name not in _NOT_ASKED_FOR}
        return cls(hashed(f"{email}\n{key}"), hashed(json.dumps(wish, sort_keys=True)))

    def answer(self, work: Work) -> Unlock | None:
        """Return what was answered before, or None. Raises `KEY_REUSED` where something else was asked for."""
        kept = work.unit.kept_reply(self.key_hash, work.now_s)
        if kept is None:
            return None
        if kept.request_hash != self.request_hash:
            raise PortalError(PortalErrorCode.KEY_REUSED, "This idempotency key was used for another request.")
        return from_plain(Unlock, json.loads(kept.reply))

    def kept(self, unlock: Unlock, work: Work) -> KeptReply:
        """Return the answer as it is kept."""
        return KeptReply(
            key_hash=self.key_hash,
            request_hash=self.request_hash,
            reply=json.dumps(to_plain(unlock)),
            expires_s=work.now_s + work.options.idempotency_lifetime_s,
        )
