"""The witness's books: for each lock, every grant that may be live in it.

What was answered is certain and replaces what stood before. What was never answered (the suppress bit, a lost frame) may have
been served or not: such a grant stands beside the others until its refusal is seen, and such an end is not believed. So a lock
is shut for the witness only where no honest car could still be open.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.monitor.watched import WatchedCar, WatchedUnit

MINUTE_NS = 60_000_000_000
SFD_WINDOW_NS = 90 * MINUTE_NS
GRACE_NS = 100_000_000
"""An answer may still be on the wire when its grant ends: the request was served before."""
MIN_SERIAL_LEN = 8
"""A shorter serial may stand among a certificate's bytes by chance, and then counts by its name alone."""


@dataclass(slots=True, kw_only=True)
class Grant:
    """One unlock that a lock took, or may have taken. It ends after `left_ns` of awake time, counted from `since_ns`; with
    `until_utc_s` by the calendar; `endless`: with a reset, sleep or terminal 15.

    `begun_ns`: when it was asked for, or certain; `perhaps`: nobody has heard whether it was given. `since_ns` lies ahead
    while the unit works or restarts: nothing counts before.
    `name` and `shown`: what the audit log calls it, and the certificates it rests on.
    """

    begun_ns: int
    since_ns: int
    left_ns: int = 0
    until_utc_s: int | None = None
    endless: bool = False
    name: str = ""
    shown: bytes = b""
    perhaps: bool = False

    @property
    def sleep_ends_it(self) -> bool:
        """Whether the lock forgets it when the car sleeps or the unit restarts."""
        return self.endless or self.until_utc_s is not None

    def rests_on(self, serial: int) -> bool:
        """Return whether it is a certificate's, and this is that certificate's serial or of another one in its chains."""
        if self.until_utc_s is None:
            return False
        content = serial.to_bytes(serial.bit_length() // 8 + 1, "big")  # DER: an INTEGER is signed (X.690 8.3)
        whole = bytes((0x02, len(content) & 0x7F)) + content
        named = self.name == f"certificate:{serial:x}"
        return named or (len(content) >= MIN_SERIAL_LEN and whole in self.shown)


@dataclass(slots=True)
class Book:
    """One lock. `perhaps_down_ns`: for how long it may have been down after resets that nobody answered."""

    grants: list[Grant] = field(default_factory=list)
    had_one: bool = False
    ended_ns: int = -GRACE_NS
    perhaps_down_ns: int = 0

    @property
    def ever_open(self) -> bool:
        """Whether it has, or had, a grant: what is served without one then is a grant that goes on."""
        return self.had_one or bool(self.grants)

    def begin(self, grant: Grant) -> None:
        """Take a grant that is certain: it is the only one."""
        self.grants = [grant]
        self.perhaps_down_ns = 0

    def perhaps(self, grant: Grant) -> None:
        """Take a grant that may be. Of earlier ones by the same unlock the last is enough, which was not refused."""
        same = [other for other in self.grants if other.name == grant.name]
        for other in same[:-1]:
            self.grants.remove(other)
        grant.perhaps = True
        self.grants.append(grant)

    def refused(self, grant: Grant) -> None:
        """Forget a grant that was none."""
        self.grants = [other for other in self.grants if other is not grant]

    def end(self, now_ns: int, ended: list[Grant]) -> None:
        """End some of its grants."""
        if ended:
            self.ended_ns, self.had_one = now_ns, True
            self.grants = [grant for grant in self.grants if not any(grant is other for other in ended)]


class Books:
    """All locks of a car, and what time is to them. `epoch_utc_s`: wall time at world time 0."""

    def __init__(self, car: WatchedCar, epoch_utc_s: int) -> None:
        self._car = car
        self._epoch_utc_s = epoch_utc_s
        self._asleep = False
        self._supplied = True
        self._of = {unit.name: Book() for unit in car.units}

    def __getitem__(self, unit: str) -> Book:
        return self._of[unit]

    def utc_s(self, now_ns: int) -> int:
        """Return the wall time."""
        return self._epoch_utc_s + now_ns // 1_000_000_000

    def put_date_forward(self, seconds: int) -> None:
        """Learn that every calendar on the bench runs ahead by so much from here on."""
        self._epoch_utc_s += seconds

    # ---- is it open

    def live(self, book: Book, now_ns: int) -> list[Grant]:
        """Return the grants that may be, or have been, live at a time."""
        return [grant for grant in book.grants if grant.begun_ns <= now_ns and self._is_live(book, grant, now_ns)]

    def _is_live(self, book: Book, grant: Grant, now_ns: int) -> bool:
        if grant.endless:
            return True
        if grant.until_utc_s is not None:
            return self.utc_s(now_ns) <= grant.until_utc_s
        used_ns = 0 if self._asleep or not self._supplied else now_ns - grant.since_ns
        return used_ns < grant.left_ns + book.perhaps_down_ns

    def shut_when_asked(self, book: Book, asked_ns: int) -> bool:
        """Return whether the lock was surely shut when something was asked that is answered now."""
        return not self.live(book, asked_ns) and asked_ns - book.ended_ns >= GRACE_NS

    # ---- what ends a grant

    def shut(self, unit: str, now_ns: int, asked_ns: int) -> None:
        """Learn that a lock is shut. `asked_ns`: when that was asked; a grant that was asked for later is none of it."""
        book = self._of[unit]
        book.end(now_ns, [grant for grant in book.grants if grant.begun_ns <= asked_ns])

    def sleep(self, now_ns: int) -> None:
        """Learn that the buses sleep: awake time stands still, certificates end."""
        for book in self._of.values():
            book.end(now_ns, [grant for grant in book.grants if grant.sleep_ends_it])
            self._count(book, now_ns)
        self._asleep = True

    def wake(self, now_ns: int) -> None:
        """Learn that the buses are awake."""
        for book in self._of.values():
            self._count(book, now_ns)
        self._asleep = False

    def supply(self, now_ns: int, *, on: bool) -> None:
        """Learn that all units lost their supply, or have it back: either is a reset, and nothing counts in between."""
        self.reset(now_ns)
        self._supplied = on

    def reset(self, now_ns: int, unit: str | None = None) -> None:
        """Learn that a unit (None: all) restarts: what outlives that stands still until it is up again."""
        for watched in self._car.units:
            if unit not in (None, watched.name):
                continue
            book = self._of[watched.name]
            book.end(now_ns, [grant for grant in book.grants if watched.reset_ends_grant or grant.sleep_ends_it])
            self._count(book, now_ns)
            for grant in book.grants:
                grant.since_ns = now_ns + watched.reset_ns

    def perhaps_reset(self, watched: WatchedUnit, *, sign: int = 1) -> None:
        """Learn of a reset that may happen unseen (`sign` -1: it was answered after all): what outlives it may stand still."""
        book = self._of[watched.name]
        if not watched.reset_ends_grant and book.grants:
            book.perhaps_down_ns = max(0, book.perhaps_down_ns + sign * watched.reset_ns)

    def _count(self, book: Book, now_ns: int) -> None:
        """Take off the awake time that has passed."""
        for grant in book.grants:
            if self._supplied and not self._asleep:
                grant.left_ns -= max(0, now_ns - grant.since_ns)
            grant.since_ns = max(grant.since_ns, now_ns)

    def terminal_15_off(self, now_ns: int) -> None:
        """Learn that the ignition is off."""
        for watched in self._car.units:
            if watched.terminal_15_ends_grant:
                book = self._of[watched.name]
                book.end(now_ns, list(book.grants))

    def revoked(self, now_ns: int, serials: frozenset[int]) -> None:
        """Learn which certificates the car has heard to be revoked: what rests on them ends; others, and tokens, go on."""
        for book in self._of.values():
            book.end(now_ns, [grant for grant in book.grants if any(map(grant.rests_on, serials))])

    def revoked_seeds(self, now_ns: int, ids: frozenset[bytes]) -> None:
        """Learn what the car has heard to be revoked: the grant of a seed ends with its unlock."""
        ends = tuple(f":{ident.hex()}" for ident in ids)
        book = self._of[self._car.gateway]
        book.end(now_ns, [grant for grant in book.grants if grant.endless and grant.name.endswith(ends)])
