"""What a scenario sees of a bench: people, the tester, the vehicle, the back end and time. `bench.Bench` implements it.

Every act returns an `Outcome` and does not raise for what the other side refuses: a refusal is what many scenarios expect.
Misuse (an ECU that the vehicle does not have) raises; what a carrier cannot do raises `wire.errors.NotOnThisCarrier`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from wire.errors import LocalMisuse
from wire.faults import FaultRule
from wire.portal_api import FaceVideo, Picture

if TYPE_CHECKING:
    from scenarios.strategy import Strategy


class OutcomeKind(StrEnum):
    """How an act ended."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    SILENCE = "silence"
    PORTAL_ERROR = "portal-error"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an act ended. `payload`: the UDS answer's bytes; `nrc`: of a negative answer; `portal_code`: a
    `PortalErrorCode`; `result`: the tester's result code of an unlock (1, -1 .. -6); `facts`: named values that a scenario
    may expect (`locked`, `minutes-left`, `units`, `pending` ...); `text`: one line for people.
    """

    kind: OutcomeKind
    text: str
    payload: bytes = b""
    nrc: int | None = None
    portal_code: str | None = None
    result: int | None = None
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlashOrder:
    """One block to flash: `version` at its start, then bytes made from it. `stop_after`: leave off behind so many
    blocks of data.
    """

    block: int
    address: int
    size: int
    version: str
    stop_after: int | None = None

    @property
    def data(self) -> bytes:
        """Return the block: the version, then bytes that differ from place to place."""
        made_up = bytes((at * 7 + at // 256) & 0xFF for at in range(self.size))
        return (self.version.encode("utf-8") + made_up)[: self.size]


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleChange:
    """Values of the vehicle to set; None leaves one as it is. `kilometres_driven` adds to the odometer, with the bonnet as it
    is. `supply_mv` in millivolts, `engine_rpm` in 1/min. `sleeping`: the buses sleep (True) or wake (False). `battery`: terminal
    30 there or not.
    """

    terminal_15: bool | None = None
    battery: bool | None = None
    bonnet_open: bool | None = None
    kilometres_driven: int | None = None
    speed_kmh: int | None = None
    supply_mv: int | None = None
    sleeping: bool | None = None
    engine_rpm: int | None = None
    body_controller_lost: bool | None = None
    crash: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportChange:
    """How a unit's ISO-TP behaves; None leaves it as it is. `stmin`: the byte that its flow control announces (reserved values
    too); `wait_frames`: waits before each go-ahead; `padding`: the fill byte; `buffer_bytes`: longest message it takes.
    """

    block_size: int | None = None
    stmin: int | None = None
    wait_frames: int | None = None
    padding: int | None = None
    buffer_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestBusChange:
    """What becomes of the cyclic messages; None leaves it as it is. `on`: all start or stop. The rest is about one `message`:
    `stopped`, `counter_frozen`, `checksum_wrong`, and `signal`, which carries the raw value `raw` from now on, whatever the
    vehicle does (None: the vehicle's own again).
    """

    on: bool | None = None
    message: str | None = None
    stopped: bool | None = None
    counter_frozen: bool | None = None
    checksum_wrong: bool | None = None
    signal: str | None = None
    raw: int | None = None

    def __post_init__(self) -> None:
        about_one = (self.stopped, self.counter_frozen, self.checksum_wrong, self.signal)
        if self.message is None and any(value is not None for value in about_one):
            raise LocalMisuse("say of which message: Message.Signal belongs to one, and so do counter and checksum")
        if self.raw is not None and self.signal is None:
            raise LocalMisuse("say in which signal the raw value stands")
        if self.message is not None and all(value is None for value in about_one):
            raise LocalMisuse(f"say what becomes of message {self.message!r}")


class TroubleResult(StrEnum):
    """What a unit's own test says of a trouble code. `prefails` and `prepasses` move the fault detection counter a step."""

    FAILS = "fails"
    PASSES = "passes"
    PREFAILS = "prefails"
    PREPASSES = "prepasses"


class TamperKind(StrEnum):
    """What goes wrong with the next unlock on its way from the back end, or with the back end itself."""

    FLIP_BIT = "flip-bit"
    TRUNCATE = "truncate"
    OTHER_VIN = "other-vin"
    OTHER_ECU = "other-ecu"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    REPLAY = "replay"
    STALE_CHALLENGE = "stale-challenge"
    WRONG_ROLE = "wrong-role"
    WRONG_SCOPE = "wrong-scope"
    WRONG_GENERATION = "wrong-generation"
    OTHER_ISSUER = "other-issuer"
    OTHER_ALGORITHM = "other-algorithm"
    FOREIGN_KEY = "foreign-key"
    OTHER_CHANGE = "other-change"
    GARBAGE = "garbage"


class OutageKind(StrEnum):
    """What the back end does instead of answering."""

    AWAY = "away"
    ERROR = "error"
    SLOW = "slow"


class Stage(Protocol):
    """A bench with one vehicle, one tester and any number of people, named in lower case (`technician`, `manager`)."""

    @property
    def strategy(self) -> Strategy:
        """The way to states, with what was reached so far."""

    def stands(self, state: str, *, person: str, ecu: str | None, role: str) -> bool:
        """Return whether a state of `scenarios.strategy` holds right now, by whatever acts. Looks only: sends nothing, takes no
        time. `unlocked`: this person's unlock in this role is in force, with all that the role may.
        """

    def now_ns(self) -> int:
        """Return the world's time."""

    # ---- people at the portal's pages

    def sign_up(self, person: str) -> Outcome:
        """Make an account and follow the link in the mail."""

    def personal_profile(self, person: str) -> Outcome:
        """Fill in the personal profile."""

    def identity_check(
        self, person: str, *, front: Picture | None, back: Picture | None, video: FaceVideo | None
    ) -> Outcome:
        """Submit documents and face video; None stands for good ones in the person's own name."""

    def wait_for_review(self, person: str) -> Outcome:
        """Press *Update* until the identity check is decided; positive when approved. Fact: `identity`."""

    def company_profile(self, person: str) -> Outcome:
        """Fill in the company profile."""

    def validate_company(self, person: str) -> Outcome:
        """Press *Validate profile*."""

    def invite(self, manager: str, person: str) -> Outcome:
        """The manager invites a person, who has an account and accepts."""

    def disassociate(self, manager: str, person: str) -> Outcome:
        """The manager takes a person out of the company."""

    def reset_second_factor(self, manager: str, person: str) -> Outcome:
        """The manager takes a person's authenticator away."""

    def status(self, person: str) -> Outcome:
        """Look at the page with the three lines. Facts: `personal-profile`, `identity`, `attempts-left`, `company`,
        `enrolled`, `message`.
        """

    def set_phone_clock(self, person: str, *, offset_s: int, drift_ppm: int) -> Outcome:
        """Make the person's phone wrong by so much."""

    # ---- the tester

    def login(self, person: str, *, code: str | None, password: str | None) -> Outcome:
        """Log in on the tester, enrolling the authenticator at the first login. `code`: None for what the app shows,
        `reused` for the last one that was accepted, or six digits.
        """

    def race_login(self, person: str) -> Outcome:
        """Two testers log one person in with one code in one instant. Facts: `winners`, `message` of who lost."""

    def logout(self) -> Outcome:
        """Log out."""

    def identify(self) -> Outcome:
        """Read the VIN and the list of installed units. Facts: `vin`, `units`."""

    def scan(self) -> Outcome:
        """Global system scan. Facts: `units` (that answered), `silent`, `dtcs`."""

    def unlock(self, ecu: str, *, role: str, scope: Sequence[str] | None, hesitate_ns: int = 0) -> Outcome:
        """Fetch an unlock and bring it to the ECU. `result` is the tester's code. Scope None: all that the role may.
        `hesitate_ns`: the tester waits before its last word, the token or the proof.
        """

    def relock(self, ecu: str) -> Outcome:
        """End the grant on command."""

    def unlock_state(self, ecu: str) -> Outcome:
        """Read whether `ecu` is open. Facts: `locked`, `minutes-left`."""

    def request(self, ecu: str, payload: bytes) -> Outcome:
        """Send UDS bytes to one ECU."""

    def functional(self, payload: bytes) -> Outcome:
        """Send UDS bytes to all; positive when anyone answered so. Fact: `answers` (ECU names)."""

    def security_access(self, ecu: str, level: int, *, key: bytes | None) -> Outcome:
        """Request a seed and send the key for it (None: the right one). `level`: the odd request number."""

    def write_coding(self, ecu: str, data: bytes) -> Outcome:
        """Extended session, F199, F198, then the coding DID."""

    def flash(self, ecu: str, flash: FlashOrder) -> Outcome:
        """Flash one block of a unit and reset it. Facts: `transferred` (bytes), `finished`."""

    def sign_change(
        self,
        ecu: str,
        payload: bytes,
        *,
        role: str,
        scope: Sequence[str] | None,
        signed_answer: bool,
        counter: int | None,
    ) -> Outcome:
        """SFD2: have the back end sign one change and keep it for `send_change`. `counter` None: the next one."""

    def send_change(self, ecu: str, *, of: str | None, payload: bytes | None, encrypted: bool) -> Outcome:
        """SFD2: send what was signed last for `of` (None: for `ecu`), as often as one likes. `payload`: another inner request
        than was signed. `encrypted`: say in the header that it is encrypted. The outcome is the inner answer.
        """

    def keep_session(self, *, on: bool) -> Outcome:
        """Start or stop the tester's keep-alive."""

    def export_request(self, ecu: str) -> Outcome:
        """Manual flow: fetch the request structure as text. Fact: `text`."""

    def import_token(self, ecu: str, text: str | None) -> Outcome:
        """Manual flow: write a token from text; None: have the portal make one for the exported request."""

    # ---- vehicle, wire, back end, time

    def change_vehicle(self, change: VehicleChange) -> Outcome:
        """Set values of the vehicle."""

    def rest_bus(self, change: RestBusChange) -> Outcome:
        """Start or stop the vehicle's cyclic messages, or make one wrong."""

    def reset_ecu(self, ecu: str) -> Outcome:
        """Take the supply of one ECU away and give it back."""

    def set_ecu_clock(self, ecu: str, *, offset_s: int, is_set: bool) -> Outcome:
        """Make an ECU's calendar wrong, or lose it."""

    def add_fault(self, rule: FaultRule) -> Outcome:
        """Put a wire fault in force; `rule.from_ns` and `until_ns` count from now."""

    def clear_faults(self) -> Outcome:
        """Take all wire faults out of force."""

    def tamper(self, kind: TamperKind) -> Outcome:
        """Spoil the next unlock that the back end issues."""

    def outage(self, kind: OutageKind, *, duration_ns: int) -> Outcome:
        """Let the back end be away, fail or be slow for so long."""

    def revoke_company(self, person: str) -> Outcome:
        """The back end revokes the company of a person."""

    def revoke_unlock(self) -> Outcome:
        """The back end revokes the last unlock; the vehicles learn of it."""

    def entitle(self, person: str, *, role: str) -> Outcome:
        """The back end entitles a person to a role for this make."""

    def transport(self, ecu: str, change: TransportChange) -> Outcome:
        """Change how a unit's ISO-TP behaves (the gateway's: towards the tester)."""

    def trouble_code(self, ecu: str, code: int, result: TroubleResult, *, times: int = 1) -> Outcome:
        """Let a unit's own test of a trouble code say so, so many times; positive when the last one counted."""

    def unplug(self, *, can_id: int | None, frames: int) -> Outcome:
        """Pull the tester's adapter out of the vehicle's socket: now, or when so many frames with `can_id` went by."""

    def plug_in(self) -> Outcome:
        """Put the adapter back; what was under way is lost."""

    def wait(self, duration_ns: int) -> Outcome:
        """Let time pass."""

    def bus_of(self, ecu: str) -> str:
        """Return the name of the bus on which `ecu` stands (`obd` is the tester's)."""

    def violations(self) -> Sequence[str]:
        """Return what the witness found so far, a line each."""
