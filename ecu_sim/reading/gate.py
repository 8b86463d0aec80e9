"""Section `gate`: the lock of the unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ecu_sim.reading.fields import hex_keyed, read_level, read_nrc, read_options
from ecu_sim.unlock.certificate import CertificateOptions
from ecu_sim.unlock.sfd import SfdOptions
from ecu_sim.unlock.signed_seed import SignedSeedOptions
from wire.strict_yaml import Node
from wire.uds import Nrc, Service

LEVEL_MAX = 0x7D
GateOptions = SfdOptions | CertificateOptions | SignedSeedOptions
_GATES: Mapping[str, type[GateOptions]] = {
    "sfd": SfdOptions,
    "certificate": CertificateOptions,
    "signed-seed": SignedSeedOptions,
}

KEYS = ("gate", "locked_nrc")


def read(node: Node) -> dict[str, Any]:
    """Return `gate` and `locked_nrc`."""
    gate, nrc = node.get("gate"), node.get("locked_nrc")
    options = _gate(gate) if gate else None
    if gate is not None and isinstance(options, SignedSeedOptions):
        _check_level(node, gate, options)
    return {
        "gate": options,
        "locked_nrc": read_nrc(nrc) if nrc else Nrc.securityAccessDenied,
    }


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
    options = read_options(Node(rest, node.path, node.line, node.key), _GATES[scheme])
    for name in ("max_duration_min", "nonce_lifetime_ns", "challenge_lifetime_ns", "seed_lifetime_ns"):
        if getattr(options, name, None) == 0:
            raise rest[name.removesuffix("_ns")].error("a lock with 0 here can never be opened")
    return options
