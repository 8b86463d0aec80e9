"""Reads ECU profiles from YAML. What is wrong is a `ConfigError` with file, line, key and a suggestion.

`extends: NAME` takes another file of the same folder as a base: mappings are merged key by key, everything else is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from ecu_sim.profile import (
    ACTIVE_SESSION,
    NO_SCOPE,
    Access,
    Did,
    Dtc,
    EcuProfile,
    Routine,
    SecurityLevel,
    ServiceRule,
    Timing,
)
from ecu_sim.services import SERVICES
from ecu_sim.unlock.certificate import CertificateOptions
from ecu_sim.unlock.sfd import SfdOptions
from ecu_sim.vehicle_state import CONDITIONS, SOURCES
from wire.durations import read_duration
from wire.frame import EXTENDED, EXTENDED_MASK, STANDARD_MASK
from wire.names import is_file, yaml_file
from wire.seed_key import ALGORITHMS
from wire.strict_yaml import Node, load
from wire.token import Role, Scope
from wire.uds import Nrc

FOLDER = Path(__file__).parent / "profiles"
MAX_EXTENDS = 5
"""A base of a base is fine; a longer chain is a loop."""

_ECU_KEYS = [
    "extends",
    "title",
    "address",
    "request_id",
    "response_id",
    "functional_ids",
    "padding",
    "sessions",
    "services",
    "dids",
    "routines",
    "dtcs",
    "security",
    "security_access",
    "timing",
    "gate",
    "locked_nrc",
    "busy",
    "max_dids",
    "max_answer_bytes",
]
_MS = 1_000_000
P2_RANGE_NS = (20 * _MS, 0xFFFF * _MS)
"""0x78 goes out 10 ms before P2 ends, and the session's answer holds P2 in 16 bits of milliseconds."""
P2_STAR_RANGE_NS = (20 * _MS, 0xFFFF * 10 * _MS)
"""As P2, in 16 bits of 10 ms."""
S3_MIN_NS = 100 * _MS
"""A shorter S3 ends a session before a tester can keep it; ISO 14229-2 has 5 s."""
DEFAULT_SESSION = 0x01
_HEX_KEY = re.compile(r"[0-9A-Fa-f]{1,8}")
_ACCESS_KEYS = ("sessions", "security", "scope", "conditions")
_GATES: Mapping[str, type[SfdOptions | CertificateOptions]] = {
    "sfd": SfdOptions,
    "certificate": CertificateOptions,
}
SCOPES = {str(scope.name).lower(): scope for scope in Scope}
NRCS = tuple(Nrc.__members__)
Options = TypeVar("Options")


def load_profile(name: str, folder: Path = FOLDER) -> EcuProfile:
    """Return a shipped profile (`vag/cluster`), or one from a file (`*.yaml`) of a folder. Raises `ConfigError`."""
    path = yaml_file("ECU profile", name, folder, FOLDER, "*/[!_]*.yaml")
    return _shipped(path) if path.is_relative_to(FOLDER) else _read_file(path)


def _read_file(path: Path) -> EcuProfile:
    return read_profile(_load_extended(path, 0), path.stem)


_shipped = lru_cache(maxsize=256)(_read_file)


def _load_extended(path: Path, depth: int) -> Node:
    node = load(path)
    extends = node.mapping(_ECU_KEYS).get("extends")
    if extends is None:
        return node
    if depth >= MAX_EXTENDS:
        raise extends.error("extends in a circle")
    base = extends.text()
    for folder in (path.parent, FOLDER):
        file = folder / (base if base.endswith(".yaml") else f"{base}.yaml")
        if is_file(file):
            return _merged(_load_extended(file, depth + 1), node)
    names = sorted(other.stem for other in path.parent.glob("*.yaml"))
    raise extends.error(
        f"no profile {base!r} to extend; in this folder there are: {', '.join(names)}; shipped ones are named as in 'vag/_base'"
    )


def _merged(base: Node, over: Node) -> Node:
    if not (isinstance(base.value, dict) and isinstance(over.value, dict)):
        return over
    entries = dict(base.value)
    for key, node in over.value.items():
        entries[key] = _merged(entries[key], node) if key in entries else node
    return Node(entries, over.path, over.line, over.key)


def read_profile(node: Node, name: str) -> EcuProfile:
    """Build a profile from a file's node."""
    node.mapping(_ECU_KEYS)
    sessions = _sessions(node.require("sessions"))
    security = {level.level: level for level in _each(node, "security", _security, 0x7D)}
    get = node.get
    functional, padding, timing, gate = get("functional_ids"), get("padding"), get("timing"), get("gate")
    nrc, busy, access = get("locked_nrc"), get("busy"), get("security_access")
    request_id, response_id = _can_id(node.require("request_id")), _can_id(node.require("response_id"))
    functional_ids = tuple(_can_id(item) for item in functional.items()) if functional else ()
    _check_identifiers(node)
    if DEFAULT_SESSION not in sessions:
        raise node.require("sessions").error("session 1, the default session, is always there: a unit starts in it")
    dids = {did.did: did for did in _each(node, "dids", _did, 0xFFFF)}
    _check_levels(node, security)
    _check_required(node, dids)
    return EcuProfile(
        name=name,
        title=node.require("title").text(),
        address=node.require("address").integer(0, 0xFFFF),
        request_id=request_id,
        response_id=response_id,
        functional_ids=functional_ids,
        services=_services(node.require("services")),
        sessions=sessions,
        dids=dids,
        routines={routine.rid: routine for routine in _each(node, "routines", _routine, 0xFFFF)},
        dtcs=tuple(_each(node, "dtcs", _dtc, 0xFF_FFFE)),
        security=security,
        security_access="after_grant" if access and access.choice(("none", "after_grant")) == "after_grant" else "none",
        timing=_timing(timing) if timing else Timing(),
        gate=_gate(gate) if gate else None,
        locked_nrc=_nrc(nrc) if nrc else Nrc.securityAccessDenied,
        busy="ignore" if busy and busy.choice(("refuse", "ignore")) == "ignore" else "refuse",
        max_dids=_number(get("max_dids"), 8, 1, 100),
        max_answer_bytes=_number(get("max_answer_bytes"), 4095, 8, 65_535),
        padding=None if padding is None or padding.value is None else padding.integer(0, 0xFF),
    )


def _check_identifiers(node: Node) -> None:
    """Refuse an identifier that stands twice: a unit would hear itself, or each request two times."""
    request, response, functional = node.require("request_id"), node.require("response_id"), node.get("functional_ids")
    seen = {_can_id(request): request}
    for entry in (response, *(functional.items() if functional else ())):
        can_id = _can_id(entry)
        other = seen.setdefault(can_id, entry)
        if other is not entry:
            place = entry if entry.path == node.path else other  # what stands in a base is right by itself
            raise place.error(
                f"request_id, response_id and functional_ids are all different; {can_id:#x} is {other.key} and {entry.key}"
            )


def _check_levels(node: Node, security: Mapping[int, SecurityLevel]) -> None:
    """Refuse an access that demands a 0x27 level which the unit does not have: nobody could ever meet it."""
    for table, keys in (("services", ("access",)), ("dids", ("read", "write")), ("routines", ("access",))):
        entries = node.get(table)
        for entry in entries.mapping().values() if entries else ():
            for key in keys:
                access = entry.value.get(key) if isinstance(entry.value, dict) else None
                level = access.value.get("security") if access and isinstance(access.value, dict) else None
                if level is not None and level.value not in security:
                    there = ", ".join(f"{number:02X}" for number in security) or "none"
                    raise level.error(f"no level {level.value:02X} under 'security'; there are: {there}")


def _check_required(node: Node, dids: Mapping[int, Did]) -> None:
    """Refuse a write that waits for another which the unit does not offer."""
    for did, entry in zip(dids.values(), node.require("dids").mapping().values() if dids else (), strict=True):
        for number, item in zip(did.requires_written, _items(entry.get("requires_written")), strict=True):
            if number not in dids:
                raise item.error(f"no identifier {number:04X} under 'dids'")
            if dids[number].write is None:
                raise item.error(f"identifier {number:04X} cannot be written: it has no 'write'")


def _items(node: Node | None) -> list[Node]:
    return node.items() if node else []


def _each(node: Node, key: str, reader: Any, high: int) -> list[Any]:
    """Read a mapping of hex-keyed entries, up to `high`, in the file's order."""
    entries = node.get(key)
    return [reader(entry, number) for number, entry in _hex_keyed(entries, high).items()] if entries else []


def _hex_keyed(node: Node, high: int) -> dict[int, Node]:
    entries: dict[int, Node] = {}
    for text, entry in node.mapping().items():
        number = int(text, 16) if _HEX_KEY.fullmatch(text) else -1
        if not 0 <= number <= high:
            raise entry.error(f"expected a key in hex from 0 to {high:X}, as in F190, got {text!r}")
        if number in entries:
            raise entry.error(f"{number:X} stands here twice, in different spelling")
        entries[number] = entry
    return entries


def _can_id(node: Node) -> int:
    can_id = node.integer(0, EXTENDED | EXTENDED_MASK)
    if STANDARD_MASK < can_id < EXTENDED:
        raise node.error(f"an identifier of 29 bits is written with bit 31 set: {can_id | EXTENDED:#x}")
    return can_id


def _timing(node: Node) -> Timing:
    timing = _options(node, Timing)
    for key, value_ns, (low_ns, high_ns) in (
        ("p2", timing.p2_ns, P2_RANGE_NS),
        ("p2_star", timing.p2_star_ns, P2_STAR_RANGE_NS),
    ):
        if not low_ns <= value_ns <= high_ns:
            raise node.require(key).error(f"expected a time from {low_ns // _MS} ms to {high_ns // _MS} ms")
    if timing.s3_ns < S3_MIN_NS:
        raise node.require("s3").error(
            f"expected a time from {S3_MIN_NS // _MS} ms: a session ends sooner than it is kept"
        )
    return timing


def _number(node: Node | None, default: int, low: int, high: int) -> int:
    return default if node is None else node.integer(low, high)


def _duration(node: Node | None) -> int:
    return 0 if node is None else node.read(read_duration)


def _sessions(node: Node) -> frozenset[int]:
    return frozenset(item.integer(1, 0x7F) for item in node.items())


def _nrc(node: Node) -> int:
    return int(Nrc[node.choice(NRCS)])


def _access(node: Node | None) -> Access:
    if node is None or node.value is None:
        return Access()
    node.mapping(_ACCESS_KEYS)
    sessions, security, scope, conditions = (node.get(key) for key in _ACCESS_KEYS)
    return Access(
        sessions=_sessions(sessions) if sessions else frozenset(),
        security=_level(security) if security else None,
        scope=SCOPES[scope.choice(tuple(SCOPES))] if scope else NO_SCOPE,
        conditions=tuple(item.choice(tuple(CONDITIONS)) for item in conditions.items()) if conditions else (),
    )


def _level(node: Node) -> int:
    level = node.integer(1, 0x7D)
    if level % 2 == 0:
        raise node.error(f"a level is named by its odd request number, not {level:02X}")
    return level


def _services(node: Node) -> dict[int, ServiceRule]:
    rules = {}
    for sid, entry in _hex_keyed(node, 0xFF).items():
        if sid not in SERVICES:
            raise entry.error(f"no service {sid:02X}; there are: {', '.join(f'{number:02X}' for number in SERVICES)}")
        if entry.value is None:
            rules[sid] = ServiceRule()
            continue
        entry.mapping(("access", "sub_functions", "work"))
        subs = entry.get("sub_functions")
        if subs is not None and SERVICES[sid].sub_functions is None:
            raise subs.error(f"service {sid:02X} offers no choice of sub-functions")
        access = entry.get("access")
        conditions = access.get("conditions") if access is not None and access.value is not None else None
        if conditions is not None and not SERVICES[sid].conditions:
            raise conditions.error(
                f"service {sid:02X} has no preconditions: they belong to its identifiers or routines"
            )
        rules[sid] = ServiceRule(
            access=_access(access),
            sub_functions=frozenset(item.integer(0, 0x7F) for item in subs.items()) if subs else frozenset(),
            work_ns=_duration(entry.get("work")),
        )
    return rules


def _did(node: Node, number: int) -> Did:
    node.mapping(("name", "text", "hex", "source", "read", "write", "requires_written", "work"))
    text, raw, source = node.get("text"), node.get("hex"), node.get("source")
    if sum(part is not None for part in (text, raw, source)) != 1:
        raise node.error("a data identifier has exactly one of text, hex, source")
    if text is not None:
        if not text.text().isascii():
            raise text.error("expected ASCII text; write other bytes as hex")
        value = text.text().encode("ascii")
    else:
        value = raw.hex_bytes() if raw is not None else b""
    read, write, requires, name = node.get("read"), node.get("write"), node.get("requires_written"), node.get("name")
    if source is not None and write is not None:
        raise write.error("a measured value (source) cannot be written")
    return Did(
        did=number,
        name=name.text() if name else "",
        value=value,
        source=source.choice((*SOURCES, ACTIVE_SESSION)) if source else None,
        read=None if read is not None and read.value == "never" else _access(read),
        write=_access(write) if write is not None else None,
        requires_written=tuple(item.integer(0, 0xFFFF) for item in requires.items()) if requires else (),
        work_ns=_duration(node.get("work")),
    )


def _routine(node: Node, number: int) -> Routine:
    node.mapping(("name", "access", "option_len", "duration", "stoppable", "result", "work"))
    name, stoppable, result = node.get("name"), node.get("stoppable"), node.get("result")
    return Routine(
        rid=number,
        name=name.text() if name else "",
        access=_access(node.get("access")),
        option_len=_number(node.get("option_len"), 0, 0, 4000),
        duration_ns=_duration(node.get("duration")),
        stoppable=stoppable.boolean() if stoppable else False,
        result=result.hex_bytes() if result else b"\x00",
        work_ns=_duration(node.get("work")),
    )


def _dtc(node: Node, code: int) -> Dtc:
    node.mapping(("name", "status", "stays"))
    name, stays = node.get("name"), node.get("stays")
    return Dtc(
        code=code,
        status=node.require("status").integer(0, 0xFF),
        name=name.text() if name else "",
        stays=stays.boolean() if stays else False,
    )


def _security(node: Node, level: int) -> SecurityLevel:
    node.mapping(("algorithm", "secret", "seed_len", "attempts", "delay", "sessions"))
    if level % 2 == 0:
        raise node.error(f"a level is named by its odd request number, not {level:02X}")
    sessions, delay = node.get("sessions"), node.get("delay")
    return SecurityLevel(
        level=level,
        algorithm=node.require("algorithm").choice(tuple(ALGORITHMS)),
        secret=node.require("secret").hex_bytes(),
        seed_len=_number(node.get("seed_len"), 8, 2, 32),
        attempts=_number(node.get("attempts"), 3, 1, 255),
        delay_ns=delay.read(read_duration) if delay else 10_000_000_000,
        sessions=_sessions(sessions) if sessions else frozenset((0x03,)),
    )


def _gate(node: Node) -> SfdOptions | CertificateOptions:
    scheme = node.require("scheme").choice(tuple(_GATES))
    refusal = node.get("refusal_nrc")
    if refusal is not None:
        raise refusal.error("the unit's own locked_nrc says this, for the lock as well")
    rest = {key: entry for key, entry in node.mapping().items() if key != "scheme"}
    options = _options(Node(rest, node.path, node.line, node.key), _GATES[scheme])
    for name in ("max_duration_min", "nonce_lifetime_ns", "challenge_lifetime_ns"):
        if getattr(options, name, None) == 0:
            raise rest[name.removesuffix("_ns")].error("a lock with 0 here can never be opened")
    return options


def _options(node: Node, kind: type[Options]) -> Options:
    """Build an options dataclass from a mapping: a field that ends in `_ns` takes a duration under its name without."""
    names = {field.name.removesuffix("_ns"): field for field in fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, entry in node.mapping(tuple(names)).items():
        field = names[key]
        if field.name.endswith("_ns"):
            values[field.name] = entry.read(read_duration)
        elif field.type == "bool":
            values[field.name] = entry.boolean()
        elif field.name == "min_role":
            values[field.name] = entry.integer(min(Role), max(Role))
        else:
            values[field.name] = entry.integer(0, 0xFFFF)
    return kind(**values)
