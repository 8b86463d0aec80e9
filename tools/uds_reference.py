"""Tables of docs/uds.md that are made from the code: order of refusal, sub-functions by edition, response codes by service."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ecu_sim.order import ACCESS, ARRIVAL, ORDER, SERVICE_KNOWN, WITH_SUB_FUNCTION, Row
from ecu_sim.profile import EcuProfile, SecurityLevel, ServiceRule
from ecu_sim.server import UdsServer
from ecu_sim.service_options import CommunicationOptions, PeriodicOptions
from ecu_sim.services import SERVICES
from ecu_sim.services.request import Request
from ecu_sim.unlock import challenge_response as acr
from ecu_sim.unlock.certificate import PROOF_CHECKS, SHOWN_CHECKS
from ecu_sim.unlock.certificate_checks import CERTIFICATE_CHECKS
from ecu_sim.unlock.exchanges import FAULT_NRCS
from ecu_sim.unlock.sfd import TOKEN_CHECKS
from ecu_sim.vehicle_state import CONDITIONS, VehicleState
from wire.entropy import SeededEntropy
from wire.uds import Nrc, Service, Session, nrc_name
from wire.uds_names import SUB_FUNCTIONS

Table = Callable[[Sequence[str], Iterable[Sequence[object]]], str]
EDITIONS = (2013, 2020)
MADE_BY_THE_LOCK = 0x29
"""Its sub-functions are those of the lock's scheme: here, all that the schemes know."""
ROUTINE_TASKS = range(1, 4)
FIRST_PARAMETERS: Mapping[int, str] = {0x2A: "transmission mode", 0x38: "mode known"}
"""Services without a sub-function whose first parameter works like one, and the row that asks for it."""
STORE = 0x40
"""ResponseOnEvent's storage bit is part of its sub-function."""
LONGEST = 12
"""Of a probe: no mode needs more bytes before it is asked for."""


class _Seen:
    """A vehicle of which every value is the same."""

    def __init__(self, value: float | None) -> None:
        self._value = value

    def read(self, value: str, now_ns: int) -> float | None:  # noqa: ARG002 - the protocol of a vehicle
        return self._value


def condition_nrcs() -> frozenset[int]:
    """Return what preconditions can answer: each of them asked of vehicles that are off, on, and not known."""
    seen = [_Seen(value) for value in (None, 0, 1, 100_000)]
    return frozenset(nrc for holds in CONDITIONS.values() for one in seen if (nrc := holds(one, 0)))


def conditions(table: Table) -> str:
    """Return the preconditions that a profile may name, and what they answer where they do not hold."""
    seen = [_Seen(value) for value in (0, 1, 100_000)]
    rows = []
    for name, holds in CONDITIONS.items():
        codes = sorted(frozenset(nrc for one in seen if (nrc := holds(one, 0))))
        rows.append((f"`{name}`", " or ".join(map(nrc_name, codes))))
    return table(("condition", "else"), rows)


LOCK = "`locked_nrc`"
CONDITION = "22 or C"
SEVERAL: Mapping[str, tuple[str, frozenset[int]]] = {
    "service released": (LOCK, frozenset()),
    "object released": (LOCK, frozenset()),
    "session released": (LOCK, frozenset()),
    "level released": (LOCK, frozenset()),
    "service conditions": (CONDITION, condition_nrcs()),
    "object conditions": (CONDITION, condition_nrcs()),
    "session conditions": (CONDITION, condition_nrcs()),
    "programming conditions": ("22 or C", condition_nrcs() | {Nrc.conditionsNotCorrect}),
    "no transfer runs": ("22 or 70", frozenset((Nrc.conditionsNotCorrect, Nrc.uploadDownloadNotAccepted))),
    "key right": ("35 or 36", frozenset((Nrc.invalidKey, Nrc.exceedNumberOfAttempts))),
}
"""Rows that say by themselves which code it is: how the page puts it, and which there are (the lock's is the profile's)."""
LOCKS_OWN = frozenset((Nrc.securityAccessDenied, Nrc.authenticationRequired))
"""What the shipped profiles have as `locked_nrc`; any other may stand there."""
BEYOND: Mapping[int, frozenset[int]] = {
    0x29: frozenset(
        {
            Nrc.certificateVerificationFailedInvalidFormat,
            *FAULT_NRCS.values(),
            *(
                nrc
                for checks in (CERTIFICATE_CHECKS, SHOWN_CHECKS, PROOF_CHECKS, acr.CHALLENGE_CHECKS, acr.PROOF_CHECKS)
                for _, nrc, _ in checks
            ),
        }
    ),
    0x31: frozenset(nrc for _, nrc, _ in TOKEN_CHECKS),
}
"""What a lock answers by itself, behind the last row: a certificate, a proof, a token."""


def service_name(sid: int) -> str:
    """Return `10 DiagnosticSessionControl`."""
    return f"{sid:02X} {Service(sid).name}"


# ---- the order of refusal

GROUPS: Mapping[str, tuple[Row, ...]] = {
    "arrival": ARRIVAL,
    "sub-function": WITH_SUB_FUNCTION[len(ARRIVAL) :],
    "objects": ACCESS[1:-1],
}
"""Rows that stand together in many ladders, and what the page calls them."""


def _row(row: Row) -> str:
    nrc = SEVERAL[row.check][0] if row.nrc is None else f"{row.nrc:02X}"
    marks = "".join(mark for mark, is_so in (("again", row.again), (" late", row.late)) if is_so)
    return f"{row.check} **{nrc}** {', '.join(filter(None, (row.source, marks.strip())))}"


def order_groups(table: Table) -> str:
    """Return the rows that stand together."""
    return table(
        ("group", "asked, one after the other"), ((f"*{name}*", _joined(rows)) for name, rows in GROUPS.items())
    )


def _joined(rows: Sequence[Row]) -> str:
    return "; ".join(map(_row, rows))


def _with_groups(rows: Sequence[Row]) -> Iterator[str]:
    at = 0
    while at < len(rows):
        name = next((name for name, group in GROUPS.items() if tuple(rows[at : at + len(group)]) == group), None)
        yield _row(rows[at]) if name is None else f"*{name}*"
        at += 1 if name is None else len(GROUPS[name])


def order(table: Table) -> str:
    """Return the order of refusal: a line for each service."""
    rows = ((service_name(sid), "; ".join(_with_groups(rows))) for sid, rows in sorted(ORDER.items()))
    return table(("service", "asked, one after the other"), rows)


# ---- sub-functions


def full_profile(edition: int) -> EcuProfile:
    """Return a unit with every service and whatever makes sub-functions appear."""
    profile = EcuProfile(
        name="full",
        title="a unit with everything",
        address=1,
        request_id=0x7E0,
        response_id=0x7E8,
        functional_ids=(0x7DF,),
        services=dict.fromkeys(SERVICES, ServiceRule()),
        sessions=frozenset(Session),
        dids={},
        routines={},
        security={1: SecurityLevel(level=1, algorithm="hmac-sha256-8", secret=bytes(16))},
        communication=CommunicationOptions(nodes=frozenset((1,))),
        periodic=PeriodicOptions(),
        power_down_s=1,
    )
    return replace(profile, edition=2013 if edition == EDITIONS[0] else 2020)


def offered(sid: int, edition: int) -> frozenset[int]:
    """Return the sub-functions, or first parameters that work like them, which a full unit of an edition has."""
    if sid == MADE_BY_THE_LOCK:
        return frozenset(SUB_FUNCTIONS[sid])
    server = UdsServer(full_profile(edition), entropy=SeededEntropy(random.Random(0)), vehicle=VehicleState())
    known = SERVICES[sid].sub_functions
    if known is not None:
        return known(server)
    if sid in FIRST_PARAMETERS:
        unknown = SERVICES[sid].checks[FIRST_PARAMETERS[sid]]
        numbers = range(0x100)
        probes = {number: Request(bytes((sid, number)) + bytes(LONGEST), False, 0) for number in numbers}  # noqa: FBT003
        return frozenset(number for number, probe in probes.items() if not unknown(server, probe))
    return frozenset(SUB_FUNCTIONS.get(sid, ()))


def sub_function_name(sid: int, number: int) -> str:
    """Return the standard's name, or none."""
    names = SUB_FUNCTIONS[sid]
    if sid == Service.ResponseOnEvent and number & STORE:
        return f"{names[number & ~STORE]}, stored"
    return names.get(number, "")


def _named(sid: int, numbers: Iterable[int]) -> str:
    return ", ".join(f"`{number:02X}` {sub_function_name(sid, number)}" for number in sorted(numbers))


def sub_functions(table: Table) -> str:
    """Return the sub-functions of a full unit: those of both editions, and those of one alone."""
    rows = []
    for sid in sorted(SERVICES):
        before, now = (offered(sid, edition) for edition in EDITIONS)
        if before | now:
            rows.append(
                (service_name(sid), _named(sid, before & now), _named(sid, before - now), _named(sid, now - before))
            )
    return table(("service", "both editions", "2013 alone", "2020 alone"), rows)


# ---- response codes


def nrcs(sid: int) -> frozenset[int]:
    """Return the response codes that a unit can answer a service with, the server's own (busy, too long, pending) left out."""
    found: set[int] = set(BEYOND.get(sid, ()))
    for row in ORDER[sid]:
        if row.nrc is not None:
            found.add(row.nrc)
        else:
            words, codes = SEVERAL[row.check]
            found |= LOCKS_OWN if words == LOCK else codes
    return frozenset(found)


def response_codes(table: Table) -> str:
    """Return the response codes of each service; C stands for those of preconditions."""
    usual, conditions = {SERVICE_KNOWN.nrc}, condition_nrcs() - {Nrc.conditionsNotCorrect}
    rows = []
    for sid in sorted(ORDER):
        found = nrcs(sid)
        codes = [f"{nrc:02X}" for nrc in sorted(found - usual - conditions)]
        rows.append((service_name(sid), " ".join([*codes, *(["C"] if conditions <= found else [])])))
    return table(("service", "response codes"), rows)


def response_code_names(table: Table) -> str:
    """Return the names of all response codes that can come, and the services they come from."""
    codes = sorted(frozenset().union(*(nrcs(sid) for sid in ORDER)))
    rows = []
    for nrc in codes:
        services = [f"{sid:02X}" for sid in sorted(ORDER) if nrc in nrcs(sid)]
        rows.append((nrc_name(nrc), "every service" if len(services) == len(ORDER) else " ".join(services)))
    return table(("response code", "from"), rows)


TABLES: Mapping[str, Callable[[Table], str]] = {
    "uds-order-groups": order_groups,
    "uds-order": order,
    "uds-conditions": conditions,
    "uds-sub-functions": sub_functions,
    "uds-response-codes": response_codes,
    "uds-response-code-names": response_code_names,
}
