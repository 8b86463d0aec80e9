"""The ways into each lock, as tables: where it is x what is done -> where it goes, and the NRCs with which it may answer.

They stand for what the schemes' code does, request by request; a test walks every row against the real lock, and docs/machines.md
is drawn from them. What ends a grant by itself stands in the schemes' own tables of fates, what voids an outstanding request in
their `VOIDS_...`; the locks run on these, and `Scheme.after` reads them.

How a lock gives a chance away differs on purpose (our own choice): SFD's request survives a refused token, because the manual way
takes hours and 128 bits are not guessed; a challenge and a seed serve for one try.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ecu_sim.unlock import certificate as apce
from ecu_sim.unlock import challenge_response as acr
from ecu_sim.unlock.certificate_checks import CERTIFICATE_CHECKS
from ecu_sim.unlock.exchanges import VOIDS_CHALLENGE
from ecu_sim.unlock.gate import Fate, FateTable, GateEvent
from ecu_sim.unlock.sfd import TOKEN_CHECKS, SfdOptions
from ecu_sim.unlock.sfd import VOIDS_REQUEST as SFD_VOIDS
from ecu_sim.unlock.sfd2 import VOIDS_REQUEST as SFD2_VOIDS
from ecu_sim.unlock.signed_seed import VOIDS_SEED, SignedSeedOptions
from wire.uds import Nrc


class At(StrEnum):
    """Where a lock is. "Asked": a request, challenge or seed of its own waits for what fits it."""

    LOCKED = "locked"
    ASKED = "asked"
    DELAY = "delay"
    OPEN = "open"
    OPEN_ASKED = "open, asked again"


class Does(StrEnum):
    """What the tester does, or lets happen. Each scheme has its own words for it (`Scheme.words`)."""

    ASKS = "asks"
    ASKS_WRONG = "asks wrong"
    PROVES = "proves"
    PROVES_WRONG = "proves wrong"
    PROVES_WRONG_AT_LAST = "proves wrong, which reaches the limit"
    PROVES_UNREADABLY = "proves unreadably"
    BRINGS_TOKEN = "brings a token"  # noqa: S105 - a label  # nosec B105
    WIDENS = "widens"
    WIDENS_WRONG = "widens wrong"
    LOCKS = "locks"
    IS_LATE = "is late"
    SITS_DELAY_OUT = "sits the delay out"
    IS_SERVED = "is served"


@dataclass(frozen=True, slots=True)
class Way:
    """Where it leads. `nrcs`: one of them is answered; empty: the answer is positive, or there is none to give."""

    to: At
    nrcs: frozenset[int] = frozenset()


Ways = Mapping[At, Mapping[Does, Way]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """One scheme's machine. `asked`: its word for that state. `never`: events that it does not know.

    `fates` is empty for a lock that is never left open.
    """

    title: str
    asked: str
    words: Mapping[Does, str]
    ways: Ways
    fates: FateTable
    voids: frozenset[GateEvent]
    never: frozenset[GateEvent]

    def after(self, at: At, event: GateEvent) -> At:
        """Return where an event leads, by the tables on which the lock runs."""
        if at is At.DELAY:
            return at
        asked = at in (At.ASKED, At.OPEN_ASKED) and event not in self.voids
        if at in (At.OPEN, At.OPEN_ASKED) and self.fates[event] is Fate.KEPT:
            return At.OPEN_ASKED if asked else At.OPEN
        return At.ASKED if asked else At.LOCKED


def _to(at: At, *nrcs: int | Iterable[int]) -> Way:
    return Way(at, frozenset(nrc for one in nrcs for nrc in ((one,) if isinstance(one, int) else one)))


def _nrcs(checks: Iterable[tuple[str, int, Any]]) -> frozenset[int]:
    return frozenset(nrc for _, nrc, _ in checks)


_LENGTH = Nrc.incorrectMessageLengthOrInvalidFormat
_SEQUENCE = Nrc.requestSequenceError
_FORMAT = Nrc.certificateVerificationFailedInvalidFormat
LOCKED, ASKED, OPEN, OPEN_ASKED, DELAY = At.LOCKED, At.ASKED, At.OPEN, At.OPEN_ASKED, At.DELAY

# ---- SFD

TOKEN_NRCS = _nrcs(TOKEN_CHECKS)


def _sfd(at: At, *, asked: At, proven: Way, locked: At) -> dict[Does, Way]:
    """Return the ways from one state. No refusal moves it."""
    return {
        Does.ASKS: _to(asked),
        Does.ASKS_WRONG: _to(at, _LENGTH),
        Does.PROVES: proven,
        Does.PROVES_WRONG: _to(at, TOKEN_NRCS),
        Does.PROVES_UNREADABLY: _to(at, _FORMAT),
        Does.LOCKS: _to(locked),
    }


SFD = Scheme(
    title="SFD",
    asked="requested",
    words={
        Does.ASKS: "request",
        Does.ASKS_WRONG: "request with an option",
        Does.PROVES: "token for the request",
        Does.PROVES_WRONG: "token refused",
        Does.PROVES_UNREADABLY: "unreadable token",
        Does.LOCKS: "lock command",
        Does.IS_LATE: "request too old",
    },
    ways={
        LOCKED: _sfd(LOCKED, asked=ASKED, proven=_to(LOCKED, _SEQUENCE), locked=LOCKED),
        ASKED: {**_sfd(ASKED, asked=ASKED, proven=_to(OPEN), locked=ASKED), Does.IS_LATE: _to(LOCKED)},
        OPEN: _sfd(OPEN, asked=OPEN_ASKED, proven=_to(OPEN, _SEQUENCE), locked=LOCKED),
        OPEN_ASKED: {**_sfd(OPEN_ASKED, asked=OPEN_ASKED, proven=_to(OPEN), locked=ASKED), Does.IS_LATE: _to(OPEN)},
    },
    fates=SfdOptions().fates(),
    voids=SFD_VOIDS,
    never=frozenset((GateEvent.DE_AUTHENTICATE,)),
)
"""The lock command leaves an outstanding request standing: it speaks of the grant."""

# ---- SFD2


def _sfd2(at: At, proven: Way) -> dict[Does, Way]:
    return {
        Does.ASKS: _to(ASKED),
        Does.ASKS_WRONG: _to(at, _LENGTH, Nrc.conditionsNotCorrect),
        Does.PROVES: proven,
        Does.PROVES_WRONG: _to(at, Nrc.secureDataVerificationFailed, Nrc.secureDataTransmissionNotAllowed),
        Does.PROVES_UNREADABLY: _to(at, _LENGTH),
        Does.BRINGS_TOKEN: _to(at, _FORMAT, Nrc.certificateVerificationFailedInvalidType),
        Does.LOCKS: _to(LOCKED),
    }


SFD2 = Scheme(
    title="SFD2",
    asked="requested",
    words={
        Does.ASKS: "request",
        Does.ASKS_WRONG: "request with an option, or counter used up",
        Does.PROVES: "change for the request",
        Does.PROVES_WRONG: "change refused",
        Does.PROVES_UNREADABLY: "unreadable change",
        Does.BRINGS_TOKEN: "token",
        Does.LOCKS: "lock command",
        Does.IS_LATE: "request too old",
        Does.IS_SERVED: "inner request served or refused",
    },
    ways={
        LOCKED: _sfd2(LOCKED, _to(LOCKED, Nrc.secureDataVerificationFailed)),
        ASKED: {**_sfd2(ASKED, _to(OPEN)), Does.IS_LATE: _to(LOCKED)},
        OPEN: {Does.IS_SERVED: _to(LOCKED)},
    },
    fates={},
    voids=SFD2_VOIDS,
    never=frozenset((GateEvent.DE_AUTHENTICATE, GateEvent.EXPIRY)),
)
"""Open takes no time: nothing else can happen there."""

# ---- both kinds of Authentication 0x29

CERTIFICATE_NRCS = _nrcs(CERTIFICATE_CHECKS)
SHOWN_NRCS = _nrcs(apce.SHOWN_CHECKS) | CERTIFICATE_NRCS | {_LENGTH, _FORMAT, Nrc.challengeCalculationFailed}
RIGHTS_NRCS = frozenset((Nrc.sessionKeyCreationDerivationFailed, Nrc.settingAccessRightsFailed))
OWNED_NRCS = frozenset((Nrc.ownershipVerificationFailed,)) | CERTIFICATE_NRCS | RIGHTS_NRCS
WIDENED_NRCS = CERTIFICATE_NRCS | {
    _LENGTH,
    _FORMAT,
    Nrc.requestOutOfRange,
    Nrc.ownershipVerificationFailed,
    Nrc.settingAccessRightsFailed,
}
ASKED_NRCS = _nrcs(acr.CHALLENGE_CHECKS) | {_LENGTH, Nrc.challengeCalculationFailed}
PROVEN_NRCS = (_nrcs(acr.PROOF_CHECKS) | RIGHTS_NRCS) - {_LENGTH}


def _authentication(ask_nrcs: frozenset[int], proof_nrcs: frozenset[int]) -> dict[At, dict[Does, Way]]:
    """Return the ways of 0x29. Whatever is asked or proved, the challenge before it is void; no refusal touches a grant."""
    nobody = _to(LOCKED, Nrc.deAuthenticationFailed)
    ways: dict[At, dict[Does, Way]] = {}
    for at, asked, fallen in ((LOCKED, ASKED, LOCKED), (OPEN, OPEN_ASKED, OPEN)):
        ways[at] = {
            Does.ASKS: _to(asked),
            Does.ASKS_WRONG: _to(fallen, ask_nrcs),
            Does.PROVES: _to(at, _SEQUENCE),
            Does.PROVES_WRONG: _to(at, _SEQUENCE),
            Does.PROVES_UNREADABLY: _to(at, _LENGTH),
            Does.LOCKS: nobody if at is LOCKED else _to(LOCKED),
        }
        ways[asked] = {
            Does.ASKS: _to(asked),
            Does.ASKS_WRONG: _to(fallen, ask_nrcs),
            Does.PROVES: _to(OPEN),
            Does.PROVES_WRONG: _to(fallen, proof_nrcs),
            Does.PROVES_UNREADABLY: _to(fallen, _LENGTH),
            Does.LOCKS: _to(ASKED, nobody.nrcs) if at is LOCKED else _to(LOCKED),
            Does.IS_LATE: _to(fallen),
        }
    return ways


def _widening(ways: Mapping[At, Mapping[Does, Way]]) -> Ways:
    """Add transmitCertificate, which moves nothing."""
    return {
        at: {
            **row,
            Does.WIDENS: _to(at) if at in (OPEN, OPEN_ASKED) else _to(at, Nrc.authenticationRequired),
            Does.WIDENS_WRONG: _to(at, WIDENED_NRCS)
            if at in (OPEN, OPEN_ASKED)
            else _to(at, Nrc.authenticationRequired),
        }
        for at, row in ways.items()
    }


CERTIFICATE = Scheme(
    title="Certificate (0x29, APCE)",
    asked="challenged",
    words={
        Does.ASKS: "verifyCertificate",
        Does.ASKS_WRONG: "certificate refused",
        Does.PROVES: "proof of ownership",
        Does.PROVES_WRONG: "proof refused",
        Does.PROVES_UNREADABLY: "unreadable proof",
        Does.WIDENS: "transmitCertificate",
        Does.WIDENS_WRONG: "transmitted certificate refused",
        Does.LOCKS: "deAuthenticate",
        Does.IS_LATE: "challenge too old",
    },
    ways=_widening(_authentication(SHOWN_NRCS, OWNED_NRCS)),
    fates=apce.CertificateOptions().fates(),
    voids=VOIDS_CHALLENGE,
    never=frozenset((GateEvent.LOCK_COMMAND,)),
)

CHALLENGE_RESPONSE = Scheme(
    title="Challenge-response (0x29, ACR)",
    asked="challenged",
    words={
        Does.ASKS: "requestChallenge",
        Does.ASKS_WRONG: "challenge refused",
        Does.PROVES: "proof of ownership",
        Does.PROVES_WRONG: "proof refused",
        Does.PROVES_UNREADABLY: "unreadable proof",
        Does.LOCKS: "deAuthenticate",
        Does.IS_LATE: "challenge too old",
    },
    ways=_authentication(ASKED_NRCS, PROVEN_NRCS),
    fates=acr.ChallengeResponseOptions().fates(),
    voids=VOIDS_CHALLENGE,
    never=frozenset((GateEvent.LOCK_COMMAND, GateEvent.REVOKED)),
)

# ---- signed seed


def _signed_seed(at: At, asked: Way) -> dict[Does, Way]:
    """Return the ways where no seed waits: no key counts, right or wrong."""
    return {
        Does.ASKS: asked,
        Does.ASKS_WRONG: _to(at, _LENGTH),
        Does.PROVES: _to(at, _SEQUENCE),
        Does.PROVES_WRONG: _to(at, _SEQUENCE),
        Does.PROVES_UNREADABLY: _to(at, _LENGTH),
    }


SIGNED_SEED = Scheme(
    title="Signed seed (0x27)",
    asked="seed given",
    words={
        Does.ASKS: "requestSeed",
        Does.ASKS_WRONG: "requestSeed of another length",
        Does.PROVES: "key for the seed",
        Does.PROVES_WRONG: "wrong key",
        Does.PROVES_WRONG_AT_LAST: "last wrong key",
        Does.PROVES_UNREADABLY: "key of another length",
        Does.IS_LATE: "seed too old",
        Does.SITS_DELAY_OUT: "delay over",
    },
    ways={
        LOCKED: _signed_seed(LOCKED, _to(ASKED)),
        ASKED: {
            **_signed_seed(ASKED, _to(ASKED)),
            Does.PROVES: _to(OPEN),
            Does.PROVES_WRONG: _to(LOCKED, Nrc.invalidKey),
            Does.PROVES_WRONG_AT_LAST: _to(DELAY, Nrc.exceedNumberOfAttempts),
            Does.IS_LATE: _to(LOCKED),
        },
        OPEN: _signed_seed(OPEN, _to(OPEN)),
        DELAY: {
            **_signed_seed(DELAY, _to(DELAY, Nrc.requiredTimeDelayNotExpired)),
            Does.SITS_DELAY_OUT: _to(LOCKED),
        },
    },
    fates=SignedSeedOptions().fates(),
    voids=VOIDS_SEED,
    never=frozenset((GateEvent.LOCK_COMMAND, GateEvent.DE_AUTHENTICATE, GateEvent.EXPIRY)),
)

SCHEMES: Mapping[str, Scheme] = {
    "sfd": SFD,
    "sfd2": SFD2,
    "signed-seed": SIGNED_SEED,
    "certificate": CERTIFICATE,
    "challenge-response": CHALLENGE_RESPONSE,
}
"""By the name of the gate."""
