"""The order in which a unit refuses a request (ISO 14229-1, general server response behaviour), as a table: data, no code.

`ORDER` has a ladder for each service. Its rows are asked from the top; the first that fails ends the request with its NRC. A
row names its check; what the check asks is in `ecu_sim.ladder` (rows that services share) or in the service's own file. The test
that walks the whole space of requests compares the server with this table by questions of its own (tests/ecu_sim/walk).

`nrc` None: the check itself says which of several it is (the profile's `locked_nrc`, or the NRC of a condition).
`again`: what may change while a slow service works, so it is asked once more when the work is done.
`late`: asked only when the work is done, because the work itself finds it out, or because asking has a consequence.

Sources. "figure": ISO 14229-1:2020 figures 5 and 6 as open servers and articles render them (gallia's `respond`, the order that
udsoncan's and scapy's tables assume, public articles on the 2013 and 2020 figures); where 0x34 stands in it is general knowledge.
"service": the list of response codes of the service itself, in the order in which public descriptions give it. "own": our own
choice where sources differ or are silent. A profile may give another order (`order:`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wire.uds import Nrc

FIGURE, SERVICE, OWN = "figure", "service", "own"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """One question. `of_objects`: asked of every identifier, routine or region that the request names."""

    check: str
    nrc: int | None
    source: str
    again: bool = False
    late: bool = False
    of_objects: bool = False


def row(check: str, nrc: int | None, source: str) -> Row:
    """Return a row that is asked once, on arrival."""
    return Row(check=check, nrc=nrc, source=source)


# ---- rows that services share

SERVICE_KNOWN = row("service known", Nrc.serviceNotSupported, FIGURE)
SERVICE_IN_SESSION = row("service in session", Nrc.serviceNotSupportedInActiveSession, FIGURE)
SERVICE_RELEASED = Row(check="service released", nrc=None, source=FIGURE, again=True)
SERVICE_LEVEL = Row(check="service level open", nrc=Nrc.securityAccessDenied, source=FIGURE, again=True)
SERVICE_CONDITIONS = Row(check="service conditions", nrc=None, source=SERVICE, again=True)
MINIMUM_LENGTH = row("minimum length", Nrc.incorrectMessageLengthOrInvalidFormat, FIGURE)
SUB_FUNCTION_KNOWN = row("sub-function known", Nrc.subFunctionNotSupported, FIGURE)
SUB_FUNCTION_IN_SESSION = row("sub-function in session", Nrc.subFunctionNotSupportedInActiveSession, FIGURE)
EXACT_LENGTH = row("exact length", Nrc.incorrectMessageLengthOrInvalidFormat, FIGURE)

OBJECT_IN_SESSION = Row(check="object in session", nrc=Nrc.requestOutOfRange, source=SERVICE, of_objects=True)
OBJECT_SECURED = Row(check="object secured", nrc=Nrc.secureDataTransmissionRequired, source=OWN, of_objects=True)
OBJECT_RELEASED = Row(check="object released", nrc=None, source=SERVICE, again=True, of_objects=True)
OBJECT_LEVEL = Row(check="object level open", nrc=Nrc.securityAccessDenied, source=SERVICE, again=True, of_objects=True)
OBJECT_CONDITIONS = Row(check="object conditions", nrc=None, source=SERVICE, again=True, of_objects=True)

ARRIVAL = (SERVICE_KNOWN, SERVICE_IN_SESSION, SERVICE_RELEASED, SERVICE_LEVEL)
"""What every request is asked first; an unknown service is asked no more than this."""
WITH_SUB_FUNCTION = (*ARRIVAL, MINIMUM_LENGTH, SUB_FUNCTION_KNOWN, SUB_FUNCTION_IN_SESSION)
GENERAL = WITH_SUB_FUNCTION
"""What the general server response behaviour asks. A service that is slow as a whole (`work`) looks no further on arrival."""
ACCESS = (OBJECT_IN_SESSION, OBJECT_SECURED, OBJECT_RELEASED, OBJECT_LEVEL, OBJECT_CONDITIONS)

ANSWER_FITS = Row(check="answer fits", nrc=Nrc.responseTooLong, source=SERVICE, late=True)
"""The last question of every service that answers with data: whether the answer is longer than the unit can send."""

# ---- rows of memory and transfers

ADDRESS_FORMAT = row("address format", Nrc.requestOutOfRange, SERVICE)
NO_TRANSFER_RUNS = row("no transfer runs", None, OWN)
"""The profile says which: 0x22, or 0x70."""
AREA_WITH_FORMAT = (
    MINIMUM_LENGTH,
    ADDRESS_FORMAT,
    EXACT_LENGTH,
    NO_TRANSFER_RUNS,
    row("data format", Nrc.requestOutOfRange, SERVICE),
)
TRANSFER_REQUESTED = row("transfer requested", Nrc.requestSequenceError, SERVICE)
CELLS_PROGRAMMABLE = Row(check="cells programmable", nrc=Nrc.generalProgrammingFailure, source=SERVICE, late=True)
"""The memory finds it out when it is programmed or erased."""

ASKED_ANYWHERE = frozenset((SERVICE_IN_SESSION, SERVICE_RELEASED, SERVICE_LEVEL, SERVICE_CONDITIONS))
"""They look at nothing that another row has found."""


def may_swap(one: Row, other: Row) -> bool:
    """Return whether a profile's own order may turn two rows round: neither needs what the other has made sure or found."""
    if SERVICE_KNOWN in (one, other):
        return False
    return bool(ASKED_ANYWHERE & {one, other}) or (one.of_objects and other.of_objects)


# ---- the ladders

ORDER: Mapping[int, tuple[Row, ...]] = {
    # DiagnosticSessionControl: "sub-function in session" asks from where the profile lets this session be entered
    0x10: (
        *WITH_SUB_FUNCTION,
        Row(check="session released", nrc=None, source=FIGURE, again=True),
        Row(check="session level open", nrc=Nrc.securityAccessDenied, source=FIGURE, again=True),
        EXACT_LENGTH,
        Row(check="programming conditions", nrc=None, source=OWN, again=True),
        SERVICE_CONDITIONS,
        Row(check="session conditions", nrc=None, source=SERVICE, again=True),
    ),
    # ECUReset
    0x11: (*WITH_SUB_FUNCTION, EXACT_LENGTH, SERVICE_CONDITIONS),
    # ClearDiagnosticInformation
    0x14: (
        *ARRIVAL,
        EXACT_LENGTH,
        row("memory selection known", Nrc.requestOutOfRange, SERVICE),
        row("group known", Nrc.requestOutOfRange, SERVICE),
        SERVICE_CONDITIONS,
        Row(check="memory writable", nrc=Nrc.generalProgrammingFailure, source=SERVICE, again=True),
    ),
    # ReadDTCInformation
    0x19: (
        *WITH_SUB_FUNCTION,
        EXACT_LENGTH,
        row("memory selection known", Nrc.requestOutOfRange, SERVICE),
        row("functional group known", Nrc.requestOutOfRange, SERVICE),
        row("readiness group known", Nrc.requestOutOfRange, SERVICE),
        row("DTC known", Nrc.requestOutOfRange, SERVICE),
        row("record number known", Nrc.requestOutOfRange, SERVICE),
        ANSWER_FITS,
    ),
    # ReadDataByIdentifier: unknown identifiers are left out while one is known; one that is closed refuses all
    0x22: (
        *ARRIVAL,
        row("whole identifiers", Nrc.incorrectMessageLengthOrInvalidFormat, SERVICE),
        row("identifier known", Nrc.requestOutOfRange, SERVICE),
        *ACCESS[1:],  # outside its session an identifier is as unknown
        ANSWER_FITS,
    ),
    # ReadMemoryByAddress
    0x23: (
        *ARRIVAL,
        MINIMUM_LENGTH,
        ADDRESS_FORMAT,
        EXACT_LENGTH,
        row("area readable", Nrc.requestOutOfRange, SERVICE),
        *ACCESS,
        ANSWER_FITS,
    ),
    # ReadScalingDataByIdentifier: an identifier that cannot be read has no scaling either
    0x24: (
        *ARRIVAL,
        EXACT_LENGTH,
        row("scaling known", Nrc.requestOutOfRange, SERVICE),
        *ACCESS,
        ANSWER_FITS,
    ),
    # SecurityAccess
    0x27: (
        *WITH_SUB_FUNCTION,
        Row(check="level released", nrc=None, source=OWN, again=True),
        EXACT_LENGTH,
        row("delay over", Nrc.requiredTimeDelayNotExpired, SERVICE),
        Row(check="seed outstanding", nrc=Nrc.requestSequenceError, source=SERVICE, late=True),
        Row(check="key right", nrc=None, source=SERVICE, late=True),
    ),
    # CommunicationControl
    0x28: (
        *WITH_SUB_FUNCTION,
        EXACT_LENGTH,
        row("communication type", Nrc.requestOutOfRange, SERVICE),
        row("network known", Nrc.requestOutOfRange, OWN),
        row("node known", Nrc.requestOutOfRange, SERVICE),
        SERVICE_CONDITIONS,
    ),
    # Authentication: what follows is the scheme's own table (docs/unlock.md)
    0x29: (*WITH_SUB_FUNCTION, row("unit authenticates", Nrc.conditionsNotCorrect, OWN)),
    # ReadDataByPeriodicIdentifier: the standard's figure 18 as public renderings have it; where the frame is asked for is our own
    0x2A: (
        *ARRIVAL,
        row("periodic length", Nrc.incorrectMessageLengthOrInvalidFormat, SERVICE),
        row("transmission mode", Nrc.requestOutOfRange, SERVICE),
        row("periodic identifier known", Nrc.requestOutOfRange, SERVICE),
        *ACCESS[1:],  # outside its session an identifier is as unknown
        row("message fits its frame", Nrc.responseTooLong, OWN),
        row("schedule has room", Nrc.requestOutOfRange, SERVICE),
    ),
    # DynamicallyDefineDataIdentifier
    0x2C: (
        *WITH_SUB_FUNCTION,
        row("definition length", Nrc.incorrectMessageLengthOrInvalidFormat, SERVICE),
        row("identifier definable", Nrc.requestOutOfRange, SERVICE),
        row("address and length format", Nrc.requestOutOfRange, SERVICE),
        row("position counts from 1", Nrc.requestOutOfRange, SERVICE),
        row("source known", Nrc.requestOutOfRange, SERVICE),
        *ACCESS,
        row("definition within limits", Nrc.requestOutOfRange, SERVICE),
    ),
    # WriteDataByIdentifier
    0x2E: (
        *ARRIVAL,
        MINIMUM_LENGTH,
        row("identifier writable", Nrc.requestOutOfRange, SERVICE),
        row("data length", Nrc.incorrectMessageLengthOrInvalidFormat, SERVICE),
        *ACCESS,
        Row(check="written before", nrc=Nrc.requestSequenceError, source=OWN, again=True),
    ),
    # InputOutputControlByIdentifier
    0x2F: (
        *ARRIVAL,
        MINIMUM_LENGTH,
        row("output known", Nrc.requestOutOfRange, SERVICE),
        *ACCESS[:-1],
        row("control parameter", Nrc.requestOutOfRange, SERVICE),
        row("control record length", Nrc.incorrectMessageLengthOrInvalidFormat, SERVICE),
        row("control state", Nrc.requestOutOfRange, SERVICE),
        OBJECT_CONDITIONS,
    ),
    # RoutineControl: the sub-function is asked after the identifier, because each routine has its own
    0x31: (
        *ARRIVAL,
        MINIMUM_LENGTH,
        row("routine known", Nrc.requestOutOfRange, SERVICE),
        *ACCESS,
        row("routine's sub-function", Nrc.subFunctionNotSupported, OWN),
        row("option length", Nrc.incorrectMessageLengthOrInvalidFormat, SERVICE),
        row("option known", Nrc.requestOutOfRange, SERVICE),
        Row(check="programming allowed", nrc=Nrc.conditionsNotCorrect, source=OWN, again=True),
        Row(check="routine's sequence", nrc=Nrc.requestSequenceError, source=SERVICE, again=True),
        CELLS_PROGRAMMABLE,
    ),
    # RequestDownload, RequestUpload: the order of the first rows is that of an open server (driftregion/iso14229), but for the
    # transfer that runs, which it asks before the length
    0x34: (
        *ARRIVAL,
        *AREA_WITH_FORMAT,
        row("area downloadable", Nrc.requestOutOfRange, SERVICE),
        *ACCESS,
        Row(check="fingerprint written", nrc=Nrc.conditionsNotCorrect, source=OWN, again=True),
        Row(check="area erased", nrc=Nrc.uploadDownloadNotAccepted, source=OWN, again=True),
    ),
    0x35: (*ARRIVAL, *AREA_WITH_FORMAT, row("area uploadable", Nrc.requestOutOfRange, SERVICE), *ACCESS),
    # TransferData: more data than announced breaks the transfer off, and so do cells that fail
    0x36: (
        *ARRIVAL,
        MINIMUM_LENGTH,
        TRANSFER_REQUESTED,
        row("block length", Nrc.incorrectMessageLengthOrInvalidFormat, SERVICE),
        row("block counter", Nrc.wrongBlockSequenceCounter, SERVICE),
        row("data left", Nrc.requestSequenceError, SERVICE),
        row("data decodable", Nrc.requestOutOfRange, OWN),
        row("block aligned", Nrc.requestOutOfRange, SERVICE),
        *ACCESS,
        Row(check="data announced", nrc=Nrc.transferDataSuspended, source=SERVICE, late=True),
        CELLS_PROGRAMMABLE,
    ),
    # RequestTransferExit
    0x37: (
        *ARRIVAL,
        TRANSFER_REQUESTED,
        row("all transferred", Nrc.requestSequenceError, SERVICE),
        row("record length", Nrc.incorrectMessageLengthOrInvalidFormat, SERVICE),
        row("record right", Nrc.requestOutOfRange, SERVICE),
        *ACCESS,
    ),
    # RequestFileTransfer
    0x38: (
        *ARRIVAL,
        MINIMUM_LENGTH,
        row("mode known", Nrc.requestOutOfRange, SERVICE),
        row("request whole", Nrc.incorrectMessageLengthOrInvalidFormat, SERVICE),
        NO_TRANSFER_RUNS,
        row("path well formed", Nrc.requestOutOfRange, SERVICE),
        row("data format", Nrc.requestOutOfRange, SERVICE),
        row("file sizes", Nrc.requestOutOfRange, SERVICE),
        row("file there", Nrc.requestOutOfRange, SERVICE),
        *ACCESS,
        row("file absent", Nrc.uploadDownloadNotAccepted, OWN),
        row("part to resume", Nrc.uploadDownloadNotAccepted, OWN),
        row("room left", Nrc.uploadDownloadNotAccepted, OWN),
    ),
    # WriteMemoryByAddress: its length follows from the size that it names
    0x3D: (
        *ARRIVAL,
        MINIMUM_LENGTH,
        ADDRESS_FORMAT,
        EXACT_LENGTH,
        row("area writable", Nrc.requestOutOfRange, SERVICE),
        *ACCESS,
        CELLS_PROGRAMMABLE,
    ),
    # TesterPresent
    0x3E: (*WITH_SUB_FUNCTION, EXACT_LENGTH),
    # AccessTimingParameter (2013 edition)
    0x83: (
        *WITH_SUB_FUNCTION,
        EXACT_LENGTH,
        SERVICE_CONDITIONS,
        row("timing within limits", Nrc.requestOutOfRange, SERVICE),
    ),
    # SecuredDataTransmission: then the inner request climbs its own ladder, and what refuses that comes inside C4
    0x84: (
        *ARRIVAL,
        row("one unit asked", Nrc.requestOutOfRange, OWN),  # all units would answer for one signature: nobody does
        row("whole message", Nrc.incorrectMessageLengthOrInvalidFormat, SERVICE),
        row("protection known", Nrc.secureDataVerificationFailed, SERVICE),
        row("may come secured", Nrc.secureDataTransmissionNotAllowed, OWN),
        Row(check="change verified", nrc=Nrc.secureDataVerificationFailed, source=SERVICE, late=True),
    ),
    # ControlDTCSetting
    0x85: (
        *WITH_SUB_FUNCTION,
        EXACT_LENGTH,
        row("setting option known", Nrc.requestOutOfRange, SERVICE),
        SERVICE_CONDITIONS,
    ),
    # ResponseOnEvent: what an event answers with is judged by that service's own ladder when it happens
    0x86: (
        *WITH_SUB_FUNCTION,
        row("event length", Nrc.incorrectMessageLengthOrInvalidFormat, SERVICE),
        SERVICE_CONDITIONS,
        row("event window", Nrc.requestOutOfRange, SERVICE),
        row("event record", Nrc.requestOutOfRange, SERVICE),
        row("service to respond to", Nrc.requestOutOfRange, SERVICE),
        *ACCESS,
        row("event set up", Nrc.requestSequenceError, OWN),
    ),
    # LinkControl
    0x87: (
        *WITH_SUB_FUNCTION,
        EXACT_LENGTH,
        SERVICE_CONDITIONS,
        row("bit rate", Nrc.requestOutOfRange, SERVICE),
        row("transition verified", Nrc.requestSequenceError, SERVICE),
    ),
}
