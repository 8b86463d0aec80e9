"""The outbox of a store, as the postman uses it: each act is a unit of its own, so that no unit waits for a server."""

from __future__ import annotations

from portal_sim.records import OutgoingMail
from portal_sim.store import Store


class StoreOutbox:
    """See `portal_sim.mail.postman.Outbox`. Raises what the store raises, `Conflict` too: the postman asks again."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def undelivered(self, now_s: int, limit: int) -> list[OutgoingMail]:
        """Return mails whose next try is due, oldest first."""
        with self._store.reading() as reading:
            return reading.undelivered(now_s, limit)

    def delivered(self, mail_id: int) -> None:
        """Take a mail out of the outbox."""
        with self._store.unit() as unit:
            unit.delivered(mail_id)

    def failed(self, mail_id: int, next_try_s: int) -> None:
        """Note that a mail could not be delivered, and when to try again."""
        with self._store.unit() as unit:
            unit.failed(mail_id, next_try_s)
