"""The witness: reads the buses, the audit log and the vehicle's events, and reports what should not have happened.

Rules: a protected service answered positively without a live grant; a grant that outlived its window; a grant without an issued
unlock in the audit log; a change in a unit with SFD2 that was not signed, for once and for exactly this; a blocked request that
came out behind an armed gateway; a security level that opened without a grant. It keeps its own books of grants from what the
wire shows, and trusts no simulator's word.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bench.monitor import protected
from bench.monitor.reassembly import Reassembly
from bench.monitor.seeds import SeedBook
from bench.monitor.signed_changes import NEGATIVE, SECURED, Ledger, inside
from wire.frame import Frame
from wire.portal_api import AuditRecord

MINUTE_NS = 60_000_000_000
SFD_WINDOW_NS = 90 * MINUTE_NS
MAX_VIOLATIONS = 100
"""Enough to see a pattern; a lying gateway would fill memory otherwise."""
CERTIFICATE_WINDOW_S, CERTIFICATE_BEFORE_S = 3600, 300
"""How long a certificate opens from its issue, and from how long before it: the bench's own choice."""
ARMED_ABOVE_KM, REARMED_AFTER_KM = 200, 20
GRACE_NS = 100_000_000
"""An answer may still be on the wire when its grant ends: the request was served before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedUnit:
    """A control unit: identifiers, logical address, the bus it stands on, whether its lock is its own (SFD), and what ends a
    grant of its lock besides time and command.
    """

    name: str
    request_id: int
    response_id: int
    address: int
    bus: str
    own_lock: bool
    reset_ends_grant: bool = True
    terminal_15_ends_grant: bool = False
    reset_ns: int = 0
    """How long it is down after a reset, or after its supply is back."""
    signed_changes: bool = False
    """Whether it changes anything by signed changes alone (SFD2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedCar:
    """What the witness is told of the car: facts that stand on its parts, nothing of its state."""

    make: str
    vin: str
    units: tuple[WatchedUnit, ...]
    gateway: str
    obd_bus: str
    functional_ids: tuple[int, ...]
    odometer_km: int = ARMED_ABOVE_KM + 1
    unset_clock_refuses: bool = True
    """Whether the gateway takes no certificate without a set clock."""
    ours: bool = True
    """Whether somebody tells of the car's bonnet, kilometres, supply and ignition; else its filter is not judged."""
    seed_level: int | None = None
    """The 0x27 level that is the gateway's lock, where its key is signed over a seed."""
    signed_passes: bool = False
    """Whether its gateway leaves signed changes to the units."""
    audited: bool = True
    """Whether the portal's audit log can be read; else an unlock may have been issued without being seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """What should not have happened."""

    now_ns: int
    rule: str
    unit: str
    text: str

    def __str__(self) -> str:
        return f"{self.now_ns / 1e9:.3f} s, {self.unit}: {self.rule}: {self.text}"


@dataclass(slots=True)
class _Book:
    """One lock as the witness believes it to be. `left_ns` of awake time at `since_ns`, or an absolute end, or `endless`: until
    a reset, sleep or terminal 15.

    `since_ns` lies ahead while the unit restarts: nothing counts before.
    """

    open: bool = False
    left_ns: int = 0
    since_ns: int = 0
    until_utc_s: int | None = None
    endless: bool = False
    ended_ns: int = -GRACE_NS

    @property
    def sleep_ends_it(self) -> bool:
        """Whether the lock forgets its grant when the car sleeps or it restarts."""
        return self.endless or self.until_utc_s is not None


@dataclass(slots=True)
class _Talk:
    """The last request to a unit on one bus, and the last to all units, each waiting for its answer."""

    request: bytes = b""
    at_ns: int = 0
    common: bytes = b""
    common_at_ns: int = 0
    shown: bytes = b""
    """The certificate chain that was shown last."""
    rx: Reassembly = field(default_factory=Reassembly)
    tx: Reassembly = field(default_factory=Reassembly)


def _answers(answer: bytes, request: bytes) -> bool:
    """Return whether this is the final answer to `request`: negative to its service, or positive with its parameters."""
    if answer[0] == NEGATIVE:
        return answer[1:2] == request[:1] and answer[2:3] != PENDING
    if answer[0] != request[0] + 0x40:
        return False
    size = ECHOED.get(request[0], 0)
    return size == 0 or answer[1 : 1 + size] == protected.normal(request)[1 : 1 + size]


def _number(subject: str) -> bytes:
    """Return the number of what was issued, as it stands in a token or certificate; empty where the record has none."""
    digits = subject.rpartition(":")[2]
    try:
        return bytes.fromhex(digits.zfill(len(digits) + len(digits) % 2))
    except ValueError:
        return b""


ALL_UNITS = -1
PENDING = b"\x78"
ECHOED = {0x11: 1, 0x27: 1, 0x28: 1, 0x29: 1, 0x2E: 2, 0x2F: 2, 0x31: 3, 0x85: 1}
"""How many bytes of a request its positive answer repeats."""
TESTER_PRESENT = 0x3E


def _all_units(can_id: int, bus: str) -> WatchedUnit:
    """Return who is asked by a functional request."""
    return WatchedUnit(
        name="all units", request_id=can_id, response_id=can_id, address=ALL_UNITS, bus=bus, own_lock=False
    )


class Witness:
    """Watches one car. `epoch_utc_s`: wall time at world time 0, for audit records and certificates."""

    def __init__(self, car: WatchedCar, epoch_utc_s: int) -> None:
        self.car = car
        self.violations: list[Violation] = []
        self.requests_seen = 0
        self.blind: list[str] = []
        if not car.unset_clock_refuses:
            self.blind.append(
                "whether the gateway, which takes certificates without a set clock, has one: it counts their hours anew"
            )
        if not car.ours:
            self.blind.append("what happens behind the gateway, and the car's bonnet, kilometres, ignition and supply")
        if car.seed_level is not None:
            self.blind.append(
                "whether a key is the signature over its seed: only that the back end has signed that seed"
            )
        if not car.audited:
            self.blind.append("whether the back end issued what was shown to the car: its audit log is not ours")
        if any(unit.signed_changes for unit in car.units):
            self.blind.append("what a signed change says of its role and scope")
        self._epoch_utc_s = epoch_utc_s
        self._issued: list[AuditRecord] = []
        self._changes = Ledger(car.vin)
        self._asleep = False
        self._supplied = True
        self._doubtful = False
        self._new = self._filter_open = car.odometer_km <= ARMED_ABOVE_KM or not car.ours
        self._bonnet_open = False
        self._odometer_closed_km: int | None = None
        self._books = {unit.name: _Book() for unit in car.units}
        self._seeds = SeedBook(car.seed_level)
        self._watched = protected.WATCHED[car.make]
        self._tables: dict[str, dict[int, tuple[WatchedUnit, _Talk, bool]]] = {}
        for unit in car.units:
            for bus in {car.obd_bus: None, unit.bus: None}:
                table = self._tables.setdefault(bus, {})
                talk = _Talk()
                table[unit.request_id] = (unit, talk, True)
                table[unit.response_id] = (unit, talk, False)
        self._on_obd = [talk for _, talk, is_request in self._tables[car.obd_bus].values() if is_request]
        for can_id in car.functional_ids:
            for table in self._tables.values():
                table[can_id] = (_all_units(can_id, car.obd_bus), _Talk(), True)

    # ---- what it sees

    def tap(self, bus: str) -> Callable[[int, object, Frame, str], None]:
        """Return the tap for a bus (`wire.can_bus.Tap`). Most frames of a busy bus interest nobody and end after one look."""
        table = self._tables.get(bus, {})

        def see(now_ns: int, _bus: object, frame: Frame, _sender: str) -> None:
            found = table.get(frame.can_id)
            if found is None:
                return
            unit, talk, is_request = found
            data = frame.data
            if is_request:
                message = data[1 : 1 + data[0]] if data and 0 < data[0] < len(data) <= 8 else talk.tx.take(data)
                if message is not None:
                    self._asked(now_ns, bus, unit, talk, message)
            elif talk.request or talk.common:
                message = talk.rx.take(data)
                if message is not None and bus == self.car.obd_bus:
                    self._said(now_ns, unit, talk, message)

        return see

    def _asked(self, now_ns: int, bus: str, unit: WatchedUnit, talk: _Talk, request: bytes) -> None:
        """A whole request has gone by."""
        self.requests_seen += 1
        sid = request[0]
        if sid in self._watched and (sid != 0x22 or request.startswith(protected.VAG_STATUS)):
            if unit.address == ALL_UNITS:
                self._functional(now_ns, bus, unit, request)
                return
            talk.request = request
            talk.at_ns = now_ns
            if sid == 0x27 and len(request) > 1 and request[1] & 0x80 and unit.name == self.car.gateway:
                self._silent_key(now_ns, unit, protected.normal(request))
            if bus != self.car.obd_bus and unit.name != self.car.gateway:
                self._behind(now_ns, unit, protected.normal(request))
        elif sid != TESTER_PRESENT and unit.address != ALL_UNITS:
            talk.request = b""

    def _said(self, now_ns: int, unit: WatchedUnit, talk: _Talk, answer: bytes) -> None:
        """A unit has said something on the tester's bus: the answer to its own request, or to one to all units."""
        if talk.request and _answers(answer, talk.request):
            request, talk.request, asked_ns = talk.request, b"", talk.at_ns
        elif talk.common and _answers(answer, talk.common):
            request, talk.common, asked_ns = talk.common, b"", talk.common_at_ns
        else:
            return
        if answer[0] != NEGATIVE:
            self._answered(now_ns, unit, talk, protected.normal(request), answer, asked_ns)

    def _functional(self, now_ns: int, bus: str, everyone: WatchedUnit, request: bytes) -> None:
        """A request to all units: outside, any of them may answer it; inside, it may be one that had to be dropped."""
        if bus != self.car.obd_bus:
            self._behind(now_ns, everyone, protected.normal(request))
            return
        for talk in self._on_obd:
            talk.common = request
            talk.common_at_ns = now_ns

    def audit(self, record: AuditRecord) -> None:
        """Learn of an audit record."""
        if record.action == "unlock issued":
            self._issued.append(record)
        elif record.action == "change signed":
            self._changes.note(record)

    # ---- what happens to the car

    def bonnet(self, *, is_open: bool, odometer_km: int) -> None:
        """Learn that the bonnet was opened or closed: opening it is the proof that disarms."""
        if is_open == self._bonnet_open:
            return
        self._bonnet_open = is_open
        if self._new:
            return
        self._odometer_closed_km = None if is_open else odometer_km
        if is_open:
            self._filter_open = True

    def odometer(self, km: int) -> None:
        """Learn how far the car has driven."""
        closed_km = self._odometer_closed_km
        if (self._new and km > ARMED_ABOVE_KM) or (closed_km is not None and km - closed_km >= REARMED_AFTER_KM):
            self.alarm()

    def alarm(self) -> None:
        """Learn of what arms: a crash signal, a lost body controller, kilometres."""
        self._new = self._filter_open = False
        self._odometer_closed_km = None

    def sleep(self, now_ns: int) -> None:
        """Learn that the buses sleep: awake time stands still, certificates end."""
        for book in self._books.values():
            if book.sleep_ends_it:
                self._shut(book, now_ns)
            self._count(book, now_ns)
        self._asleep = True

    def wake(self, now_ns: int) -> None:
        """Learn that the buses are awake."""
        for book in self._books.values():
            self._count(book, now_ns)
        self._asleep = False

    def supply(self, now_ns: int, *, on: bool) -> None:
        """Learn that all units lost their supply, or have it back: either is a reset, and nothing counts in between."""
        self.reset(now_ns)
        self._supplied = on

    def reset(self, now_ns: int, unit: str | None = None) -> None:
        """Learn that a unit (None: all) restarts: what outlives that stands still until it is up again."""
        for watched in self.car.units:
            book = self._books[watched.name]
            if unit not in (None, watched.name):
                continue
            if watched.reset_ends_grant or book.sleep_ends_it:
                self._shut(book, now_ns)
            self._count(book, now_ns)
            book.since_ns = now_ns + watched.reset_ns

    def _count(self, book: _Book, now_ns: int) -> None:
        """Take off the awake time that has passed."""
        if book.open and self._supplied and not self._asleep:
            book.left_ns -= max(0, now_ns - book.since_ns)
        book.since_ns = max(book.since_ns, now_ns)

    def terminal_15_off(self, now_ns: int) -> None:
        """Learn that the ignition is off."""
        for watched in self.car.units:
            if watched.terminal_15_ends_grant:
                self._shut(self._books[watched.name], now_ns)

    def put_date_forward(self, seconds: int) -> None:
        """Learn that every calendar on the bench runs ahead by so much from here on."""
        self._epoch_utc_s += seconds

    def revoked(self, now_ns: int) -> None:
        """Learn that the car has heard of a revocation: certificates count as ended, tokens go on."""
        for book in self._books.values():
            if book.until_utc_s is not None:
                self._shut(book, now_ns)

    def revoked_seeds(self, now_ns: int, ids: frozenset[bytes]) -> None:
        """Learn what the car has heard to be revoked: the grant of a seed ends with its unlock."""
        book = self._books[self.car.gateway]
        if book.endless and any(self._seeds.opened_by.endswith(f":{ident.hex()}") for ident in ids):
            self._shut(book, now_ns)

    # ---- the rules

    def _answered(
        self, now_ns: int, unit: WatchedUnit, talk: _Talk, request: bytes, answer: bytes, asked_ns: int
    ) -> None:
        """A positive answer to a watched request on the tester's bus."""
        sid = request[0]
        if sid == SECURED:
            self._secured(now_ns, unit, talk, request, answer, asked_ns)
        elif unit.signed_changes and protected.signed_changes_only(request):
            self._report(now_ns, "changed without a signature", unit, request[:4].hex(" "))
        elif unit.signed_changes and request[:4] == b"\x31\x01\xc0\x04":
            self._report(now_ns, "a token was taken where only signed changes count", unit, request[:4].hex(" "))
        elif sid == 0x31 and request[1:4] == b"\x01\xc0\x04":
            self._token(now_ns, unit, request[4:])
        elif sid == 0x31 and request[1:4] == b"\x01\xc0\x0a":
            self._shut(self._books[unit.name], now_ns)
        elif sid == 0x27 and unit.name == self.car.gateway and self._seeds.is_seed(request):
            if self._seeds.seed(answer) and not self._live(self._books[unit.name], asked_ns):
                self._untrue(now_ns, unit, self._books[unit.name], "the seed says open", asked_ns)
        elif sid == 0x27 and unit.name == self.car.gateway and self._seeds.is_key(request):
            self._seed_key(now_ns, unit, request)
        elif sid == 0x29 and unit.name == self.car.gateway:
            self._authentication(now_ns, unit, talk, request, answer)
        elif sid == 0x22 and request[1:3] == b"\x01\x74":
            self._status(now_ns, unit, answer, asked_ns)
        elif sid == 0x11:
            self._require(now_ns, unit, request, asked_ns)
            self.reset(now_ns, unit.name)
        elif sid not in (0x22, 0x10):
            self._require(now_ns, unit, request, asked_ns)

    def _secured(
        self, now_ns: int, unit: WatchedUnit, talk: _Talk, request: bytes, answer: bytes, asked_ns: int
    ) -> None:
        """A positive answer to 0x84: its inner service was served, or refused; either uses up what was signed for it."""
        inner, said = inside(request), inside(answer)
        if unit.signed_changes:
            wrong = self._changes.take(unit.address, request) if self.car.audited else ""
            if wrong and said[:1] != bytes((NEGATIVE,)):
                self._report(now_ns, wrong, unit, f"84 with {inner[:4].hex(' ') or 'what cannot be read'}")
        elif inner and said and said[0] != NEGATIVE:
            self._answered(now_ns, unit, talk, protected.normal(inner), said, asked_ns)
        behind = unit.name != self.car.gateway
        if behind and not self._filter_open and self._blocked(request) and said[:1] != bytes((NEGATIVE,)):
            self._report(now_ns, "answered behind an armed filter", unit, request[:4].hex(" "))

    def _blocked(self, request: bytes) -> bool:
        return protected.blocked_behind(self.car.make, request, signed_passes=self.car.signed_passes)

    def _authentication(self, now_ns: int, unit: WatchedUnit, talk: _Talk, request: bytes, answer: bytes) -> None:
        """A positive answer to 0x29: a chain was shown, ownership proven, or the grant given back."""
        task = request[1:2]
        if task in (b"\x01", b"\x02"):
            talk.shown = request[2:]
        elif task == b"\x03" and answer[2:3] == b"\x12":
            self._certificate(now_ns, unit, talk.shown)
        elif task == b"\x00":
            self._shut(self._books[unit.name], now_ns)

    def _token(self, now_ns: int, unit: WatchedUnit, token: bytes) -> None:
        """A token was taken: it opens once, for 90 minutes."""
        record = self._issued_for(now_ns, unit, token)
        if record is not None:
            self._issued.remove(record)
        book = self._books[unit.name]
        book.open, book.since_ns, book.left_ns, book.until_utc_s = True, now_ns, SFD_WINDOW_NS, None

    def _certificate(self, now_ns: int, unit: WatchedUnit, chain: bytes) -> None:
        """Ownership of a certificate was proven: it opens until it ends, as often as it is shown."""
        record = self._issued_for(now_ns, unit, chain)
        utc_s = self._utc_s(now_ns)
        until_utc_s = (utc_s if record is None else record.utc_s) + CERTIFICATE_WINDOW_S
        if not self.car.unset_clock_refuses:  # its hours count from here where the gateway knows no time
            until_utc_s = utc_s + CERTIFICATE_BEFORE_S + CERTIFICATE_WINDOW_S
        if until_utc_s < utc_s:
            self._report(now_ns, "a grant outlived its window", unit, "the certificate had ended when it was shown")
        book = self._books[unit.name]
        book.open, book.since_ns, book.left_ns, book.until_utc_s = True, now_ns, 0, until_utc_s

    def _seed_key(self, now_ns: int, unit: WatchedUnit, request: bytes) -> None:
        """A key was taken: it opens once, for the seed that was given last, if the back end has signed that for this car."""
        called = self._seeds.key(request)
        record = self._signed_for(now_ns, unit, called)
        if record is not None:
            self._issued.remove(record)
        elif self.car.audited or called is None:
            self._report(
                now_ns, "grant without an issued unlock", unit, "the audit log has none for this seed, VIN and unit"
            )
        self._open_endless(now_ns, unit, called)

    def _silent_key(self, now_ns: int, unit: WatchedUnit, request: bytes) -> None:
        """A key came that is not to be answered when it is right: believe it where the back end has signed that seed."""
        if self._seeds.is_key(request):
            called = self._seeds.key(request)
            if self._signed_for(now_ns, unit, called) is not None or (called is not None and not self.car.audited):
                self._open_endless(now_ns, unit, called)

    def _signed_for(self, now_ns: int, unit: WatchedUnit, called: str | None) -> AuditRecord | None:
        """Return the audit record of an unlock by its name, for this VIN and unit."""
        mine, utc_s = (called, self.car.vin, unit.address), self._utc_s(now_ns)
        for record in self._issued:
            if (record.subject, record.vin, record.ecu_address) == mine and record.utc_s <= utc_s:
                return record
        return None

    def _open_endless(self, now_ns: int, unit: WatchedUnit, called: str | None) -> None:
        self._seeds.opened_by = called or ""
        book = self._books[unit.name]
        book.open, book.since_ns, book.left_ns, book.until_utc_s, book.endless = True, now_ns, 0, None, True

    def _issued_for(self, now_ns: int, unit: WatchedUnit, shown: bytes) -> AuditRecord | None:
        """Return the audit record of what was shown: for this VIN and unit, with the number and the VIN in its bytes."""
        utc_s, vin = self._utc_s(now_ns), self.car.vin
        for record in reversed(self._issued):
            mine = (record.vin, record.ecu_address) == (vin, unit.address) and record.utc_s <= utc_s
            if mine and _number(record.subject) in shown and vin.encode() in shown:
                return record
        if self.car.audited:
            self._report(now_ns, "grant without an issued unlock", unit, "the audit log has none for this VIN and unit")
        return None

    def _utc_s(self, now_ns: int) -> int:
        return self._epoch_utc_s + now_ns // 1_000_000_000

    def doubt(self, what: str) -> None:
        """Learn that a status may be wrong without anybody lying, and say so in the report."""
        if what not in self.blind:
            self.blind.append(what)
        self._doubtful = True

    def _status(self, now_ns: int, unit: WatchedUnit, answer: bytes, asked_ns: int) -> None:
        book = self._books[unit.name]
        if self._doubtful:
            return
        if answer[3:4] == b"\x01" and not self._live(book, asked_ns):
            self._untrue(now_ns, unit, book, "the status says open", asked_ns)

    def _untrue(self, now_ns: int, unit: WatchedUnit, book: _Book, what: str, asked_ns: int) -> None:
        """A unit says that it is open, and is not."""
        if asked_ns - book.ended_ns >= GRACE_NS:
            rule = "a grant outlived its window" if book.left_ns or book.endless else "says open without a grant"
            self._report(now_ns, rule, unit, what)

    def _require(self, now_ns: int, unit: WatchedUnit, request: bytes, asked_ns: int) -> None:
        """A positive answer to a service that may be protected: was there a grant when it was asked?"""
        behind = unit.name != self.car.gateway
        if self.car.make == "vag":
            if unit.own_lock and (protected.vag_unit_protected(request) or request[0] == 0x27):
                self._require_open(now_ns, unit, unit.name, request, asked_ns)
            if behind and not self._filter_open and self._blocked(request):
                self._report(now_ns, "answered behind an armed filter", unit, request[:4].hex(" "))
        elif (
            protected.blocked_behind(self.car.make, request)
            if behind
            else protected.certificate_gateway_protected(request)
        ):
            self._require_open(now_ns, unit, self.car.gateway, request, asked_ns)

    def _require_open(self, now_ns: int, unit: WatchedUnit, holder: str, request: bytes, asked_ns: int) -> None:
        book = self._books[holder]
        if not self._live(book, asked_ns) and asked_ns - book.ended_ns >= GRACE_NS:
            rule = "security level opened without a grant" if request[0] == 0x27 else "answered without a grant"
            if book.left_ns or book.until_utc_s or book.endless:
                rule = "a grant outlived its window"
            self._report(now_ns, rule, unit, request[:4].hex(" "))

    def _behind(self, now_ns: int, unit: WatchedUnit, request: bytes) -> None:
        """A request came out on an inner bus: may it have?"""
        if not self._blocked(request):
            return
        if self.car.make == "vag":
            if not self._filter_open:
                self._report(now_ns, "a blocked request came through", unit, request[:4].hex(" "))
        else:
            book = self._books[self.car.gateway]
            if not self._live(book, now_ns) and now_ns - book.ended_ns >= GRACE_NS:
                self._report(now_ns, "a blocked request came through", unit, request[:4].hex(" "))

    def _live(self, book: _Book, now_ns: int) -> bool:
        if not book.open:
            return False
        if book.endless:
            return True
        if book.until_utc_s is not None:
            return self._epoch_utc_s + now_ns // 1_000_000_000 <= book.until_utc_s
        used_ns = 0 if self._asleep or not self._supplied else now_ns - book.since_ns
        return used_ns < book.left_ns

    def _shut(self, book: _Book, now_ns: int) -> None:
        if book.open:
            book.ended_ns = now_ns
        book.open = False

    def _report(self, now_ns: int, rule: str, unit: WatchedUnit, text: str) -> None:
        if len(self.violations) < MAX_VIOLATIONS:
            self.violations.append(Violation(now_ns=now_ns, rule=rule, unit=unit.name, text=text))

    def blind_spots(self) -> tuple[str, ...]:
        """Return what it cannot see, for the report."""
        always = (
            "who sent a request: a second tester on the same identifiers rides on a grant",
            "what is inside an encrypted SecuredDataTransmission",
            "what a token or certificate says beyond its number and VIN: role, scope, its own hours",
        )
        return (*always, *self.blind)
