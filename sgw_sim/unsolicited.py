"""Which answers a unit behind the gateway may send without being asked: learnt from the requests and answers that pass.

ResponseOnEvent 0x86 and ReadDataByPeriodicIdentifier 0x2A make a unit speak by itself. Only what a tester has set up on this
route, and the unit has agreed to, keeps the route open; anything else that comes late is discarded as ever. A late answer to an
older request passes while an event with the same service runs: nobody on the way can tell them apart.
"""

from __future__ import annotations

from typing import Literal

from wire.uds import NEGATIVE_RESPONSE, POSITIVE_OFFSET, SUPPRESS_POSITIVE_RESPONSE, Service

Unsolicited = Literal["learnt", "always", "never"]
"""How a gateway treats them: as learnt, always forward, never forward."""
STOP_PERIODIC = 0x04
STOP, START, CLEAR = 0x00, 0x05, 0x06
STORE = 0x40
RESPOND_AT = {0x01: 4, 0x02: 4, 0x03: 5, 0x07: 13}
"""Where the service to respond to stands in a set-up of each event type."""
REPORTS_DTCS = frozenset((0x08, 0x09))

CHANGES = frozenset(
    (
        Service.DiagnosticSessionControl,
        Service.ECUReset,
        Service.ReadDataByPeriodicIdentifier,
        Service.ResponseOnEvent,
    )
)
"""Services that change what a unit may say by itself."""


class Expected:
    """What one unit may say by itself. Tell it every request of `CHANGES` that goes in; while one is `waiting`, every request and
    every answer.
    """

    __slots__ = ("_events", "_periodic", "_set_up", "_stored", "waiting")

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Expect nothing: the gateway lost its supply."""
        self.waiting: bytes = b""
        self._set_up: set[int] = set()
        self._events = False
        self._stored = False
        self._periodic = False

    def asked(self, payload: bytes) -> None:
        """Learn a request; one whose positive answer is suppressed counts as agreed to."""
        self.waiting = payload if payload[0] in CHANGES else b""
        if self.waiting and payload[0] != Service.ReadDataByPeriodicIdentifier and len(payload) > 1:
            self.waiting = bytes((payload[0], payload[1] & ~SUPPRESS_POSITIVE_RESPONSE)) + payload[2:]
            if payload[1] & SUPPRESS_POSITIVE_RESPONSE:
                self._agreed()

    def answered(self, head: bytes) -> None:
        """Learn the beginning of an answer."""
        if self.waiting and head[0] == self.waiting[0] + POSITIVE_OFFSET:
            self._agreed()

    def covers(self, head: bytes) -> bool:
        """Return whether a message that begins so is one that the unit may send by itself."""
        first = head[0]
        if self._periodic and first == Service.ReadDataByPeriodicIdentifier + POSITIVE_OFFSET and len(head) > 1:
            return True
        if not self._events:
            return False
        if first == NEGATIVE_RESPONSE:
            return len(head) > 1 and head[1] in self._set_up
        return first == Service.ResponseOnEvent + POSITIVE_OFFSET or first - POSITIVE_OFFSET in self._set_up

    def _agreed(self) -> None:
        asked, self.waiting = self.waiting, b""
        second = asked[1] if len(asked) > 1 else 0
        match asked[0]:
            case 0x2A:
                self._periodic = second != STOP_PERIODIC or (self._periodic and len(asked) > 2)
            case 0x86:
                self._event(asked, second & ~STORE, store=second & STORE != 0)
            case _:  # another session, or a reset: only what is stored goes on
                self._events = self._stored
                self._periodic = self._periodic and asked[0] == Service.DiagnosticSessionControl and second != 0x01

    def _event(self, asked: bytes, kind: int, *, store: bool) -> None:
        if kind == START:
            self._events = True
            self._stored = self._stored or store
        elif kind in (STOP, CLEAR):
            self._events = False
            self._stored = self._stored and kind == STOP and not store
            if kind == CLEAR:
                self._set_up.clear()
        elif kind in REPORTS_DTCS:
            self._set_up.add(Service.ReadDTCInformation)
        elif kind in RESPOND_AT and len(asked) > RESPOND_AT[kind]:
            self._set_up.add(asked[RESPOND_AT[kind]])
            self._stored = self._stored or store
