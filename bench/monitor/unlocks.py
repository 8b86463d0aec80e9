"""What the back end has issued, by its audit log, and what a lock opens for: a token, a certificate, the key over a seed."""

from __future__ import annotations

from bench.monitor.books import GRACE_NS, SFD_WINDOW_NS, Books, Grant
from bench.monitor.requests import PROOF, TOKEN, Talk
from bench.monitor.seeds import SeedBook
from bench.monitor.watched import WatchedCar, WatchedUnit
from wire.portal_api import AuditRecord

CERTIFICATE_WINDOW_S, CERTIFICATE_BEFORE_S = 3600, 300
"""How long a certificate opens from its issue, and from how long before it: the bench's own choice."""


def _number(subject: str) -> bytes:
    """Return the number of what was issued, as it stands in a token or certificate; empty where the record has none."""
    digits = subject.rpartition(":")[2]
    try:
        return bytes.fromhex(digits.zfill(len(digits) + len(digits) % 2))
    except ValueError:
        return b""


class Unlocks:
    """The issued unlocks that one car has not used up yet."""

    def __init__(self, car: WatchedCar, books: Books) -> None:
        self._car = car
        self._books = books
        self._issued: list[AuditRecord] = []
        self.seeds = SeedBook(car.seed_level)

    def issue(self, record: AuditRecord) -> None:
        """Learn of an audit record of an issued unlock."""
        self._issued.append(record)

    def shown(self, now_ns: int, unit: WatchedUnit, shown: bytes) -> AuditRecord | None:
        """Return the audit record of what was shown: for this VIN and unit, with the number and the VIN in its bytes."""
        vin = self._car.vin
        for record in reversed(self._issued):
            mine = self._for(now_ns, unit, record)
            if mine and _number(record.subject) in shown and vin.encode() in shown:
                return record
        return None

    def called(self, now_ns: int, unit: WatchedUnit, name: str | None) -> AuditRecord | None:
        """Return the audit record of an unlock by its name, for this VIN and unit."""
        for record in self._issued:
            if record.subject == name and self._for(now_ns, unit, record):
                return record
        return None

    def _for(self, now_ns: int, unit: WatchedUnit, record: AuditRecord) -> bool:
        here = (record.vin, record.ecu_address) == (self._car.vin, unit.address)
        return here and record.utc_s <= self._books.utc_s(now_ns)

    def use_up(self, record: AuditRecord | None) -> None:
        """Learn that an unlock was taken that opens once."""
        if record is not None:
            self._issued.remove(record)

    # ---- what is opened

    def by_token(self, now_ns: int, since_ns: int, record: AuditRecord | None) -> Grant:
        """Return what a token opens: once, for 90 minutes."""
        return Grant(begun_ns=now_ns, since_ns=since_ns, left_ns=SFD_WINDOW_NS, name=_name(record))

    def by_certificate(self, now_ns: int, since_ns: int, record: AuditRecord | None, chain: bytes) -> Grant:
        """Return what a certificate opens: until it ends, as often as it is shown."""
        utc_s = self._books.utc_s(since_ns)
        until_utc_s = (utc_s if record is None else record.utc_s) + CERTIFICATE_WINDOW_S
        if not self._car.unset_clock_refuses:  # its hours count from here where the gateway knows no time
            until_utc_s = utc_s + CERTIFICATE_BEFORE_S + CERTIFICATE_WINDOW_S
        return Grant(begun_ns=now_ns, since_ns=since_ns, until_utc_s=until_utc_s, name=_name(record), shown=chain)

    def by_key(self, now_ns: int, name: str | None) -> Grant:
        """Return what a key opens: once, until something ends it."""
        return Grant(begun_ns=now_ns, since_ns=now_ns, endless=True, name=name or "")

    # ---- what was not answered yet, and perhaps never is

    def hoped_for(self, now_ns: int, unit: WatchedUnit, talk: Talk, request: bytes) -> Grant | None:
        """Return what a request (suppress bit taken off) to a unit opens if it is not refused, None where it opens nothing: what
        it shows must have been issued for this VIN and unit, if anybody can say.

        No request to all units opens: token, proof and key are longer than a single frame, with CAN FD too.
        """
        since_ns = now_ns + unit.p2_ns + GRACE_NS
        is_gateway = unit.name == self._car.gateway
        if request.startswith(TOKEN) and not unit.signed_changes:
            record = self.shown(now_ns, unit, request[len(TOKEN) :])
            return self.by_token(now_ns, since_ns, record) if self._credible(record) else None
        if request.startswith(PROOF) and is_gateway and talk.shown:
            record = self.shown(now_ns, unit, talk.shown)
            return self.by_certificate(now_ns, since_ns, record, talk.shown) if self._credible(record) else None
        if self.seeds.is_key(request) and is_gateway:
            name = self.seeds.called(request)
            credible = name is not None and self._credible(self.called(now_ns, unit, name))
            return self.by_key(now_ns, name) if credible else None
        return None

    def _credible(self, record: AuditRecord | None) -> bool:
        return record is not None or not self._car.audited

    def prove(self, now_ns: int, unit: WatchedUnit, grant: Grant) -> None:
        """Learn that a grant nobody heard of was one: the unit has served what only it opens. What opens once is used up."""
        grant.perhaps = False
        if grant.until_utc_s is None:
            self.use_up(self.called(now_ns, unit, grant.name))
        if grant.endless:
            self.seeds.used()


def _name(record: AuditRecord | None) -> str:
    return "" if record is None else record.subject
