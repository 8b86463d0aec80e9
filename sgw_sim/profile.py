"""Gateway profiles: the filter of a make as data, read from YAML with file, line and key in every error."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from sgw_sim.policy import Policy
from sgw_sim.unsolicited import Unsolicited
from wire.durations import read_duration
from wire.names import yaml_file
from wire.strict_yaml import Node, load
from wire.token import Scope
from wire.uds import Nrc

FOLDER = Path(__file__).parent / "profiles"
SCOPES = {str(scope.name).lower(): scope for scope in Scope}
KEYS = (
    "title",
    "lock",
    "refusal",
    "allow",
    "scopes",
    "hold",
    "answer_window",
    "pending_for_target",
    "signed",
    "unsolicited",
)
MIN_WINDOW_NS = 1_000_000
"""About what a unit's answer takes on the bus; what comes later is discarded."""

Lock = Literal["bonnet", "grant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayProfile:
    """A make's gateway. `lock`: what arms the filter. `hold_ns`: time it takes to judge a request (its extra P2).
    `answer_window_ns`: how long a route waits for the first answer. `pending_for_target`: it sends 0x78 in the target's name when
    it holds a request beyond P2. `unsolicited`: what becomes of answers that a unit sends by itself (see `sgw_sim.unsolicited`).
    """

    name: str
    title: str
    lock: Lock
    policy: Policy
    hold_ns: int = 0
    answer_window_ns: int = 1_000_000_000
    pending_for_target: bool = True
    unsolicited: Unsolicited = "learnt"


def load_gateway(name: str, folder: Path = FOLDER) -> GatewayProfile:
    """Return a shipped gateway profile (`vag-j533`), or one from a file (`*.yaml`) of a folder. Raises `ConfigError`."""
    path = yaml_file("gateway profile", name, folder, FOLDER)
    return _shipped(path) if path.parent == FOLDER else _read_file(path)


def _read_file(path: Path) -> GatewayProfile:
    node = load(path)
    node.mapping(KEYS)
    signed = node.get("signed")
    hold, window, pending, scopes = (node.get(key) for key in ("hold", "answer_window", "pending_for_target", "scopes"))
    return GatewayProfile(
        name=path.stem,
        title=node.require("title").text(),
        lock="bonnet" if node.require("lock").choice(("bonnet", "grant")) == "bonnet" else "grant",
        policy=Policy(
            allowed=tuple(_rule(item) for item in node.require("allow").items()),
            scopes=_scopes(scopes) if scopes else {},
            refusal_nrc=_refusal(node.require("refusal")),
            signed_passes=signed is not None and signed.choice(("judge", "pass")) == "pass",
        ),
        hold_ns=hold.read(read_duration) if hold else 0,
        answer_window_ns=_window_ns(window) if window else 1_000_000_000,
        pending_for_target=pending.boolean() if pending else True,
        unsolicited=_unsolicited(node.get("unsolicited")),
    )


def _unsolicited(node: Node | None) -> Unsolicited:
    match "learnt" if node is None else node.choice(("learnt", "always", "never")):
        case "always":
            return "always"
        case "never":
            return "never"
        case _:
            return "learnt"


def _window_ns(node: Node) -> int:
    window_ns = node.read(read_duration)
    if window_ns < MIN_WINDOW_NS:
        raise node.error(f"no answer would come in time: at least {MIN_WINDOW_NS // 1_000_000} ms")
    return window_ns


def _rule(node: Node) -> bytes:
    prefix = node.hex_bytes()
    if not prefix:
        raise node.error("a rule of no bytes would let everything through: name a service at least")
    return prefix


_shipped = lru_cache(maxsize=64)(_read_file)


def _refusal(node: Node) -> int | None:
    word = node.choice(("silence", *Nrc.__members__))
    return None if word == "silence" else int(Nrc[word])


def _scopes(node: Node) -> dict[int, Scope]:
    table = {}
    for key, entry in node.mapping().items():
        if not re.fullmatch("[0-9A-Fa-f]{2}", key):
            raise entry.error(f"expected a service in hex, as in 2E, got {key!r}")
        table[int(key, 16)] = SCOPES[entry.choice(tuple(SCOPES))]
    return table
