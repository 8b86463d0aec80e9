"""A gateway whose lock is a 0x27 level of its own: the unit of `locked_unit`, and a back end that signs its seeds."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from locked_unit import LockedUnit, seeded
from unlock_forge import ADDRESS, VIN, keys, trust

from ecu_sim.unlock.signed_seed import SignedSeedGate, SignedSeedOptions
from ecu_sim.unlock.trust import TrustStore
from wire.clock import WallClock
from wire.signed_seed import SeedRequest, sign_seed

LEVEL = 0x09
OPEN = bytes.fromhex("67 0A")


def key_for(
    seed: bytes,
    *,
    vin: str = VIN,
    address: int = ADDRESS,
    level: int = LEVEL,
    signer: Ed25519PrivateKey | None = None,
) -> bytes:
    """The back end's key for a seed; every argument makes it the key for something else."""
    return sign_seed(signer or keys().token_key, vin, address, SeedRequest(level=level, seed=seed))


class SeedUnit(LockedUnit):
    """A gateway behind a signed seed, in the extended session where a test says so."""

    gate: SignedSeedGate

    def __init__(self, options: SignedSeedOptions | None = None, trusted: TrustStore | None = None) -> None:
        gate = SignedSeedGate(
            vin=VIN,
            ecu_address=ADDRESS,
            trust=trusted or trust(),
            clock=WallClock(),
            entropy=seeded(),
            options=options,
        )
        super().__init__(gate)

    def seed(self) -> bytes:
        """Request the seed."""
        answer = self.ask("2709")
        assert answer[:2] == bytes.fromhex("6709"), answer.hex()
        return answer[2:]

    def send(self, key: bytes) -> int:
        """Send a key; return 0 or the NRC."""
        answer = self.ask(b"\x27\x0a" + key)
        assert answer == OPEN or answer[:2] == b"\x7f\x27", answer.hex()
        return answer[2] if answer[0] == 0x7F else 0

    def unlock(self, **changes: Any) -> None:
        if self.server.state.session != 3:
            self.extended()
        assert self.send(key_for(self.seed(), **changes)) == 0
        assert self.open
