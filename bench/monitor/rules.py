"""The witness's rules: what a positive answer, or a request behind the gateway, means for the books, and what must not be."""

from __future__ import annotations

from dataclasses import dataclass

from bench.monitor import protected
from bench.monitor.books import GRACE_NS, Book, Books
from bench.monitor.filter import Filter
from bench.monitor.requests import DE_AUTHENTICATE, LOCK, PROOF, RESET, SHOWING_TASKS, TOKEN, WIDENING, Talk
from bench.monitor.signed_changes import NEGATIVE, SECURED, Ledger, inside
from bench.monitor.unlocks import Unlocks
from bench.monitor.watched import WatchedCar, WatchedUnit

MAX_VIOLATIONS = 100
"""Enough to see a pattern; a lying gateway would fill memory otherwise."""
OUTLIVED, NOT_ISSUED = "a grant outlived its window", "grant without an issued unlock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """What should not have happened."""

    now_ns: int
    rule: str
    unit: str
    text: str

    def __str__(self) -> str:
        return f"{self.now_ns / 1e9:.3f} s, {self.unit}: {self.rule}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A positive answer on the tester's bus, with its request (suppress bit taken off) and when that was asked."""

    now_ns: int
    asked_ns: int
    unit: WatchedUnit
    talk: Talk
    request: bytes
    answer: bytes


class Rules:
    """Judges one car by the witness's books."""

    def __init__(self, car: WatchedCar, books: Books, unlocks: Unlocks, changes: Ledger) -> None:
        self.car = car
        self.violations: list[Violation] = []
        self.filter = Filter(car.odometer_km, ours=car.ours)
        self.frames_may_lie = False
        """Whether something corrupts frames: what a unit says of itself may be wrong then without anybody lying."""
        self._books = books
        self._unlocks = unlocks
        self._changes = changes

    # ---- what an answer means

    def answered(self, heard: Heard) -> None:
        """Take a positive answer to a watched request."""
        unit, request, sid = heard.unit, heard.request, heard.request[0]
        if sid == SECURED:
            self._secured(heard)
        elif unit.signed_changes and protected.signed_changes_only(request):
            self._report(heard.now_ns, "changed without a signature", unit, request[:4].hex(" "))
        elif unit.signed_changes and request.startswith(TOKEN):
            rule = "a token was taken where only signed changes count"
            self._report(heard.now_ns, rule, unit, request[:4].hex(" "))
        elif request.startswith(TOKEN):
            self._token(heard)
        elif request.startswith(LOCK):
            self._books.shut(unit.name, heard.now_ns, heard.asked_ns)
        elif unit.name == self.car.gateway and self._unlocks.seeds.is_seed(request):
            self._seed(heard)
        elif unit.name == self.car.gateway and self._unlocks.seeds.is_key(request):
            self._seed_key(heard)
        elif sid == 0x29 and unit.name == self.car.gateway:
            self._authentication(heard)
        elif request.startswith(protected.VAG_STATUS):
            self._status(heard)
        elif sid == RESET:
            self._require(heard)
            self._books.reset(heard.now_ns, unit.name)
        elif sid not in (0x22, 0x10):
            self._require(heard)

    def _secured(self, heard: Heard) -> None:
        """A positive answer to 0x84: its inner service was served, or refused; either uses up what was signed for it."""
        unit, request, inner, said = heard.unit, heard.request, inside(heard.request), inside(heard.answer)
        refused = said[:1] == bytes((NEGATIVE,))
        if unit.signed_changes:
            wrong = self._changes.take(unit.address, request) if self.car.audited else ""
            if wrong and not refused:
                self._report(heard.now_ns, wrong, unit, f"84 with {inner[:4].hex(' ') or 'what cannot be read'}")
        elif inner and said and not refused:
            self.answered(
                Heard(
                    now_ns=heard.now_ns,
                    asked_ns=heard.asked_ns,
                    unit=unit,
                    talk=heard.talk,
                    request=protected.normal(inner),
                    answer=said,
                )
            )
        if unit.name != self.car.gateway and not self.filter.open and self._blocked(request) and not refused:
            self._report(heard.now_ns, "answered behind an armed filter", unit, request[:4].hex(" "))

    def _authentication(self, heard: Heard) -> None:
        """A positive answer to 0x29: a chain was shown, ownership proven, rights added, or the grant given back."""
        request, talk = heard.request, heard.talk
        if request.startswith(SHOWING_TASKS):
            talk.shown = request[2:]
        elif request.startswith(PROOF) and heard.answer[2:3] == b"\x12":
            self._certificate(heard, talk.shown)
        elif request.startswith(WIDENING):
            for grant in self._books[heard.unit.name].grants:
                grant.shown += request[2:]
        elif request.startswith(DE_AUTHENTICATE):
            self._books.shut(heard.unit.name, heard.now_ns, heard.asked_ns)

    def _token(self, heard: Heard) -> None:
        """A token was taken: it opens once."""
        record = self._unlocks.shown(heard.now_ns, heard.unit, heard.request[len(TOKEN) :])
        if record is None and self.car.audited:
            self._report(heard.now_ns, NOT_ISSUED, heard.unit, "the audit log has none for this VIN and unit")
        self._unlocks.use_up(record)
        self._books[heard.unit.name].begin(self._unlocks.by_token(heard.now_ns, heard.now_ns, record))

    def _certificate(self, heard: Heard, chain: bytes) -> None:
        """Ownership of a certificate was proven."""
        record = self._unlocks.shown(heard.now_ns, heard.unit, chain)
        if record is None and self.car.audited:
            self._report(heard.now_ns, NOT_ISSUED, heard.unit, "the audit log has none for this VIN and unit")
        grant = self._unlocks.by_certificate(heard.now_ns, heard.now_ns, record, chain)
        if grant.until_utc_s is not None and grant.until_utc_s < self._books.utc_s(heard.now_ns):
            self._report(heard.now_ns, OUTLIVED, heard.unit, "the certificate had ended when it was shown")
        self._books[heard.unit.name].begin(grant)

    def _seed_key(self, heard: Heard) -> None:
        """A key was taken: it opens once, for the seed that was given last, if the back end has signed that for this car."""
        called = self._unlocks.seeds.called(heard.request)
        self._unlocks.seeds.used()
        record = self._unlocks.called(heard.now_ns, heard.unit, called)
        if record is None and (self.car.audited or called is None):
            self._report(heard.now_ns, NOT_ISSUED, heard.unit, "the audit log has none for this seed, VIN and unit")
        self._unlocks.use_up(record)
        self._books[heard.unit.name].begin(self._unlocks.by_key(heard.now_ns, called))

    def _seed(self, heard: Heard) -> None:
        """A seed of the gateway's lock: zeros say open, and no fault makes zeros of it; any other says shut."""
        if self._unlocks.seeds.seed(heard.answer):
            self._says_open(heard, "the seed")
        elif not self.frames_may_lie:
            self._books.shut(heard.unit.name, heard.now_ns, heard.asked_ns)

    def _status(self, heard: Heard) -> None:
        """A unit's status says open (01), which must be true, or shut (00), and then it is taken at its word."""
        word = heard.answer[3:4]
        if self.frames_may_lie:
            return
        if word == b"\1":
            self._says_open(heard, "the status")
        elif word == b"\0":
            self._books.shut(heard.unit.name, heard.now_ns, heard.asked_ns)

    def _says_open(self, heard: Heard, what: str) -> None:
        book = self._books[heard.unit.name]
        if self._books.shut_when_asked(book, heard.asked_ns):
            rule = OUTLIVED if book.ever_open else "says open without a grant"
            self._report(heard.now_ns, rule, heard.unit, f"{what} says open")

    # ---- what must not be

    def _require(self, heard: Heard) -> None:
        """A positive answer to a service that may be protected: was there a grant when it was asked?"""
        unit, request = heard.unit, heard.request
        behind = unit.name != self.car.gateway
        if self.car.make == "vag":
            if unit.own_lock and (protected.vag_unit_protected(request) or request[0] == 0x27):
                self._require_open(heard, unit)
            if behind and not self.filter.open and self._blocked(request):
                self._report(heard.now_ns, "answered behind an armed filter", unit, request[:4].hex(" "))
        elif self._blocked(request) if behind else protected.certificate_gateway_protected(request):
            self._require_open(heard, self._gateway())

    def _gateway(self) -> WatchedUnit:
        return next(unit for unit in self.car.units if unit.name == self.car.gateway)

    def _require_open(self, heard: Heard, holder: WatchedUnit) -> None:
        if holder.unjudged_lock:
            return
        book, request = self._books[holder.name], heard.request
        if self._books.shut_when_asked(book, heard.asked_ns):
            rule = "security level opened without a grant" if request[0] == 0x27 else "answered without a grant"
            self._report(heard.now_ns, OUTLIVED if book.ever_open else rule, heard.unit, request[:4].hex(" "))
            return
        self._prove(heard, holder, book)

    def _prove(self, heard: Heard, holder: WatchedUnit, book: Book) -> None:
        """What one grant alone can have opened shows that it was one."""
        live = self._books.live(book, heard.asked_ns)
        if len(live) == 1 and live[0].perhaps and heard.asked_ns - book.ended_ns >= GRACE_NS:
            self._unlocks.prove(heard.now_ns, holder, live[0])

    def behind(self, now_ns: int, unit: WatchedUnit, request: bytes) -> None:
        """A request came out on an inner bus: may it have?"""
        if not self._blocked(request):
            return
        if self.car.make == "vag":
            passes = self.filter.open
        else:
            passes = self.car.gateway_unjudged or not self._books.shut_when_asked(self._books[self.car.gateway], now_ns)
        if not passes:
            self._report(now_ns, "a blocked request came through", unit, request[:4].hex(" "))

    def _blocked(self, request: bytes) -> bool:
        return protected.blocked_behind(self.car.make, request, signed_passes=self.car.signed_passes)

    def _report(self, now_ns: int, rule: str, unit: WatchedUnit, text: str) -> None:
        if len(self.violations) < MAX_VIOLATIONS:
            self.violations.append(Violation(now_ns=now_ns, rule=rule, unit=unit.name, text=text))
