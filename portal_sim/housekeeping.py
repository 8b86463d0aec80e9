"""What a portal does though nobody asks: decide identity checks, forget what has run out, erase media. In a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from portal_sim.media.keeping import MediaFolder
from portal_sim.portal import HOUSEKEEPING_S, Portal
from portal_sim.store import Store
from wire.portal_api import AuditRecord

LOOK_S = 1.0
"""How often it looks for a review that is due: the clock may be put forward."""
RECORDS_AT_ONCE = 10_000
LOG = logging.getLogger("sgw_bench.portal")


class Housekeeping:
    """Runs from `start` to `close`. A database that is away is asked again at the next look.

    `on_record` is told of each record of the audit log, within a second or so after it was written.
    """

    def __init__(
        self,
        portal: Portal,
        store: Store,
        media: MediaFolder,
        utc_s: Callable[[], int],
        on_record: Callable[[AuditRecord], None],
    ) -> None:
        self._portal = portal
        self._store = store
        self._media = media
        self._utc_s = utc_s
        self._on_record = on_record
        with store.reading() as reading:  # now: what is written before the first look is told too
            self._position, _ = reading.audit_head()
        self._swept_s: int | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End, after the look that is going on."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> None:
        """Do what is due now."""
        now_s = self._utc_s()
        self._portal.tick(now_s)
        self._tell()
        if self._swept_s is None or abs(now_s - self._swept_s) >= HOUSEKEEPING_S:
            self._swept_s = now_s
            self._sweep(now_s)

    def _tell(self) -> None:
        """Tell of what the audit log has got since the last look."""
        with self._store.reading() as reading:
            entries = reading.audit(self._position, RECORDS_AT_ONCE)
        for entry in entries:
            self._position = entry.position
            self._on_record(entry.record)

    def _sweep(self, now_s: int) -> None:
        with self._store.reading() as reading:
            known = reading.media()
            undecided = {name for account in reading.reviews_open() for name in account.media}
        gone = set(self._media.sweep(now_s, undecided=undecided, decided=known.keys() - undecided))
        people = {known[name] for name in known.keys() & gone} - {known[name] for name in known.keys() - gone}
        if people:
            with self._store.unit() as unit:
                for email in people:
                    unit.forget_media(email)
            LOG.info("media of identity checks erased by the retention rule, of %d people", len(people))

    def _run(self) -> None:
        while not self._stop.wait(LOOK_S):
            try:
                self.look()
            except Exception:  # whatever it is: without this thread no check would ever be decided again
                LOG.exception("housekeeping has to wait for the next look")
