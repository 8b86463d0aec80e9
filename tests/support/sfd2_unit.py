"""A control unit with SFD2, and a back end in the test's hand that signs what it is told: good changes, and forged ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ecu_bench import MS, Ecu, S
from locked_unit import seeded
from unlock_forge import ADDRESS, VIN, keys, trust

from ecu_sim.profile import Access, Did, EcuProfile, Routine, ServiceRule
from ecu_sim.unlock.gate import GateRecord
from ecu_sim.unlock.sfd2 import Sfd2Gate, Sfd2Options
from wire.clock import WallClock
from wire.secured import SECURED_ANSWER, Administrative, SecuredMessage
from wire.signed_change import CALCULATION_ED25519, ChangeClaims, ChangeRequest, Place, sign_change
from wire.token import ALL_SCOPES, Role, Scope, key_id

EXTENDED = frozenset((3,))
CODING = Access(sessions=EXTENDED, scope=Scope.CODING, secured=True, conditions=("coding-voltage",))
WRITE = "2E 06 00 01 02"
"""A change: scope coding, extended session, supply in order."""
PROFILE = EcuProfile(
    name="cluster",
    title="17 cluster",
    address=ADDRESS,
    request_id=0x714,
    response_id=0x77E,
    functional_ids=(0x700,),
    services={sid: ServiceRule() for sid in (0x10, 0x11, 0x22, 0x2E, 0x31, 0x3E, 0x84)},
    sessions=frozenset((1, 2, 3)),
    dids={
        did.did: did
        for did in (
            Did(did=0x0600, value=bytes(2), write=CODING),
            Did(did=0x0601, value=bytes(2), write=CODING, work_ns=12 * S),
            Did(did=0x0602, value=bytes(2), write=Access(sessions=EXTENDED, secured=True)),
            Did(did=0x0603, value=bytes(2), read=Access(secured=True), write=Access()),
            Did(did=0xF190, value=VIN.encode()),
        )
    },
    routines={
        0x0203: Routine(rid=0x0203, access=Access(scope=Scope.ROUTINES, secured=True)),
        0x0204: Routine(rid=0x0204, access=Access(scope=Scope.ROUTINES, secured=True), work_ns=200 * MS),
    },
)


class Sfd2Unit(Ecu):
    """The unit in its extended session. Requests and answers are hex texts."""

    def __init__(self, options: Sfd2Options | None = None, **changes: Any) -> None:
        self.lock = Sfd2Gate(
            vin=VIN, ecu_address=ADDRESS, trust=trust(), clock=WallClock(), entropy=seeded(), options=options
        )
        super().__init__(replace(PROFILE, **changes), scheme=self.lock)
        self.extended()
        self._changes = 0

    @property
    def last(self) -> GateRecord:
        return self.lock.log.records[-1]

    @property
    def reason(self) -> str:
        """Why the lock refused last."""
        assert self.last.decision == "refused", self.last
        return self.last.reason

    def fetch(self) -> ChangeRequest:
        """Fetch a request for a change."""
        answer = bytes.fromhex(self.ask("31 01 C0 08"))
        assert answer[:5] == bytes.fromhex("71 01 C0 08 24")
        return ChangeRequest.decode(answer[5:])

    def signed(self, inner: str = WRITE, *, request: ChangeRequest | None = None, **changes: Any) -> SecuredMessage:
        """Return a change that the back end signed for the unit's latest request; `changes` of message, place, claims, or key."""
        request = request or self.fetch()
        self._changes += 1
        key: Ed25519PrivateKey = changes.pop("key", keys().token_key)
        parts = {
            SecuredMessage: {
                "administrative": Administrative.REQUEST | Administrative.SIGNED,
                "calculation": CALCULATION_ED25519,
                "counter": request.last_counter + 1,
                "inner": bytes.fromhex(inner),
            },
            Place: {"vin": VIN, "ecu_address": ADDRESS, "nonce": request.structure.nonce},
            ChangeClaims: {
                "key_id": key_id(keys().token_key.public_key()),
                "change_id": self._changes.to_bytes(16, "big"),
                "role": Role.AFTER_SALES,
                "scope": ALL_SCOPES,
            },
        }
        for fields in parts.values():
            fields.update({name: changes.pop(name) for name in list(changes) if name in fields})
        assert not changes, changes
        message, place, claims = (kind(**fields) for kind, fields in parts.items())
        return replace(message, signature=sign_change(claims, place, message, key).encode())

    def bring(self, message: SecuredMessage | bytes | str) -> str:
        """Send a secured request; return the final answer, 0x78 left out."""
        if isinstance(message, SecuredMessage):
            message = message.encode()
        payload = bytes.fromhex(message) if isinstance(message, str) else message
        self.server.receive(payload, False, self.now_ns)
        while self.server.busy:
            due_ns = self.server.next_deadline()
            assert due_ns is not None
            self.now_ns = due_ns
            self.server.handle_timer(due_ns)
        answers = self.take()
        return answers[-1] if answers else ""

    def inside(self, message: SecuredMessage | bytes | str) -> str:
        """Send a secured request; return what its inner service answered."""
        answer = bytes.fromhex(self.bring(message))
        assert answer[:1] == b"\xc4", answer.hex(" ")
        return SecuredMessage.decode(answer, SECURED_ANSWER).inner.hex(" ").upper()

    def value(self, did: int = 0x0600) -> bytes:
        return self.server.memory.data[did]
