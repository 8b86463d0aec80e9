"""What foreign readers said of each message, and which calls of udsoncan's own client came out as the test wanted.

Plain texts, so that workers of xdist can hand it over. It knows no judge: `uds_judges` writes here, `judge_table` reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

REQUEST, ANSWER, CALL = "request", "answer", "call"
READ, REFUSED = "read", "refused"
SCAPY, UDSONCAN, CLIENT = "scapy", "udsoncan", "udsoncan's client"


class Verdict(NamedTuple):
    """What `judge` said of a `message` (hex) of a service that went one `way`: READ, REFUSED, or the reason that excuses it."""

    sid: int
    judge: str
    way: str
    said: str
    message: str


class Ledger:
    """The verdicts of a run, each once however often it was given."""

    def __init__(self) -> None:
        self.verdicts: set[Verdict] = set()
        self._calls: list[int] = []

    def write(self, sid: int, judge: str, way: str, said: str, payload: bytes) -> None:
        self.verdicts.add(Verdict(sid, judge, way, said, payload.hex()))

    def call(self, sid: int) -> None:
        """Note a call of udsoncan's own client, of which the test that runs is yet to say whether it came out right."""
        self._calls.append(sid)

    @contextmanager
    def trial(self, test: str) -> Iterator[None]:
        """Take the calls that are made meanwhile for decoded if `test` passes."""
        self._calls.clear()
        said = REFUSED
        try:
            yield
            said = READ
        finally:
            self.verdicts |= {
                Verdict(sid, CLIENT, CALL, said, f"{test} {number}") for number, sid in enumerate(self._calls)
            }
            self._calls.clear()

    def as_rows(self) -> list[list[int | str]]:
        return [list(verdict) for verdict in sorted(self.verdicts)]

    def add_rows(self, rows: Iterable[list[int | str]]) -> None:
        self.verdicts |= {Verdict(*row) for row in rows}  # type: ignore[arg-type]


LEDGER = Ledger()
