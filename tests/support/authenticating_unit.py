"""Units that authenticate in both directions and by challenge-response, and a client in a test's hand that talks to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from locked_unit import CertificateUnit, LockedUnit, seeded
from unlock_forge import ADDRESS, EPOCH_S, VIN, chain, keys, owner_key, trust

from bench.works import Works
from ecu_sim.unlock.certificate import CertificateGate, CertificateOptions
from ecu_sim.unlock.challenge_response import ChallengeResponseGate, ChallengeResponseOptions
from ecu_sim.unlock.fields import Fields
from wire.authentication import Exchange, Party, agree, new_ephemeral, public_bytes, sized
from wire.challenge_response import (
    ED25519,
    HMAC_SHA256,
    Crypto,
    Wish,
    decode_needed,
    mac_exchange,
    sign_exchange,
    unit_key,
)
from wire.clock import WallClock
from wire.diag_cert import chain_digest, prove_exchange, prove_ownership
from wire.entropy import Entropy
from wire.token import ALL_SCOPES, Role, key_id

SHARED = bytes(range(100, 132))
"""The secret of a unit family."""
CLIENT_CHALLENGE = bytes(range(32))
WORKS = Works(VIN, seeded(9), EPOCH_S)
IDENTITY = WORKS.identity(ADDRESS)
OWN_KEY = WORKS.own_key()
EPHEMERAL = new_ephemeral(seeded(11))


class StuckEntropy:
    """A random source that always gives the same byte."""

    def __init__(self, byte: bytes = b"\x55") -> None:
        self.byte = byte

    def token_bytes(self, size: int) -> bytes:
        return self.byte * size


@dataclass(frozen=True, kw_only=True)
class Verified:
    """An answer to 01 or 02, and the exchange as the client sees it."""

    exchange: Exchange
    server_chain: bytes = b""
    server_proof: bytes = b""

    def closed_with(self, ephemeral: X25519PrivateKey | None) -> Exchange:
        return replace(self.exchange, client_ephemeral=b"" if ephemeral is None else public_bytes(ephemeral))


class ApceUnit(CertificateUnit):
    """A certificate gateway with any options, and the client's half of both directions."""

    def __init__(self, entropy: Entropy | None = None, clock: WallClock | None = None, **options: Any) -> None:
        options = {"mutual": "allowed", "session_key": "allowed", "verification_ns": 0, **options}
        gate = CertificateGate(
            vin=VIN,
            ecu_address=ADDRESS,
            trust=trust(),
            clock=clock or WallClock(),
            entropy=entropy or seeded(),
            options=CertificateOptions(**options),
            identity=IDENTITY,
        )
        LockedUnit.__init__(self, gate)

    def verify(
        self,
        task: int = 2,
        configuration: int = 0,
        field: bytes | None = None,
        client_challenge: bytes = CLIENT_CHALLENGE,
    ) -> bytes:
        """Send verifyCertificate in a direction; return the answer."""
        field = chain() if field is None else field
        return self.ask(bytes((0x29, task, configuration)) + sized(field) + sized(client_challenge))

    def verified(
        self,
        task: int = 2,
        configuration: int = 0,
        field: bytes | None = None,
        client_challenge: bytes = CLIENT_CHALLENGE,
    ) -> Verified:
        """Send a good verifyCertificate and read the answer to its last byte."""
        field = chain() if field is None else field
        answer = self.verify(task, configuration, field, client_challenge)
        assert answer[:3] == bytes((0x69, task, 0x11)), answer.hex()
        fields = Fields(answer[3:])
        challenge = fields.sized()
        server_chain, server_proof = (fields.sized(), fields.sized()) if task == 2 else (b"", b"")
        ephemeral = fields.sized()
        fields.end()
        exchange = Exchange(
            task=task,
            configuration=configuration,
            vin=VIN,
            ecu_address=ADDRESS,
            server_challenge=challenge,
            client_challenge=client_challenge,
            server_ephemeral=ephemeral,
            additional=chain_digest(field),
        )
        return Verified(exchange=exchange, server_chain=server_chain, server_proof=server_proof)

    def own(
        self,
        exchange: Exchange,
        *,
        key: ec.EllipticCurvePrivateKey | None = None,
        party: Party = Party.CLIENT,
    ) -> bytes:
        """Send the proof of ownership for an exchange; return the answer."""
        key = key or owner_key()
        if exchange.task == 1 and not exchange.configuration:  # the plain kind covers the gateway's challenge alone
            proof = prove_ownership(key, exchange.server_challenge, VIN, ADDRESS)
        else:
            proof = prove_exchange(key, exchange, party)
        return self.ask(b"\x29\x03" + sized(proof) + sized(exchange.client_ephemeral))

    def authenticate(self, task: int = 2, *, with_key: bool = False) -> bytes:
        """Go all the way; return the client's session key, empty without one."""
        verified = self.verified(task, int(with_key))
        exchange = verified.closed_with(EPHEMERAL if with_key else None)
        answer = self.own(exchange)
        assert answer[:3] == bytes.fromhex("690312"), answer.hex()
        assert self.open
        if not with_key:
            return b""
        key = agree(EPHEMERAL, exchange.server_ephemeral, exchange)
        assert answer[3:] == sized(key.info)
        return key.key


def wish(**changes: Any) -> Wish:
    good: dict[str, Any] = {
        "ident": bytes(range(16)),
        "role": Role.AFTER_SALES,
        "scope": int(ALL_SCOPES),
        "duration_min": 30,
        "key_id": key_id(keys().token_key.public_key()),
    }
    return Wish(**{**good, **changes})


class AcrUnit(LockedUnit):
    """A unit behind challenge-response, and the client's half, broker's key included."""

    gate: ChallengeResponseGate

    def __init__(self, crypto: Crypto = Crypto.ASYMMETRIC, entropy: Entropy | None = None, **options: Any) -> None:
        options = {"mutual": "allowed", "session_key": "allowed", "verification_ns": 0, **options}
        secret = SHARED if crypto is Crypto.SYMMETRIC else b""
        gate = ChallengeResponseGate(
            vin=VIN,
            ecu_address=ADDRESS,
            trust=trust(),
            clock=WallClock(),
            entropy=entropy or seeded(),
            options=ChallengeResponseOptions(crypto=crypto, secret=secret, **options),
            own_key=OWN_KEY,
        )
        super().__init__(gate)
        self.crypto = crypto
        self.algorithm = HMAC_SHA256 if crypto is Crypto.SYMMETRIC else ED25519
        self.shared = unit_key(SHARED, VIN, ADDRESS)

    def request(self, configuration: int = 0, algorithm: bytes | None = None) -> bytes:
        """Send requestChallengeForAuthentication; return the answer."""
        return self.ask(bytes((0x29, 0x05, configuration)) + (self.algorithm if algorithm is None else algorithm))

    def challenged(self, configuration: int = 0, algorithm: bytes | None = None) -> Exchange:
        """Ask for a challenge, read the answer to its last byte, and return the exchange so far (task 06)."""
        answer = self.request(configuration, algorithm)
        assert answer[:3] == bytes.fromhex("690500"), answer.hex()
        fields = Fields(answer[3:])
        algorithm, challenge, needed = fields.take(16), fields.sized(), fields.sized()
        fields.end()
        return Exchange(
            task=6,
            configuration=configuration,
            vin=VIN,
            ecu_address=ADDRESS,
            server_challenge=challenge,
            server_ephemeral=decode_needed(needed),
            algorithm=algorithm,
        )

    def closed(
        self,
        exchange: Exchange,
        task: int = 6,
        asked: Wish | None = None,
        client_challenge: bytes = CLIENT_CHALLENGE,
        ephemeral: bytes = b"",
    ) -> Exchange:
        """Add the client's half to an exchange."""
        return replace(
            exchange,
            task=task,
            client_challenge=client_challenge,
            client_ephemeral=ephemeral,
            additional=(asked or wish()).encode() + ephemeral,
        )

    def proof(self, exchange: Exchange, party: Party = Party.CLIENT) -> bytes:
        """Return what the broker proves."""
        if self.crypto is Crypto.SYMMETRIC:
            return mac_exchange(self.shared, exchange, party)
        return sign_exchange(keys().token_key, exchange, party)

    def own(self, exchange: Exchange, proof: bytes | None = None) -> bytes:
        """Send verifyProofOfOwnership for an exchange; return the answer."""
        proof = self.proof(exchange) if proof is None else proof
        fields = sized(proof) + sized(exchange.client_challenge) + sized(exchange.additional)
        return self.ask(bytes((0x29, exchange.task)) + exchange.algorithm + fields)

    def authenticate(self, task: int = 6, asked: Wish | None = None, *, with_key: bool = False) -> bytes:
        """Go all the way; return the answer behind the algorithm indicator."""
        ephemeral = public_bytes(EPHEMERAL) if with_key else b""
        exchange = self.closed(self.challenged(int(with_key)), task, asked, ephemeral=ephemeral)
        answer = self.own(exchange)
        assert answer[:19] == bytes((0x69, task, 0x12)) + self.algorithm, answer.hex()
        assert self.open
        return answer[19:]
