"""Section `gate`: the lock of the unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ecu_sim.reading.fields import read_nrc, read_options
from ecu_sim.unlock.certificate import CertificateOptions
from ecu_sim.unlock.sfd import SfdOptions
from wire.strict_yaml import Node
from wire.uds import Nrc

_GATES: Mapping[str, type[SfdOptions | CertificateOptions]] = {
    "sfd": SfdOptions,
    "certificate": CertificateOptions,
}


KEYS = ("gate", "locked_nrc")


def read(node: Node) -> dict[str, Any]:
    """Return `gate` and `locked_nrc`."""
    gate, nrc = node.get("gate"), node.get("locked_nrc")
    return {
        "gate": _gate(gate) if gate else None,
        "locked_nrc": read_nrc(nrc) if nrc else Nrc.securityAccessDenied,
    }


def _gate(node: Node) -> SfdOptions | CertificateOptions:
    scheme = node.require("scheme").choice(tuple(_GATES))
    refusal = node.get("refusal_nrc")
    if refusal is not None:
        raise refusal.error("the unit's own locked_nrc says this, for the lock as well")
    rest = {key: entry for key, entry in node.mapping().items() if key != "scheme"}
    options = read_options(Node(rest, node.path, node.line, node.key), _GATES[scheme])
    for name in ("max_duration_min", "nonce_lifetime_ns", "challenge_lifetime_ns"):
        if getattr(options, name, None) == 0:
            raise rest[name.removesuffix("_ns")].error("a lock with 0 here can never be opened")
    return options
