"""A control unit on a test bench: a profile of a few lines, a server in virtual time, a lock that is opened by hand.

Requests and answers are hex texts, so that a test reads like a trace: `ecu.ask("10 03") == "50 03 00 32 01 F4"`.
"""

import random
from dataclasses import replace
from typing import Any

from ecu_sim.profile import Access, Did, Dtc, EcuProfile, Routine, SecurityLevel, ServiceRule
from ecu_sim.server import UdsServer
from ecu_sim.state import NonVolatile
from ecu_sim.unlock.gate import AccessGate, GateEvent, GateLog, Grant, WithoutAuthentication, WithoutIdentifiers
from ecu_sim.vehicle_state import VehicleState
from wire.entropy import SeededEntropy
from wire.seed_key import compute_key
from wire.token import Scope
from wire.uds import Nrc

MS = 1_000_000
S = 1_000_000_000
SECRET = bytes(range(16))
EXTENDED = frozenset((3,))
CODING = Access(sessions=EXTENDED, scope=Scope.CODING, conditions=("stationary", "coding-voltage"))
LEVELS = {
    3: SecurityLevel(level=3, algorithm="hmac-sha256-8", secret=SECRET),
    5: SecurityLevel(level=5, algorithm="rotate-xor-4", secret=SECRET, seed_len=4, attempts=2, delay_ns=3 * S),
}
DIDS = (
    Did(did=0xF190, value=b"WVWZZZCDZSW000001"),
    Did(did=0xF187, value=b"5H0920700A"),
    Did(did=0xF198, value=bytes(6), write=Access(sessions=EXTENDED)),
    Did(did=0xF199, value=b"\x26\x01\x01", write=Access(sessions=EXTENDED)),
    Did(did=0x0600, value=bytes(4), write=CODING, requires_written=(0xF199, 0xF198)),
    Did(did=0x0601, value=b"\x00", write=Access(security=3)),
    Did(did=0x0602, value=b"\x00", read=None, write=Access()),
    Did(did=0x0603, value=b"\x07", read=Access(security=5)),
    Did(did=0x0604, value=b"\x08", read=Access(sessions=EXTENDED)),
    Did(did=0x0605, value=b"\x00", write=Access(conditions=("stationary", "ignition", "coding-voltage"))),
    Did(did=0x0700, value=bytes(40), write=Access(), work_ns=12 * S),
    Did(did=0x0701, value=b"\x09", write=Access(), work_ns=200 * MS),
    Did(did=0x1001, source="odometer"),
    Did(did=0x1002, source="supply-voltage"),
    Did(did=0x1003, source="speed"),
    Did(did=0x1004, source="bonnet"),
)
ROUTINES = (
    Routine(rid=0x0203, access=Access(sessions=EXTENDED), duration_ns=10 * S, stoppable=True, result=b"\x00\x42"),
    Routine(rid=0x0204, option_len=2),
    Routine(rid=0x0205, access=Access(scope=Scope.ROUTINES)),
    Routine(rid=0x0206, access=Access(conditions=("stationary",)), duration_ns=S),
    Routine(rid=0x0207, work_ns=200 * MS),
)
DTCS = (
    Dtc(code=0xB10A15, status=0x08),
    Dtc(code=0x029900, status=0x09),
    Dtc(code=0xC10100, status=0x2F, stays=True),
)
SERVICES = dict.fromkeys(
    (0x10, 0x11, 0x14, 0x19, 0x22, 0x27, 0x28, 0x2E, 0x31, 0x3E, 0x85),
    ServiceRule(),
)
PROFILE = EcuProfile(
    name="cluster",
    title="17 cluster",
    address=0x17,
    request_id=0x714,
    response_id=0x77E,
    functional_ids=(0x700,),
    services=SERVICES,
    sessions=frozenset((1, 2, 3)),
    dids={did.did: did for did in DIDS},
    routines={routine.rid: routine for routine in ROUTINES},
    dtcs=DTCS,
    security=LEVELS,
)


class HandGate(WithoutIdentifiers, WithoutAuthentication):
    """A lock that opens when the test says so (`opened`), and remembers what it was told (`events`)."""

    name = "by hand"

    def __init__(self, refusal_nrc: int = Nrc.securityAccessDenied) -> None:
        self.refusal_nrc = refusal_nrc
        self.log = GateLog()
        self.opened = Scope(0)
        self.events: list[GateEvent] = []
        self.woken = 0

    def grant(self, now_ns: int) -> Grant | None:
        if not self.opened:
            return None
        return Grant(scheme=self.name, role=1, scope=int(self.opened), ident="00", since_ns=0)

    def allows(self, scope: Scope, now_ns: int) -> bool:
        return scope in self.opened

    def work_ns(self, sid: int, payload: bytes) -> int:
        return 0

    def handle_event(self, event: GateEvent, now_ns: int) -> None:
        self.events.append(event)

    def wake(self, now_ns: int) -> None:
        self.woken += 1

    def handle_timer(self, now_ns: int) -> None:
        return None

    def next_deadline(self) -> int | None:
        return None


class Ecu:
    """A server and its time. `gate` is the lock by hand of a `locked` unit, else None; `scheme` is a real one instead."""

    def __init__(
        self,
        profile: EcuProfile = PROFILE,
        *,
        locked: bool = False,
        refusal_nrc: int = Nrc.securityAccessDenied,
        memory: NonVolatile | None = None,
        scheme: AccessGate | None = None,
        seed: int = 1,
        **changes: Any,
    ) -> None:
        self.profile = replace(profile, **changes)
        self.vehicle = VehicleState()
        self.gate = HandGate(refusal_nrc) if locked else None
        self.server = UdsServer(
            self.profile,
            entropy=SeededEntropy(random.Random(seed)),
            vehicle=self.vehicle,
            gate=scheme or self.gate,
            memory=memory,
        )
        self.now_ns = 0

    def ask(self, request: str | bytes, *, functional: bool = False) -> str:
        """Return what is answered at this instant, as hex; empty when nothing is."""
        payload = request if isinstance(request, bytes) else bytes.fromhex(request)
        self.server.receive(payload, functional, self.now_ns)
        answers = self.take()
        assert len(answers) <= 1, answers
        return answers[0] if answers else ""

    def take(self) -> list[str]:
        """Return the answers that wait, as hex."""
        outputs = self.server.outputs
        return [outputs.popleft().hex(" ").upper() for _ in range(len(outputs))]

    def run_for(self, duration_ns: int) -> list[tuple[int, str]]:
        """Let time pass from deadline to deadline; return each answer with its time."""
        end_ns = self.now_ns + duration_ns
        answers: list[tuple[int, str]] = []
        for _ in range(10_000):
            due_ns = self.server.next_deadline()
            if due_ns is None or due_ns > end_ns:
                self.now_ns = end_ns
                return answers
            self.now_ns = max(self.now_ns, due_ns)
            self.server.handle_timer(self.now_ns)
            answers += [(self.now_ns, answer) for answer in self.take()]
        raise AssertionError("the server asks to be woken again and again")

    def ask_and_wait(self, request: str, duration_ns: int = 60 * S, *, functional: bool = False) -> list[str]:
        """Return all answers to a request, 0x78 included."""
        first = self.ask(request, functional=functional)
        later = [answer for _, answer in self.run_for(duration_ns)]
        return [first, *later] if first else later

    def extended(self) -> "Ecu":
        """Enter the extended session."""
        assert self.ask("10 03").startswith("50 03")
        return self

    def seed(self, level: int = 3) -> bytes:
        """Return a seed of a 0x27 level."""
        answer = bytes.fromhex(self.ask(bytes((0x27, level))))
        assert answer[:2] == bytes((0x67, level)), answer.hex(" ")
        return answer[2:]

    def key(self, seed: bytes, level: int = 3) -> str:
        """Return the request that sends the right key for `seed`."""
        rule = self.profile.security[level]
        return (bytes((0x27, level + 1)) + compute_key(rule.algorithm, seed, rule.secret, level)).hex(" ")

    def open_level(self, level: int = 3) -> "Ecu":
        """Open a 0x27 level."""
        assert self.ask(self.key(self.seed(level), level)) == f"67 {level + 1:02X}"
        return self

    @property
    def session(self) -> int:
        return self.server.state.session


def refused(sid: int, nrc: int) -> str:
    """Return a negative answer as hex."""
    return f"7F {sid:02X} {nrc:02X}"
