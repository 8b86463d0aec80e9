"""What a step can do: one closed table of verbs. Each row names its parameters, their kinds, and the act on the stage.

A verb whose value is a plain scalar takes it as its first parameter: `wait: 90 min`, `unlock: cluster`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scenarios.kinds import (
    BOOLEAN,
    BYTES,
    DURATION,
    PROBABILITY,
    SIGNED_DURATION,
    TEXT,
    TROUBLE_CODE,
    Kind,
    choice,
    integer,
    list_of,
)
from scenarios.stage import (
    FlashOrder,
    OutageKind,
    Outcome,
    RestBusChange,
    Stage,
    TamperKind,
    TransportChange,
    TroubleResult,
    VehicleChange,
)
from scenarios.strategy import STATES, Goal
from wire.clock import NS_PER_S
from wire.faults import FOREVER_NS, FaultRule
from wire.portal_api import FaceVideo, Picture
from wire.token import Role, Scope

Args = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """One parameter of a verb. A parameter without default must be given."""

    name: str
    kind: Kind
    default: object = None
    required: bool = False
    doc: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One row: what people call it, what it takes, what it does. `needs`: (parameter, its value, parameter that must be
    given then); `some_of`: parameters of which at least one must be given.
    """

    name: str
    doc: str
    params: tuple[Param, ...]
    act: Callable[[Stage, Args], Outcome]
    needs: tuple[str, str, str] | None = None
    some_of: tuple[str, ...] = ()


def _word(member: Any) -> str:
    return str(member.name).lower().replace("_", "-")


ROLE = choice(*(_word(role) for role in Role))
SCOPE = choice(*(_word(scope) for scope in Scope))
PERSON = Param(name="person", kind=TEXT, default="technician", doc="who; technician unless said otherwise")
ECU = Param(name="ecu", kind=TEXT, required=True, doc="the control unit's name in the vehicle file")
MANAGER = Param(name="manager", kind=TEXT, default="manager", doc="the workshop manager who does it")

_PICTURES: dict[str, Picture | None] = {
    "good": None,
    "blurred": Picture(sharpness=0.1),
    "dark": Picture(brightness=0.05),
    "other-name": Picture(name="Somebody Else"),
}
_VIDEOS: dict[str, FaceVideo | None] = {"moving": None, "still": FaceVideo(motion=0.0)}


def _identity_check(stage: Stage, args: Args) -> Outcome:
    return stage.identity_check(
        args["person"], front=_PICTURES[args["front"]], back=_PICTURES[args["back"]], video=_VIDEOS[args["video"]]
    )


def _fault(stage: Stage, args: Args) -> Outcome:
    bus = args["bus"]
    if bus is None and args["ecu"] is not None:
        bus = stage.bus_of(args["ecu"])
    lasts_ns = args["for"]
    return stage.add_fault(
        FaultRule(
            kind=args["kind"],
            bus=bus,
            can_id=args["can-id"],
            from_ns=args["after"],
            until_ns=FOREVER_NS if lasts_ns is None else args["after"] + lasts_ns,
            probability=args["probability"],
            skip=args["skip"],
            count=args["count"],
            delay_ns=args["delay"],
        )
    )


def _vehicle(stage: Stage, args: Args) -> Outcome:
    bonnet, battery = args["bonnet"], args["battery"]
    return stage.change_vehicle(
        VehicleChange(
            terminal_15=args["ignition"],
            battery=None if battery is None else battery == "connected",
            bonnet_open=None if bonnet is None else bonnet == "open",
            kilometres_driven=args["drive-km"],
            speed_kmh=args["speed-kmh"],
            supply_mv=args["supply-mv"],
            sleeping=args["asleep"],
            body_controller_lost=args["body-controller-lost"],
            crash=args["crash"],
            engine_rpm=args["engine-rpm"],
        )
    )


def _rest_bus(stage: Stage, args: Args) -> Outcome:
    counter, checksum = args["counter"], args["checksum"]
    return stage.rest_bus(
        RestBusChange(
            on=args["on"],
            message=args["message"],
            stopped=args["stopped"],
            counter_frozen=None if counter is None else counter == "frozen",
            checksum_wrong=None if checksum is None else checksum == "wrong",
            signal=args["signal"],
            raw=args["raw"],
        )
    )


def _transport(stage: Stage, args: Args) -> Outcome:
    return stage.transport(
        args["ecu"],
        TransportChange(
            block_size=args["block-size"],
            stmin=args["stmin"],
            wait_frames=args["wait-frames"],
            padding=args["padding"],
            buffer_bytes=args["buffer-bytes"],
        ),
    )


def _flash(stage: Stage, args: Args) -> Outcome:
    order = FlashOrder(
        block=args["block"],
        address=args["address"],
        size=args["size"],
        version=args["version"],
        stop_after=args["stop-after"],
    )
    return stage.flash(args["ecu"], order)


def _seconds(duration_ns: int) -> int:
    return duration_ns // NS_PER_S


_PICTURE = choice(*_PICTURES)
_FAULT_KIND = choice("drop", "duplicate", "delay", "corrupt", "error")
_CAN_ID = integer(0, 0x9FFF_FFFF)
_BYTE = integer(0, 0xFF)
_RAW = integer(-(1 << 63), (1 << 64) - 1)

_TABLE = (
    # ---- people
    Verb(
        name="sign-up",
        doc="make an account and confirm the e-mail",
        params=(PERSON,),
        act=lambda s, a: s.sign_up(a["person"]),
    ),
    Verb(
        name="personal-profile",
        doc="fill in the personal profile",
        params=(PERSON,),
        act=lambda s, a: s.personal_profile(a["person"]),
    ),
    Verb(
        name="identity-check",
        doc="submit documents and a face video",
        params=(
            PERSON,
            Param(name="front", kind=_PICTURE, default="good", doc="the picture of the document's front"),
            Param(name="back", kind=_PICTURE, default="good", doc="the picture of its back"),
            Param(name="video", kind=choice(*_VIDEOS), default="moving", doc="the face video"),
        ),
        act=_identity_check,
    ),
    Verb(
        name="wait-for-review",
        doc="wait until the identity check is decided",
        params=(PERSON,),
        act=lambda s, a: s.wait_for_review(a["person"]),
    ),
    Verb(
        name="company-profile",
        doc="fill in the company profile",
        params=(PERSON,),
        act=lambda s, a: s.company_profile(a["person"]),
    ),
    Verb(
        name="validate-company",
        doc="press Validate profile",
        params=(PERSON,),
        act=lambda s, a: s.validate_company(a["person"]),
    ),
    Verb(
        name="invite",
        doc="the manager invites a person, who accepts",
        params=(PERSON, MANAGER),
        act=lambda s, a: s.invite(a["manager"], a["person"]),
    ),
    Verb(
        name="disassociate",
        doc="the manager takes a person out of the company",
        params=(PERSON, MANAGER),
        act=lambda s, a: s.disassociate(a["manager"], a["person"]),
    ),
    Verb(
        name="reset-second-factor",
        doc="the manager takes a person's authenticator away",
        params=(PERSON, MANAGER),
        act=lambda s, a: s.reset_second_factor(a["manager"], a["person"]),
    ),
    Verb(
        name="status", doc="look at the portal's three lines", params=(PERSON,), act=lambda s, a: s.status(a["person"])
    ),
    Verb(
        name="phone-clock",
        doc="make a person's phone wrong",
        params=(
            Param(name="offset", kind=SIGNED_DURATION, default=0, doc="how far the phone is ahead (or behind, with -)"),
            Param(name="drift-ppm", kind=integer(-100_000, 100_000), default=0, doc="how fast it drifts"),
            PERSON,
        ),
        act=lambda s, a: s.set_phone_clock(a["person"], offset_s=_seconds(a["offset"]), drift_ppm=a["drift-ppm"]),
    ),
    # ---- the tester
    Verb(
        name="reach",
        doc="do what is missing to reach a state",
        params=(
            Param(name="state", kind=choice(*STATES), required=True, doc="the state"),
            PERSON,
            Param(name="ecu", kind=TEXT, doc="for unlocked: the control unit"),
            Param(name="role", kind=ROLE, default="after-sales", doc="for unlocked: in which role"),
        ),
        act=lambda s, a: s.strategy.reach(a["state"], Goal(person=a["person"], ecu=a["ecu"], role=a["role"])),
        needs=("state", "unlocked", "ecu"),
    ),
    Verb(
        name="login",
        doc="log in on the tester with the second factor; the first login enrols the authenticator",
        params=(
            PERSON,
            Param(name="code", kind=TEXT, doc="six digits, or `reused`; the app's own when left out"),
            Param(name="password", kind=TEXT, doc="the person's own when left out"),
        ),
        act=lambda s, a: s.login(a["person"], code=a["code"], password=a["password"]),
    ),
    Verb(
        name="race-login",
        doc="two testers send one person's code in one instant",
        params=(PERSON,),
        act=lambda s, a: s.race_login(a["person"]),
    ),
    Verb(name="logout", doc="log out on the tester", params=(), act=lambda s, _: s.logout()),
    Verb(name="identify", doc="read the VIN and the installed units", params=(), act=lambda s, _: s.identify()),
    Verb(name="scan", doc="global system scan", params=(), act=lambda s, _: s.scan()),
    Verb(
        name="unlock",
        doc="fetch an unlock from the back end and bring it to the control unit",
        params=(
            ECU,
            Param(name="role", kind=ROLE, default="after-sales", doc="in which role"),
            Param(
                name="scope",
                kind=list_of(SCOPE, at_least=1),
                doc="what is asked for; all that the role may when left out",
            ),
            Param(name="hesitate", kind=DURATION, default=0, doc="wait so long before the last word, token or proof"),
        ),
        act=lambda s, a: s.unlock(a["ecu"], role=a["role"], scope=a["scope"], hesitate_ns=a["hesitate"]),
    ),
    Verb(name="relock", doc="end the grant on command", params=(ECU,), act=lambda s, a: s.relock(a["ecu"])),
    Verb(
        name="unlock-state", doc="read whether a unit is open", params=(ECU,), act=lambda s, a: s.unlock_state(a["ecu"])
    ),
    Verb(
        name="request",
        doc="send UDS bytes to one control unit",
        params=(ECU, Param(name="bytes", kind=BYTES, required=True, doc="the request")),
        act=lambda s, a: s.request(a["ecu"], a["bytes"]),
    ),
    Verb(
        name="functional",
        doc="send UDS bytes to all control units at once",
        params=(Param(name="bytes", kind=BYTES, required=True, doc="the request, a single frame"),),
        act=lambda s, a: s.functional(a["bytes"]),
    ),
    Verb(
        name="security-access",
        doc="request a seed and send the key",
        params=(
            ECU,
            Param(name="level", kind=integer(1, 0x7D), default=3, doc="the odd request number"),
            Param(name="key", kind=BYTES, doc="a key to send; the right one when left out"),
        ),
        act=lambda s, a: s.security_access(a["ecu"], a["level"], key=a["key"]),
    ),
    Verb(
        name="write-coding",
        doc="extended session, F199, F198, then the coding",
        params=(ECU, Param(name="data", kind=BYTES, required=True, doc="the coding")),
        act=lambda s, a: s.write_coding(a["ecu"], a["data"]),
    ),
    Verb(
        name="flash",
        doc="program one block of a unit, as a flash tester does, and reset it; its lock was opened before",
        params=(
            ECU,
            Param(
                name="version",
                kind=TEXT,
                required=True,
                doc="what the new software says it is: the first bytes of the block",
            ),
            Param(name="address", kind=integer(0, 0xFFFF_FFFF), required=True, doc="where the block goes"),
            Param(
                name="size",
                kind=integer(1, 1 << 22),
                required=True,
                doc="its bytes; what follows the version is made up",
            ),
            Param(name="block", kind=_BYTE, default=1, doc="the block's number"),
            Param(
                name="stop-after",
                kind=integer(0, 1_000_000),
                doc="leave off behind so many blocks of data; to the end when left out",
            ),
        ),
        act=_flash,
    ),
    Verb(
        name="sign-change",
        doc="SFD2: have the back end sign one change, to be sent with send-change",
        params=(
            ECU,
            Param(name="bytes", kind=BYTES, required=True, doc="the request that is to go signed"),
            Param(name="role", kind=ROLE, default="after-sales", doc="in which role"),
            Param(
                name="scope",
                kind=list_of(SCOPE, at_least=1),
                doc="what is asked for; all that the role may when left out",
            ),
            Param(name="signed-answer", kind=BOOLEAN, default=False, doc="true: the unit is to sign its answer"),
            Param(name="counter", kind=integer(0, 0xFFFF), doc="the anti-replay counter; the next one when left out"),
        ),
        act=lambda s, a: s.sign_change(
            a["ecu"],
            a["bytes"],
            role=a["role"],
            scope=a["scope"],
            signed_answer=a["signed-answer"],
            counter=a["counter"],
        ),
    ),
    Verb(
        name="send-change",
        doc="SFD2: send what was signed last, again if it was sent before",
        params=(
            ECU,
            Param(name="of", kind=TEXT, doc="send what was signed for this unit; for the one itself when left out"),
            Param(name="bytes", kind=BYTES, doc="another request than was signed"),
            Param(name="encrypted", kind=BOOLEAN, default=False, doc="true: say in the header that it is encrypted"),
        ),
        act=lambda s, a: s.send_change(a["ecu"], of=a["of"], payload=a["bytes"], encrypted=a["encrypted"]),
    ),
    Verb(
        name="keep-session",
        doc="start or stop the tester's keep-alive",
        params=(Param(name="on", kind=BOOLEAN, required=True, doc="true to start"),),
        act=lambda s, a: s.keep_session(on=a["on"]),
    ),
    Verb(
        name="export-request",
        doc="manual flow: fetch the request structure as text",
        params=(ECU,),
        act=lambda s, a: s.export_request(a["ecu"]),
    ),
    Verb(
        name="import-token",
        doc="manual flow: write a token from text",
        params=(
            ECU,
            Param(name="text", kind=TEXT, doc="the text; made at the portal for the exported request when left out"),
        ),
        act=lambda s, a: s.import_token(a["ecu"], a["text"]),
    ),
    # ---- vehicle, wire, back end, time
    Verb(
        name="vehicle",
        doc="set values of the vehicle",
        params=(
            Param(name="ignition", kind=BOOLEAN, doc="terminal 15 on or off"),
            Param(name="battery", kind=choice("connected", "disconnected"), doc="terminal 30"),
            Param(name="bonnet", kind=choice("open", "closed"), doc="the bonnet"),
            Param(name="drive-km", kind=integer(0, 1_000_000), doc="kilometres to drive, with the bonnet as it is"),
            Param(name="speed-kmh", kind=integer(0, 400), doc="speed"),
            Param(name="engine-rpm", kind=integer(0, 16_000), doc="engine speed, in 1/min"),
            Param(name="supply-mv", kind=integer(0, 32_000), doc="supply voltage"),
            Param(name="asleep", kind=BOOLEAN, doc="buses asleep or awake"),
            Param(name="body-controller-lost", kind=BOOLEAN, doc="no word from the body controller"),
            Param(name="crash", kind=BOOLEAN, doc="crash signal"),
        ),
        act=_vehicle,
        some_of=(
            "ignition",
            "battery",
            "bonnet",
            "drive-km",
            "speed-kmh",
            "engine-rpm",
            "supply-mv",
            "asleep",
            "body-controller-lost",
            "crash",
        ),
    ),
    Verb(
        name="rest-bus",
        doc="start or stop the vehicle's cyclic messages, or make one of them wrong",
        params=(
            Param(name="on", kind=BOOLEAN, doc="all of them: true to start"),
            Param(name="message", kind=TEXT, doc="one of them, by its name in the DBC; what follows is about it"),
            Param(name="stopped", kind=BOOLEAN, doc="true: it is no longer sent"),
            Param(name="counter", kind=choice("running", "frozen"), doc="its counter"),
            Param(name="checksum", kind=choice("right", "wrong"), doc="its checksum"),
            Param(name="signal", kind=TEXT, doc="one of its signals"),
            Param(
                name="raw", kind=_RAW, doc="what the signal carries, raw; the vehicle's own value again when left out"
            ),
        ),
        act=_rest_bus,
        some_of=("on", "message"),
    ),
    Verb(
        name="reset-ecu",
        doc="take the supply of one unit away and give it back",
        params=(ECU,),
        act=lambda s, a: s.reset_ecu(a["ecu"]),
    ),
    Verb(
        name="ecu-clock",
        doc="make a unit's calendar wrong, or lose it",
        params=(
            ECU,
            Param(name="offset", kind=SIGNED_DURATION, default=0, doc="how far it is ahead (or behind, with -)"),
            Param(name="set", kind=BOOLEAN, default=True, doc="false: the clock was never set"),
        ),
        act=lambda s, a: s.set_ecu_clock(a["ecu"], offset_s=_seconds(a["offset"]), is_set=a["set"]),
    ),
    Verb(
        name="fault",
        doc="put a wire fault in force",
        params=(
            Param(name="kind", kind=_FAULT_KIND, required=True, doc="what happens to a frame"),
            Param(name="ecu", kind=TEXT, doc="on the bus of this unit (`obd` is the tester's bus)"),
            Param(name="bus", kind=TEXT, doc="on this bus; all when neither is said"),
            Param(name="can-id", kind=_CAN_ID, doc="only this identifier (bit 31 set: 29 bits)"),
            Param(name="after", kind=DURATION, default=0, doc="from so long from now"),
            Param(name="for", kind=DURATION, doc="for so long; for good when left out"),
            Param(name="count", kind=integer(1, 1_000_000), doc="at most so many frames"),
            Param(name="skip", kind=integer(0, 1_000_000), default=0, doc="let so many pass first"),
            Param(name="probability", kind=PROBABILITY, default=1.0, doc="for each frame"),
            Param(name="delay", kind=DURATION, default=0, doc="for kind delay"),
        ),
        act=_fault,
        needs=("kind", "delay", "delay"),
    ),
    Verb(name="clear-faults", doc="take all wire faults out of force", params=(), act=lambda s, _: s.clear_faults()),
    Verb(
        name="transport",
        doc="change how a unit's ISO-TP behaves (the gateway's: towards the tester)",
        params=(
            ECU,
            Param(name="block-size", kind=_BYTE, doc="frames between two flow controls; 0: no further one"),
            Param(name="stmin", kind=_BYTE, doc="the separation time's byte, reserved values too"),
            Param(name="wait-frames", kind=integer(0, 1000), doc="waits before each go-ahead"),
            Param(name="padding", kind=_BYTE, doc="the byte that fills frames"),
            Param(name="buffer-bytes", kind=integer(8, 1_000_000), doc="the longest message it takes"),
        ),
        act=_transport,
        some_of=("block-size", "stmin", "wait-frames", "padding", "buffer-bytes"),
    ),
    Verb(
        name="trouble-code",
        doc="let a unit's own test of a trouble code fail or pass",
        params=(
            ECU,
            Param(name="code", kind=TROUBLE_CODE, required=True, doc="the code, three bytes"),
            Param(
                name="result",
                kind=choice(*(result.value for result in TroubleResult)),
                default="fails",
                doc="what the test says; `prefails` and `prepasses` move its fault detection counter by a step",
            ),
            Param(name="times", kind=integer(1, 1000), default=1, doc="so many times"),
        ),
        act=lambda s, a: s.trouble_code(a["ecu"], a["code"], TroubleResult(a["result"]), times=a["times"]),
    ),
    Verb(
        name="unplug",
        doc="pull the tester's adapter out of the socket",
        params=(
            Param(name="can-id", kind=_CAN_ID, doc="not now: once frames with this identifier went by"),
            Param(name="frames", kind=integer(1, 1_000_000), default=1, doc="so many of them"),
        ),
        act=lambda s, a: s.unplug(can_id=a["can-id"], frames=a["frames"]),
    ),
    Verb(name="plug-in", doc="put the tester's adapter back", params=(), act=lambda s, _: s.plug_in()),
    Verb(
        name="tamper",
        doc="spoil the next unlock that the back end issues",
        params=(Param(name="kind", kind=choice(*TamperKind), required=True, doc="how"),),
        act=lambda s, a: s.tamper(TamperKind(a["kind"])),
    ),
    Verb(
        name="outage",
        doc="let the back end be away, fail or be slow",
        params=(
            Param(name="kind", kind=choice(*OutageKind), required=True, doc="how"),
            Param(name="for", kind=DURATION, default=600 * NS_PER_S, doc="for so long"),
        ),
        act=lambda s, a: s.outage(OutageKind(a["kind"]), duration_ns=a["for"]),
    ),
    Verb(
        name="revoke-company",
        doc="the back end revokes a person's company",
        params=(PERSON,),
        act=lambda s, a: s.revoke_company(a["person"]),
    ),
    Verb(
        name="revoke-unlock",
        doc="the back end revokes the last unlock, and the vehicles learn of it",
        params=(),
        act=lambda s, _: s.revoke_unlock(),
    ),
    Verb(
        name="entitle",
        doc="the back end entitles a person to a role",
        params=(Param(name="role", kind=ROLE, required=True, doc="the role"), PERSON),
        act=lambda s, a: s.entitle(a["person"], role=a["role"]),
    ),
    Verb(
        name="wait",
        doc="let time pass",
        params=(Param(name="duration", kind=DURATION, required=True, doc="how long"),),
        act=lambda s, a: s.wait(a["duration"]),
    ),
)

VERBS: Mapping[str, Verb] = {verb.name: verb for verb in _TABLE}
