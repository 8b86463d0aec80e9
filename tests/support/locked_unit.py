"""A control unit with a lock and a UDS server around it, driven by hand in virtual time: no bus, no gateway."""

from __future__ import annotations

import random
from typing import Any

from unlock_forge import ADDRESS, VIN, chain, owner_key, sized, token, trust

from ecu_sim.profile import FREE, Access, Did, EcuProfile, Routine, SecurityLevel, ServiceRule
from ecu_sim.server import UdsServer
from ecu_sim.unlock.certificate import CertificateGate, CertificateOptions
from ecu_sim.unlock.challenge_response import ChallengeResponseGate
from ecu_sim.unlock.gate import GateRecord
from ecu_sim.unlock.sfd import SfdGate, SfdOptions
from ecu_sim.unlock.trust import TrustStore
from ecu_sim.vehicle_state import PowerEvent, VehicleState
from wire.clock import WallClock
from wire.diag_cert import prove_ownership
from wire.entropy import SeededEntropy
from wire.seed_key import compute_key
from wire.token import RequestStructure, Scope

SECRET = b"secret of level 3"
CODING = bytes.fromhex("2e0600 0102")
"""A protected write: scope coding, extended session."""
SECURED = bytes.fromhex("2e0601 0102")
"""A protected write that wants SecurityAccess level 3 as well."""

_EXTENDED = frozenset((0x03,))
_PROFILE: dict[str, Any] = {
    "name": "unit",
    "title": "a locked unit",
    "address": ADDRESS,
    "request_id": 0x714,
    "response_id": 0x77E,
    "functional_ids": (0x700,),
    "services": {sid: ServiceRule() for sid in (0x10, 0x11, 0x22, 0x27, 0x29, 0x2E, 0x31, 0x3E)},
    "sessions": frozenset((0x01, 0x02, 0x03)),
    "dids": {
        0x0600: Did(did=0x0600, value=bytes(2), write=Access(sessions=_EXTENDED, scope=Scope.CODING)),
        0x0601: Did(did=0x0601, value=bytes(2), write=Access(sessions=_EXTENDED, scope=Scope.CODING, security=3)),
        0xF190: Did(did=0xF190, value=VIN.encode(), read=FREE),
    },
    "routines": {0x0203: Routine(rid=0x0203, access=Access(scope=Scope.ROUTINES))},
    "security": {3: SecurityLevel(level=3, algorithm="hmac-sha256-8", secret=SECRET)},
    "security_access": "after_grant",
}


def seeded(seed: int = 7) -> SeededEntropy:
    return SeededEntropy(random.Random(seed))


class LockedUnit:
    """A unit, its lock, its clock and the time. `ask` waits for the final answer, `wait` lets time pass to each deadline."""

    def __init__(self, gate: SfdGate | CertificateGate | ChallengeResponseGate) -> None:
        self.gate = gate
        self.trust: TrustStore = gate.trust
        self.clock: WallClock = gate.clock
        self.server = UdsServer(EcuProfile(**_PROFILE), entropy=seeded(8), vehicle=VehicleState(), gate=gate)
        self.now_ns = 0

    # ---- time

    def wait(self, duration_ns: int) -> None:
        """Let time pass; every deadline on the way is kept."""
        end_ns = self.now_ns + duration_ns
        while (due := self.server.next_deadline()) is not None and due <= end_ns:
            self.now_ns = max(self.now_ns, due)
            self.server.handle_timer(self.now_ns)
        self.now_ns = end_ns

    def leap(self, duration_ns: int) -> None:
        """Let time pass without a single timer: what is asked next must be right all the same."""
        self.now_ns += duration_ns

    def power(self, event: PowerEvent) -> None:
        self.server.power(event, self.now_ns)

    # ---- requests

    def ask(self, request: bytes | str) -> bytes:
        """Return the final answer (0x78 left out), empty when there is none."""
        payload = bytes.fromhex(request) if isinstance(request, str) else request
        outputs = self.server.outputs
        outputs.clear()
        self.server.receive(payload, False, self.now_ns)
        while not outputs or outputs[-1][:3:2] == b"\x7f\x78":
            due = self.server.next_deadline()
            if due is None or due > self.now_ns + 10**9:
                return b""
            self.now_ns = max(self.now_ns, due)
            self.server.handle_timer(self.now_ns)
        return outputs[-1]

    def nrc(self, request: bytes | str) -> int:
        """Return the NRC, or 0 when the answer is positive."""
        answer = self.ask(request)
        assert answer, "no answer"
        return answer[2] if answer[0] == 0x7F else 0

    def extended(self) -> None:
        assert self.ask("1003")[0] == 0x50

    # ---- the lock

    @property
    def open(self) -> bool:
        return self.gate.grant(self.now_ns) is not None

    @property
    def log(self) -> list[tuple[str, str]]:
        return [(record.decision, record.reason) for record in self.gate.log.records]

    @property
    def last(self) -> GateRecord:
        return self.gate.log.records[-1]

    def seed_and_key(self) -> int:
        """Open 0x27 level 3; return 0 or the first NRC."""
        answer = self.ask("2703")
        if answer[0] == 0x7F:
            return answer[2]
        return self.nrc(b"\x27\x04" + compute_key("hmac-sha256-8", answer[2:], SECRET, 3))


class SfdUnit(LockedUnit):
    """A control unit behind SFD."""

    gate: SfdGate

    def __init__(self, options: SfdOptions | None = None, clock: WallClock | None = None) -> None:
        gate = SfdGate(
            vin=VIN,
            ecu_address=ADDRESS,
            trust=trust(),
            clock=clock or WallClock(),
            entropy=seeded(),
            options=options,
        )
        super().__init__(gate)
        self._tokens = 0

    def request(self) -> RequestStructure:
        """Fetch a request structure."""
        answer = self.ask("3101c008")
        assert answer[:5] == bytes.fromhex("7101c00824")
        return RequestStructure.decode(answer[5:])

    def token(self, **changes: Any) -> bytes:
        """Fetch a request structure and return a token for it, each with an id of its own, some claims changed."""
        self._tokens += 1
        return token(self.request(), **{"token_id": self._tokens.to_bytes(16, "big"), **changes})

    def write(self, wire: bytes) -> int:
        """Write a token; return 0 or the NRC."""
        return self.nrc(b"\x31\x01\xc0\x04" + wire)

    def unlock(self, **changes: Any) -> None:
        assert self.write(self.token(**changes)) == 0
        assert self.open

    def status(self) -> bytes:
        """Return the four status bytes."""
        answer = self.ask("220174")
        assert answer[:3] == bytes.fromhex("620174")
        return answer[3:]


class CertificateUnit(LockedUnit):
    """A gateway behind Authentication 0x29."""

    gate: CertificateGate

    def __init__(self, options: CertificateOptions | None = None, clock: WallClock | None = None) -> None:
        gate = CertificateGate(
            vin=VIN,
            ecu_address=ADDRESS,
            trust=trust(),
            clock=clock or WallClock(),
            entropy=seeded(),
            options=options,
        )
        super().__init__(gate)

    def present(self, field: bytes | None = None) -> bytes:
        """Send verifyCertificateUnidirectional with `field` (default: a good chain); return the answer."""
        return self.ask(b"\x29\x01\x00" + sized(chain() if field is None else field) + sized(b""))

    def presented(self, field: bytes | None = None) -> int:
        """Return 0 or the NRC of `present`."""
        answer = self.present(field)
        return answer[2] if answer[0] == 0x7F else 0

    def challenge(self, field: bytes | None = None) -> bytes:
        """Present a certificate and return the challenge."""
        answer = self.present(field)
        assert answer[:5] == bytes.fromhex("6901110020"), answer[:5].hex()
        return answer[5:37]

    def proof(self, challenge: bytes, key: Any = None) -> bytes:
        """Return the proof of ownership for a challenge."""
        return prove_ownership(key or owner_key(), challenge, VIN, ADDRESS)

    def prove(self, proof: bytes) -> bytes:
        """Send proofOfOwnership; return the answer."""
        return self.ask(b"\x29\x03" + sized(proof) + sized(b""))

    def unlock(self, field: bytes | None = None) -> None:
        answer = self.prove(self.proof(self.challenge(field)))
        assert answer == bytes.fromhex("6903120000"), answer.hex()
        assert self.open
