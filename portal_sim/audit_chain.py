"""The audit log's chain: each record's digest covers the record, its position and the digest before it.

The digest is keyed (HMAC-SHA256, RFC 2104), so that who can write the database, but has not the portal's key, cannot make a chain
that holds. How long the log is stands apart from it, so that nobody cuts its end off unseen.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass

from portal_sim.records import AuditEntry
from wire.plain import to_plain
from wire.portal_api import AuditRecord

START = bytes(32)
"""What stands before the first record."""


class AuditChain:
    """Makes and checks digests under one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def digest(self, position: int, record: AuditRecord, before: bytes) -> bytes:
        """Return the digest of the record at `position` (1 and up) that follows `before`."""
        text = json.dumps([position, to_plain(record)], sort_keys=True, separators=(",", ":"))
        return hmac.new(self._key, before + text.encode(), hashlib.sha256).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """Where a log does not hold: the first `position`, and what is wrong there, in words."""

    position: int
    reason: str


def first_broken(chain: AuditChain, log: Iterable[AuditEntry], head: tuple[int, bytes]) -> Broken | None:
    """Return the first record that does not hold, or None for a log that does, to its end."""
    position, before = 0, START
    for entry in log:
        position += 1
        if entry.position != position:
            return Broken(position=position, reason=f"it is missing: the next one is number {entry.position}")
        if not hmac.compare_digest(chain.digest(position, entry.record, before), entry.digest):
            return Broken(position=position, reason="it was changed, or one before it was")
        before = entry.digest
    count, last = head
    if position != count:
        end = "it is missing: the log was cut off" if position < count else "nobody knows of it: the log was added to"
        return Broken(position=min(position, count) + 1, reason=f"{end} ({count} records were written)")
    if not hmac.compare_digest(before, last):
        return Broken(position=count, reason="it is not the record that was written last")
    return None
