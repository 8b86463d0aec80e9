"""Section `gate`: the lock of the unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

from ecu_sim.reading.fields import accesses_in, hex_keyed, read_level, read_nrc, read_options
from ecu_sim.unlock.certificate import CertificateOptions
from ecu_sim.unlock.challenge_response import ChallengeResponseOptions
from ecu_sim.unlock.exchanges import Choice, GateFault
from ecu_sim.unlock.sfd import SfdOptions
from ecu_sim.unlock.sfd2 import Sfd2Options
from ecu_sim.unlock.signed_seed import SignedSeedOptions
from wire.authentication import MIN_CHALLENGE_LEN
from wire.challenge_response import MIN_SECRET_LEN, Crypto
from wire.strict_yaml import Node
from wire.uds import Nrc, Service

LEVEL_MAX = 0x7D
NOT_OF_OBJECTS = ("services", "session_rules")
"""Sections whose access is asked before a request has named an object: no question there asks how it came."""
GateOptions = SfdOptions | Sfd2Options | CertificateOptions | SignedSeedOptions | ChallengeResponseOptions
_GATES: Mapping[str, type[GateOptions]] = {
    "sfd": SfdOptions,
    "sfd2": Sfd2Options,
    "certificate": CertificateOptions,
    "signed-seed": SignedSeedOptions,
    "challenge-response": ChallengeResponseOptions,
}
MAX_CHALLENGE_LEN = 255
"""A longer challenge proves nothing more, and takes a slow bus a second."""
_WORDS: Mapping[Any, Callable[[Node], object]] = {
    "Choice": lambda node: node.choice(get_args(Choice)),
    "Crypto": lambda node: Crypto(node.choice(tuple(Crypto))),
    "frozenset[int]": lambda node: frozenset(item.integer(0, 0xFF) for item in node.items()),
    "frozenset[GateFault]": lambda node: frozenset(GateFault(item.choice(tuple(GateFault))) for item in node.items()),
}
"""Readers of what stands in the options of a lock alone."""

KEYS = ("gate", "locked_nrc")


def read(node: Node) -> dict[str, Any]:
    """Return `gate` and `locked_nrc`."""
    gate, nrc = node.get("gate"), node.get("locked_nrc")
    options = _gate(gate) if gate else None
    if gate is not None and isinstance(options, SignedSeedOptions):
        _check_level(node, gate, options)
    _check_secured(node, gate if isinstance(options, Sfd2Options) else None)
    return {
        "gate": options,
        "locked_nrc": read_nrc(nrc) if nrc else Nrc.securityAccessDenied,
    }


def _check_secured(node: Node, verifies: Node | None) -> None:
    """Refuse a service 84 that nothing verifies, a lock that only a missing service opens, and what is reached by it alone."""
    offered = node.require("services").mapping().get("84")
    if offered is not None and verifies is None:
        raise offered.error("service 84 needs a lock that verifies it: gate: {scheme: sfd2}")
    if verifies is not None and offered is None:
        raise verifies.error(
            "each change comes through service 84: list it under 'services', or nothing opens this lock"
        )
    for section, access in accesses_in(node):
        secured = access.get("secured")
        if secured is None or not secured.boolean():
            continue
        if section in NOT_OF_OBJECTS:
            raise secured.error(
                "what is secured is an identifier, a routine, an output, a region or a directory: say it there"
            )
        if offered is None:
            raise secured.error("this unit has no service 84: nobody could ever reach it")


def _check_level(node: Node, gate: Node, options: SignedSeedOptions) -> None:
    """Refuse a lock at a 0x27 level which is none, which has an algorithm already, or which nobody can ask for."""
    entry = gate.get("level") or gate
    level = options.level if entry is gate else read_level(entry)
    security = node.get("security")
    if security is not None and level in hex_keyed(security, LEVEL_MAX):
        raise entry.error(f"level {level:02X} stands under 'security' too: a level has an algorithm, or is the lock")
    if Service.SecurityAccess not in hex_keyed(node.require("services"), 0xFF):
        raise gate.error("this lock is opened by service 27, which is not under 'services'")
    attempts = gate.get("attempts")
    if attempts is not None:
        attempts.integer(1, 255)


def _gate(node: Node) -> GateOptions:
    scheme = node.require("scheme").choice(tuple(_GATES))
    refusal = node.get("refusal_nrc")
    if refusal is not None:
        raise refusal.error("the unit's own locked_nrc says this, for the lock as well")
    rest = {key: entry for key, entry in node.mapping().items() if key != "scheme"}
    options = read_options(Node(rest, node.path, node.line, node.key), _GATES[scheme], _WORDS)
    for name in ("max_duration_min", "nonce_lifetime_ns", "challenge_lifetime_ns", "seed_lifetime_ns"):
        if getattr(options, name, None) == 0:
            raise rest[name.removesuffix("_ns")].error("a lock with 0 here can never be opened")
    if "challenge_len" in rest:
        rest["challenge_len"].integer(MIN_CHALLENGE_LEN, MAX_CHALLENGE_LEN)
    if isinstance(options, ChallengeResponseOptions):
        _check_secret(node, options)
    return options


def _check_secret(node: Node, options: ChallengeResponseOptions) -> None:
    """Refuse a symmetric lock without a key, and an asymmetric one with a key that nobody would ever use."""
    secret = node.get("secret")
    if options.crypto is Crypto.SYMMETRIC:
        if secret is None:
            raise node.error(f"crypto symmetric needs a secret: at least {MIN_SECRET_LEN} bytes in hex")
        if len(options.secret) < MIN_SECRET_LEN:
            raise secret.error(f"expected at least {MIN_SECRET_LEN} bytes, got {len(options.secret)}")
    elif secret is not None:
        raise secret.error("crypto asymmetric has no secret: the unit knows the back end's public keys")
