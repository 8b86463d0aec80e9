"""The witness: reads the buses, the audit log and the vehicle's events, and reports what should not have happened.

Rules: a protected service answered positively without a live grant; a grant that outlived its window; a grant without an issued
unlock in the audit log; a change in a unit with SFD2 that was not signed, for once and for exactly this; a blocked request that
came out behind an armed gateway; a security level that opened without a grant. It keeps its own books of grants from what the
wire shows, and trusts no simulator's word: a unit's word counts against it alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from bench.monitor import protected
from bench.monitor.books import Books
from bench.monitor.requests import RESET, TESTER_PRESENT, Asked, Talk, may_end
from bench.monitor.rules import Heard, Rules, Violation
from bench.monitor.signed_changes import NEGATIVE, Ledger
from bench.monitor.unlocks import Unlocks
from bench.monitor.watched import ALL_UNITS, WatchedCar, WatchedUnit, all_units
from wire.frame import Frame
from wire.portal_api import AuditRecord


class Witness:
    """Watches one car. `epoch_utc_s`: wall time at world time 0, for audit records and certificates."""

    def __init__(self, car: WatchedCar, epoch_utc_s: int) -> None:
        self.car = car
        self.requests_seen = 0
        self._books = Books(car, epoch_utc_s)
        self._unlocks = Unlocks(car, self._books)
        self._changes = Ledger(car.vin)
        self._rules = Rules(car, self._books, self._unlocks, self._changes)
        self._doubts: list[str] = []
        self._unanswered: Counter[tuple[str, str]] = Counter()
        """Requests that may have opened a lock or shut it, by unit and name: each waits for its answer, or got none."""
        self._watched = protected.WATCHED[car.make]
        self._tables: dict[str, dict[int, tuple[WatchedUnit, Talk, bool]]] = {}
        for unit in car.units:
            for bus in {car.obd_bus: None, unit.bus: None}:
                table = self._tables.setdefault(bus, {})
                talk = Talk()
                table[unit.request_id] = (unit, talk, True)
                table[unit.response_id] = (unit, talk, False)
        self._on_obd = [(unit, talk) for unit, talk, is_request in self._tables[car.obd_bus].values() if is_request]
        for can_id in car.functional_ids:
            for table in self._tables.values():
                table[can_id] = (all_units(can_id, car.obd_bus), Talk(), True)

    @property
    def violations(self) -> list[Violation]:
        """What it has found, oldest first."""
        return self._rules.violations

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
            elif talk.own is not None or talk.common is not None:
                message = talk.rx.take(data)
                if message is not None and bus == self.car.obd_bus:
                    self._said(now_ns, unit, talk, message)

        return see

    def _asked(self, now_ns: int, bus: str, unit: WatchedUnit, talk: Talk, request: bytes) -> None:
        """A whole request has gone by."""
        self.requests_seen += 1
        sid = request[0]
        if sid in self._watched and (sid != 0x22 or request.startswith(protected.VAG_STATUS)):
            normal = protected.normal(request)
            if unit.address == ALL_UNITS:
                self._functional(now_ns, bus, unit, request)
                return
            talk.own = asked = Asked(request, now_ns)
            if bus == self.car.obd_bus:
                asked.opens = self._unlocks.hoped_for(now_ns, unit, talk, normal)
                if asked.opens is not None:
                    self._books[unit.name].perhaps(asked.opens)
                    self._unanswered[unit.name, "an unlock"] += 1
                self._may_end(unit, asked, normal)
            elif unit.name != self.car.gateway:
                self._rules.behind(now_ns, unit, normal)
        elif sid != TESTER_PRESENT and unit.address != ALL_UNITS:
            talk.own = None

    def _said(self, now_ns: int, unit: WatchedUnit, talk: Talk, answer: bytes) -> None:
        """A unit has said something on the tester's bus: the answer to its own request, or to one to all units."""
        asked = talk.answered_by(answer)
        if asked is None:
            return
        refused = answer[0] == NEGATIVE
        if asked.opens is not None:
            self._unanswered[unit.name, "an unlock"] -= 1
            if refused:
                self._books[unit.name].refused(asked.opens)
        if asked.may_end:
            self._unanswered[unit.name, asked.may_end] -= 1
            if asked.request[0] == RESET:
                self._books.perhaps_reset(unit, sign=-1)
        if not refused:
            request = protected.normal(asked.request)
            self._rules.answered(
                Heard(now_ns=now_ns, asked_ns=asked.at_ns, unit=unit, talk=talk, request=request, answer=answer)
            )

    def _functional(self, now_ns: int, bus: str, everyone: WatchedUnit, request: bytes) -> None:
        """A request to all units: outside, any of them may answer it; inside, it may be one that had to be dropped."""
        normal = protected.normal(request)
        if bus != self.car.obd_bus:
            self._rules.behind(now_ns, everyone, normal)
            return
        for unit, talk in self._on_obd:
            talk.common = asked = Asked(request, now_ns)
            self._may_end(unit, asked, normal)

    def _may_end(self, unit: WatchedUnit, asked: Asked, request: bytes) -> None:
        """Note a request that may end the unit's grant: without an answer nobody can say."""
        asked.may_end = may_end(request) if self._books[unit.name].grants else ""
        if asked.may_end:
            self._unanswered[unit.name, asked.may_end] += 1
            if request[0] == RESET:
                self._books.perhaps_reset(unit)

    def audit(self, record: AuditRecord) -> None:
        """Learn of an audit record."""
        if record.action == "unlock issued":
            self._unlocks.issue(record)
        elif record.action == "change signed":
            self._changes.note(record)

    # ---- what happens to the car

    def bonnet(self, *, is_open: bool, odometer_km: int) -> None:
        """Learn that the bonnet was opened or closed: opening it is the proof that disarms."""
        self._rules.filter.bonnet(is_open=is_open, odometer_km=odometer_km)

    def odometer(self, km: int) -> None:
        """Learn how far the car has driven."""
        self._rules.filter.odometer(km)

    def alarm(self) -> None:
        """Learn of what arms: a crash signal, a lost body controller, kilometres."""
        self._rules.filter.alarm()

    def sleep(self, now_ns: int) -> None:
        """Learn that the buses sleep: awake time stands still, certificates end."""
        self._books.sleep(now_ns)

    def wake(self, now_ns: int) -> None:
        """Learn that the buses are awake."""
        self._books.wake(now_ns)

    def supply(self, now_ns: int, *, on: bool) -> None:
        """Learn that all units lost their supply, or have it back: either is a reset, and nothing counts in between."""
        self._books.supply(now_ns, on=on)

    def reset(self, now_ns: int, unit: str | None = None) -> None:
        """Learn that a unit (None: all) restarts."""
        self._books.reset(now_ns, unit)

    def terminal_15_off(self, now_ns: int) -> None:
        """Learn that the ignition is off."""
        self._books.terminal_15_off(now_ns)

    def put_date_forward(self, seconds: int) -> None:
        """Learn that every calendar on the bench runs ahead by so much from here on."""
        self._books.put_date_forward(seconds)

    def revoked(self, now_ns: int, serials: frozenset[int], ids: frozenset[bytes]) -> None:
        """Learn what the car has heard to be revoked: serials of certificates, and ids of tokens and of unlocks over a seed. What
        rests on one of the certificates or seeds ends; a token goes on.
        """
        self._books.revoked(now_ns, serials)
        self._books.revoked_seeds(now_ns, ids)

    def doubt(self, what: str) -> None:
        """Learn that a status may be wrong without anybody lying, and say so in the report."""
        if what not in self._doubts:
            self._doubts.append(what)
        self._rules.frames_may_lie = True

    def blind_spots(self) -> tuple[str, ...]:
        """Return what it cannot see, for the report."""
        unanswered = (
            f"what {unit} did with {what} that got no answer"
            for (unit, what), times in sorted(self._unanswered.items())
            if times > 0
        )
        return (*self.car.blind_spots(), *self._doubts, *unanswered)
