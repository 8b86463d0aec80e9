"""What a request to a lock asks, and the talk with one unit: requests that wait for their answer, and which answer is whose."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.monitor import protected
from bench.monitor.books import Grant
from bench.monitor.reassembly import Reassembly
from bench.monitor.signed_changes import NEGATIVE

PENDING = b"\x78"
ECHOED = {0x11: 1, 0x27: 1, 0x28: 1, 0x29: 1, 0x2E: 2, 0x2F: 2, 0x31: 3, 0x85: 1}
"""How many bytes of a request its positive answer repeats."""
RESET, TESTER_PRESENT = 0x11, 0x3E
TOKEN, LOCK = b"\x31\x01\xc0\x04", b"\x31\x01\xc0\x0a"
SHOWING_TASKS, PROOF, WIDENING, DE_AUTHENTICATE = (b"\x29\x01", b"\x29\x02"), b"\x29\x03", b"\x29\x04", b"\x29\x00"
"""Authentication by certificate: it is shown, its ownership proven, a further one added; the grant is given back."""


@dataclass(slots=True)
class Asked:
    """A request that waits for its answer. `opens`: what it opens if it is not refused; `may_end`: what it is called if it may
    end a grant.
    """

    request: bytes
    at_ns: int
    opens: Grant | None = None
    may_end: str = ""


@dataclass(slots=True)
class Talk:
    """The last request to a unit on one bus, and the last to all units, each waiting for its answer."""

    own: Asked | None = None
    common: Asked | None = None
    shown: bytes = b""
    """The certificate chain that was shown last."""
    rx: Reassembly = field(default_factory=Reassembly)
    tx: Reassembly = field(default_factory=Reassembly)

    def answered_by(self, answer: bytes) -> Asked | None:
        """Return the request that a final answer answers, and wait for it no more; None where there is none."""
        asked = self.own
        if asked is not None and answers(answer, asked.request):
            self.own = None
            return asked
        asked = self.common
        if asked is not None and answers(answer, asked.request):
            self.common = None
            return asked
        return None


def answers(answer: bytes, request: bytes) -> bool:
    """Return whether this is the final answer to `request`: negative to its service, or positive with its parameters."""
    if answer[0] == NEGATIVE:
        return answer[1:2] == request[:1] and answer[2:3] != PENDING
    if answer[0] != request[0] + 0x40:
        return False
    size = ECHOED.get(request[0], 0)
    return size == 0 or answer[1 : 1 + size] == protected.normal(request)[1 : 1 + size]


def may_end(request: bytes) -> str:
    """Return the plain name of a request (suppress bit taken off) that ends a grant, or nothing."""
    if request[0] == RESET:
        return "a reset"
    if request.startswith(LOCK):
        return "the lock command"
    return "a de-authentication" if request.startswith(DE_AUTHENTICATE) else ""
