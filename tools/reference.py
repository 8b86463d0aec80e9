"""Renew the tables in docs/ that are made from the code's own tables: `make docs`. With `--check`: only say what is stale."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools"), str(ROOT / "tests" / "support")]

from asvs_table import CHAPTERS, Requirement, requirements  # noqa: E402
from diagrams import DIAGRAMS, table  # noqa: E402
from uds_reference import TABLES as UDS_TABLES  # noqa: E402

from ecu_sim.dtc_monitors import HIGH_SUPPLY_MV, LOW_SUPPLY_MV, MONITORS  # noqa: E402
from ecu_sim.dtc_status import TRANSITIONS as STATUS_TRANSITIONS  # noqa: E402
from ecu_sim.dtc_status import StatusBit  # noqa: E402
from ecu_sim.order import ORDER  # noqa: E402
from ecu_sim.restbus.sources import SIGNAL_SOURCES  # noqa: E402
from ecu_sim.services.read_dtc import REPORTS  # noqa: E402
from ecu_sim.unlock import challenge_response as acr  # noqa: E402
from ecu_sim.unlock.certificate import PROOF_CHECKS, SHOWN_CHECKS, CertificateOptions  # noqa: E402
from ecu_sim.unlock.certificate_checks import CERTIFICATE_CHECKS  # noqa: E402
from ecu_sim.unlock.exchanges import FAULT_NRCS  # noqa: E402
from ecu_sim.unlock.sfd import TOKEN_CHECKS, SfdOptions  # noqa: E402
from ecu_sim.unlock.sfd2 import CHANGE_CHECKS  # noqa: E402
from ecu_sim.unlock.signed_seed import SignedSeedOptions  # noqa: E402
from scenarios.expectation import KEYS, KINDS  # noqa: E402
from scenarios.strategy import STATES  # noqa: E402
from scenarios.verbs import VERBS, Param, Verb  # noqa: E402
from sgw_sim.arming import TRANSITIONS  # noqa: E402
from sgw_sim.profile import FOLDER, load_gateway  # noqa: E402
from wire.portal_control import CONTROL_ROUTES  # noqa: E402
from wire.portal_routes import ROUTES, Route  # noqa: E402
from wire.uds import nrc_name  # noqa: E402

MARK = re.compile(r"(<!-- made from the code: ([a-z0-9-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def _parameter(param: Param) -> str:
    must = "" if param.required else " (optional)" if param.default is None else f" (`{_shown(param.default)}`)"
    return f"`{param.name}`{must}: {param.doc}"


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def verbs() -> str:
    """Return every verb with its parameters."""

    def row(verb: Verb) -> tuple[str, str, str]:
        return f"`{verb.name}`", verb.doc, "<br>".join(map(_parameter, verb.params)) or "none"

    return table(("verb", "what it does", "parameters (what holds when left out)"), map(row, VERBS.values()))


def portal_routes(routes: Iterable[Route] = ROUTES) -> str:
    """Return every route of the portal's API, with what its message says of itself."""

    def row(route: Route) -> tuple[str, str]:
        doc = " ".join((route.message.__doc__ or "").split())
        return f"`{route.method} {route.path}`", doc.replace("|", "\\|")

    return table(("request", "what it does"), map(row, routes))


def expectations() -> str:
    """Return every key of an expectation."""
    short = [(f"`{name}`", "`true`, or the word alone") for name in KINDS]
    return table(("key", "value"), [*short, *((f"`{key}`", kind.name) for key, kind in KEYS.items())])


def states() -> str:
    """Return the states that `reach` knows."""
    return ", ".join(f"`{state}`" for state in STATES) + "\n"


def _checks(rows: Iterable[tuple[str, int, object]]) -> str:
    return table(("refused because of", "answer"), ((reason, nrc_name(nrc)) for reason, nrc, _ in rows))


def token_checks() -> str:
    """Return the order in which a token is verified."""
    return _checks(TOKEN_CHECKS)


def certificate_checks() -> str:
    """Return the order in which a certificate is verified."""
    return _checks(CERTIFICATE_CHECKS)


def seed_and_key() -> str:
    """Return the order in which SecurityAccess refuses, at a level that is the lock as at any other."""
    several = {
        "service released": "the unit's `locked_nrc`",
        "level released": "the unit's `locked_nrc`; the lock's own level needs no grant",
        "key right": "0x35 invalidKey, and 0x36 exceedNumberOfAttempts for the one that reaches the limit",
    }
    rows = ((row.check, nrc_name(row.nrc) if row.nrc else several[row.check]) for row in ORDER[0x27])
    return table(("asked", "else the answer is"), rows)


def exchange_checks() -> str:
    """Return what verifyCertificate and proofOfOwnership ask besides the certificate."""
    return _checks((*SHOWN_CHECKS, *PROOF_CHECKS))


def response_checks() -> str:
    """Return what challenge-response asks, request and proof."""
    return _checks((*acr.CHALLENGE_CHECKS, *acr.PROOF_CHECKS))


def gate_faults() -> str:
    """Return what a unit can be told to fail at."""
    return table(("`fails`", "answer"), ((f"`{fault}`", nrc_name(nrc)) for fault, nrc in FAULT_NRCS.items()))


def change_checks() -> str:
    """Return the order in which a signed change is verified."""
    return table(("refused because of",), ((reason,) for reason, _ in CHANGE_CHECKS))


def fates() -> str:
    """Return what keeps and what ends a grant, for all schemes."""
    schemes = {
        "SFD": SfdOptions(),
        "certificate": CertificateOptions(),
        "signed seed": SignedSeedOptions(),
        "challenge-response": acr.ChallengeResponseOptions(),
    }
    tables = [options.fates() for options in schemes.values()]
    rows = ((event.value, *(fates[event].value for fates in tables)) for event in tables[0])
    return table(("event", *schemes), rows)


def arming() -> str:
    """Return the transitions of J533's filter."""
    rows = ((state.value, event.value, after.value) for (state, event), after in TRANSITIONS.items())
    return table(("the filter is", "what happens", "then it is"), rows)


def gateways() -> str:
    """Return what each shipped gateway lets through while it is locked."""
    rows = []
    for profile in (load_gateway(path.stem) for path in sorted(FOLDER.glob("*.yaml"))):
        policy = profile.policy
        refusal = "silence" if policy.refusal_nrc is None else nrc_name(policy.refusal_nrc)
        allowed = ", ".join(f"`{prefix.hex(' ').upper()}`" for prefix in policy.allowed)
        released = ", ".join(f"`{sid:02X}` {str(scope.name).lower()}" for sid, scope in sorted(policy.scopes.items()))
        rows.append((f"`{profile.name}`", profile.lock, allowed, released or "nothing: the filter disarms", refusal))
    return table(("profile", "opened by", "always passes", "passes with a grant's scope", "the rest gets"), rows)


def signal_sources() -> str:
    """Return what may feed a signal of a rest bus."""
    return "Sources: " + ", ".join(f"`{name}`" for name in SIGNAL_SOURCES) + "\n"


def dtc_status() -> str:
    """Return what moves the bits of a trouble code's status byte: a row for each happening, a column for each bit."""
    bits = list(StatusBit)
    rows = []
    for happening in dict.fromkeys(row.happening for row in STATUS_TRANSITIONS):
        moved = {row.bit: row for row in STATUS_TRANSITIONS if row.happening is happening}
        sources = dict.fromkeys(row.source for row in moved.values())
        cells = (str(moved[bit].value) if bit in moved else "" for bit in bits)
        rows.append((happening.value, *cells, "; ".join(sources)))
    names = (f"{number} {bit.name}" for number, bit in enumerate(bits))
    return table(("what happens", *names, "source"), rows)


def dtc_reports() -> str:
    """Return the reports of ReadDTCInformation."""
    editions = {(2013, 2020): "both", (2013,): "2013", (2020,): "2020"}
    rows = (
        (f"`{number:02X}`", report.name, ", ".join(report.fields) or "nothing", editions[report.editions])
        for number, report in REPORTS.items()
    )
    return table(("0x19", "report", "the request holds", "edition"), rows)


def dtc_monitors() -> str:
    """Return the faults that a unit sees by itself."""
    limits = {"supply-voltage-low": f"below {LOW_SUPPLY_MV} mV", "supply-voltage-high": f"above {HIGH_SUPPLY_MV} mV"}
    return table(("monitor", "fails"), ((f"`{name}`", limits.get(name, "while it is so")) for name in MONITORS))


def asvs() -> str:
    """Return the requirements of OWASP ASVS, chapter by chapter."""

    def how(row: Requirement) -> str:
        tests = (f"`{test.removeprefix('../')}`" for test in row.shown)
        return "<br>".join([*filter(None, [row.explained]), *tests])

    rows = requirements()
    shown = sum(1 for row in rows if row.shown)
    parts = [f"{len(rows)} requirements: {shown} shown by tests, {len(rows) - shown} explained.\n"]
    for chapter, name in CHAPTERS.items():
        own = [(row.number, row.asks, how(row)) for row in rows if row.number.startswith(f"{chapter}.")]
        parts.append(f"\n### {chapter} {name}\n\n{table(('number', 'what it asks for', 'how it is met'), own)}")
    return "".join(parts)


TABLES: dict[str, Callable[[], str]] = {
    "verbs": verbs,
    "expectations": expectations,
    "states": states,
    "portal-routes": portal_routes,
    "control-routes": partial(portal_routes, CONTROL_ROUTES),
    "token-checks": token_checks,
    "certificate-checks": certificate_checks,
    "seed-and-key": seed_and_key,
    "exchange-checks": exchange_checks,
    "response-checks": response_checks,
    "gate-faults": gate_faults,
    "change-checks": change_checks,
    "fates": fates,
    "arming": arming,
    "gateways": gateways,
    "signal-sources": signal_sources,
    "dtc-status": dtc_status,
    "dtc-reports": dtc_reports,
    "dtc-monitors": dtc_monitors,
    "asvs": asvs,
    **DIAGRAMS,
    **{name: partial(made, table) for name, made in UDS_TABLES.items()},
}


def renewed(text: str) -> str:
    """Return a document with its tables made anew."""
    return MARK.sub(lambda found: found[1] + TABLES[found[2]]() + found[3], text)


def main() -> int:
    """Renew, or check; return the exit status."""
    stale = 0
    for document in sorted((ROOT / "docs").glob("*.md")):
        text = document.read_text()
        new = renewed(text)
        if new == text:
            continue
        stale += 1
        if "--check" in sys.argv:
            print(f"{document.relative_to(ROOT)} is stale: make docs")
        else:
            document.write_text(new)
            print(f"renewed {document.relative_to(ROOT)}")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
