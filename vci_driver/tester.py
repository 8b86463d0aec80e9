"""The tester: identifies the car, scans it, logs a person in, unlocks, works, keeps the session, locks again.

It knows the car from its `CarMap` and the bus alone, the portal from `PortalPort` alone. Calls block and pump the world.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from udsoncan.exceptions import InvalidResponseException, NegativeResponseException, UnexpectedResponseException

from vci_driver.authenticator import Authenticator
from vci_driver.car_map import CarMap, EcuEntry, UnlockScheme
from vci_driver.challenge_response import ChallengeResponseScheme
from vci_driver.flashing import PROGRAMMING_LEVEL, FlashBlock, FlashReport, flash
from vci_driver.link import DiagnosticLink
from vci_driver.link_errors import AnswerCutOff, StillPending
from vci_driver.outcome import LockState, StepFailed, UnlockFailed, UnlockReport, UnlockResult
from vci_driver.portal_client import NotLoggedIn, PortalClient, UnlockWish
from vci_driver.signed_changes import ChangeSigner, ChangeTerms, SecuredConnection, not_opened
from vci_driver.signed_seed import SignedSeedScheme
from vci_driver.uds_connection import EcuClient, client_config, make_client
from vci_driver.unlocking import (
    ASK_ERRORS,
    AlreadyOpen,
    CertificateScheme,
    LockStateUnknown,
    Scheme,
    SfdScheme,
    read_state,
)
from wire.entropy import Entropy
from wire.errors import ConfigError, LocalMisuse, RemoteFault, RemoteTimeout
from wire.manual_flow import REQUEST, TOKEN, decode_text, encode_text
from wire.portal_api import LoginStep, PortalError, PortalErrorCode, Unlock, UnlockKind
from wire.seed_key import compute_key
from wire.token import ALL_SCOPES, VIN_LEN, RequestStructure, Role, Scope, TokenFormatError
from wire.uds import Nrc, Session

VIN_DID, PART_NUMBER_DID, NAME_DID, STATE_DID, ACTIVE_SESSION_DID = 0xF190, 0xF187, 0xF197, 0x0174, 0xF186
WORKSHOP_CODE_DID, PROGRAMMING_DATE_DID, CODING_DID = 0xF198, 0xF199, 0x0600
WORKSHOP_CODE = bytes.fromhex("00 00 01 E2 40 07")
"""A workshop code of our own: it names nobody."""
ALL_DTCS = 0xFF
RESET_PATIENCE_NS = 1_000_000_000
"""How long a gateway that was reset in order to lock it is left alone: it hears nothing meanwhile (our own choice)."""
DAY_S = 24 * 3600

LOGON_CODES = frozenset(
    {
        PortalErrorCode.SESSION_INVALID,
        PortalErrorCode.CODE_REJECTED,
        PortalErrorCode.THROTTLED,
        PortalErrorCode.LOCKED_OUT,
        PortalErrorCode.SECOND_FACTOR_REQUIRED,
        PortalErrorCode.NOT_ENROLLED,
    }
)
"""Portal refusals that mean: the user log-on failed (-3); any other means that no token came (-5)."""

LOCKED_CODES = frozenset({Nrc.securityAccessDenied, Nrc.authenticationRequired})
BEFORE_THE_LOCK = frozenset({Nrc.busyRepeatRequest, Nrc.serviceNotSupported, Nrc.serviceNotSupportedInActiveSession})
"""Refusals that come before a server looks at its lock (ISO 14229-1, order of refusal)."""

NOT_SAID = (NegativeResponseException, InvalidResponseException, UnexpectedResponseException, RemoteFault)
"""What a unit may do instead of telling what a scan asks. A lost adapter is none of it: that ends the scan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitReport:
    """One line of the global system scan. `dtcs` None: the unit did not say. `locked` None: it has no lock of its own."""

    name: str
    title: str
    address: int
    reachable: bool
    part_number: str = ""
    system_name: str = ""
    dtcs: int | None = None
    locked: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Identification:
    """What the car says of itself. `installed`: names of the units that its gateway lists."""

    vin: str
    installed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What the tester is doing, for whoever watches; `wait_s` above 0 while it waits for the next code."""

    text: str
    wait_s: int = 0


@dataclass(slots=True)
class _Person:
    """Who is logged in, with the authenticator that gives the codes."""

    email: str
    authenticator: Authenticator | None


@dataclass(slots=True)
class Tester:
    """A workshop's tester on one car. `on_progress` is told what it does, waits included."""

    link: DiagnosticLink
    portal: PortalClient
    entropy: Entropy
    today: Callable[[], bytes]
    """Returns the programming date as three BCD bytes, by the tester's own calendar."""
    on_progress: Callable[[Progress], None] = lambda _: None
    vin: str | None = None
    _person: _Person | None = None
    _clients: dict[str, EcuClient] = field(default_factory=dict)

    @property
    def car(self) -> CarMap:
        """The car as the tester knows it."""
        return self.link.car

    # ---- looking

    def ecu(self, name: str) -> EcuClient:
        """Return udsoncan's client for a control unit. Raises `UnknownEcu`."""
        client = self._clients.get(name)
        if client is None:
            self.car.ecu(name)
            client = self._clients[name] = make_client(self.link, name, self._key_function(name))
        return client

    def identify(self) -> Identification:
        """Read the VIN and the list of installed units."""
        self.vin = None  # another car may hang on the socket by now
        errors: list[Exception] = []
        for source in self.car.vin_sources or (self.car.gateway,):
            try:
                self.vin = _vin(source, self._read(source, VIN_DID))
                break
            except ASK_ERRORS as error:
                errors.append(error)
        if self.vin is None:
            raise errors[0]
        return Identification(vin=self.vin, installed=self._installed())

    def _installed(self) -> tuple[str, ...]:
        did = self.car.installed_units_did
        if did is None:
            return self.car.names
        addresses = self._read(self.car.gateway, did)
        return tuple(entry.name for entry in self.car.ecus if entry.address & 0xFF in addresses)

    def scan(self) -> list[UnitReport]:
        """Ask every unit of the car map for itself, its trouble codes and its lock: the global system scan."""
        reports = []
        for entry in self.car.ecus:
            self.on_progress(Progress(text=f"scanning {entry.title or entry.name}"))
            reports.append(self._scan_unit(entry.name))
        return reports

    def _scan_unit(self, name: str) -> UnitReport:
        entry = self.car.ecu(name)
        try:
            part_number = self._read(name, PART_NUMBER_DID).decode("ascii", "replace")
        except RemoteTimeout as silence:
            if not isinstance(silence.__cause__, StillPending | AnswerCutOff):  # then it did say something
                return UnitReport(name=name, title=entry.title, address=entry.address, reachable=False)
            part_number = ""
        except NOT_SAID:
            part_number = ""
        return UnitReport(
            name=name,
            title=entry.title,
            address=entry.address,
            reachable=True,
            part_number=part_number.strip(),
            system_name=self._text_or_nothing(name, NAME_DID),
            dtcs=self._dtc_count(name),
            locked=self._locked_or_none(name),
        )

    def _read(self, name: str, did: int) -> bytes:
        response = self.ecu(name).read_data_by_identifier(did)
        assert response is not None
        return bytes(response.service_data.values[did])

    def _text_or_nothing(self, name: str, did: int) -> str:
        try:
            return self._read(name, did).decode("ascii", "replace").strip()
        except NOT_SAID:
            return ""

    def _dtc_count(self, name: str) -> int | None:
        try:
            response = self.ecu(name).get_number_of_dtc_by_status_mask(ALL_DTCS)
        except NOT_SAID:
            return None
        return None if response is None else int(response.service_data.dtc_count)

    def _locked_or_none(self, name: str) -> bool | None:
        if self.car.ecu(name).scheme not in (UnlockScheme.SFD, UnlockScheme.SFD2):
            return None
        try:
            return read_state(self.ecu(name)).locked
        except NOT_SAID:
            return None

    # ---- the person

    def login(
        self,
        email: str,
        password: str,
        second_factor: Callable[[LoginStep], str],
        authenticator: Callable[[], Authenticator | None],
    ) -> None:
        """Log a person in. `second_factor` answers the login step with a code; `authenticator` is asked once that is done.

        Raises `PortalError`.
        """
        self._person = None
        self.portal.login(email, password, second_factor)
        self._person = _Person(email, authenticator())

    def logout(self) -> None:
        """Log out."""
        self._person = None
        self.portal.logout()

    # ---- unlocking

    def unlock(
        self, name: str, *, role: int = Role.AFTER_SALES, scope: int = ALL_SCOPES, hesitate_ns: int = 0
    ) -> UnlockReport:
        """Open the lock that holds `name` closed. Raises `UnlockFailed` with the field's result code and the cause.

        A signed-seed lock that is open already stays as it is: the report then names no audit record.
        `hesitate_ns`: how long the tester waits before its last word, the token or the proof.
        """
        holder = self.car.holder_of(name)
        scheme = self._scheme(holder)
        if scheme is None:
            signed = holder.scheme is UnlockScheme.SFD2
            misuse = not_opened(name) if signed else LocalMisuse(f"{name!r} has no lock")
            raise UnlockFailed(UnlockReport(ecu=name, result=UnlockResult.SERVICE_NOT_FOUND, cause=misuse)) from misuse
        try:
            vin = self._known_vin()
            client = self._prepared(holder.name)
            self.on_progress(Progress(text=f"fetching the unlock request of {holder.name}"))
            challenge = scheme.challenge(client)
            unlock = self._issued(
                UnlockWish(
                    kind=scheme.kind,
                    make=self.car.make,
                    vin=vin,
                    ecu_address=holder.address,
                    role=role,
                    scope=scope,
                    challenge=challenge,
                )
            )
            self.on_progress(Progress(text=f"bringing the unlock to {holder.name}"))
            scheme.present(client, unlock.payload, vin, holder, lambda: self.wait(hesitate_ns))
            state = self._state_after(holder.name, scheme)
        except AlreadyOpen:
            return UnlockReport(ecu=holder.name, result=UnlockResult.OK)
        except StepFailed as failure:
            report = UnlockReport(ecu=holder.name, result=failure.result, cause=failure.cause)
            raise UnlockFailed(report) from failure.cause
        return UnlockReport(
            ecu=holder.name, result=UnlockResult.OK, minutes_left=state.minutes_left, audit_id=unlock.audit_id
        )

    def _scheme(self, holder: EcuEntry) -> Scheme | None:
        match holder.scheme:
            case UnlockScheme.SFD:
                return SfdScheme()
            case UnlockScheme.CERTIFICATE:
                return CertificateScheme(self.entropy)
            case UnlockScheme.SIGNED_SEED:
                return _signed_seed(holder)
            case UnlockScheme.CHALLENGE_RESPONSE:
                return ChallengeResponseScheme(self.entropy)
            case _:
                return None

    def _known_vin(self) -> str:
        if self.vin is None:
            try:
                self.identify()
            except ASK_ERRORS as error:
                if self.vin is None:  # without the list of units it goes on
                    raise StepFailed(UnlockResult.READING_STATE_FAILED, error) from error
        assert self.vin is not None
        return self.vin

    def _prepared(self, name: str) -> EcuClient:
        """Enter the extended session and keep it: the portal may take its time."""
        client = self.ecu(name)
        try:
            client.change_session(Session.extendedDiagnosticSession)
        except ASK_ERRORS as error:
            raise StepFailed(UnlockResult.READING_STATE_FAILED, error) from error
        self.link.hold_session(name)
        return client

    def _issued(self, wish: UnlockWish) -> Unlock:
        self.on_progress(Progress(text="asking the back end"))
        try:
            unlock = self.portal.request_unlock(wish, self._second_factor_code(wish.kind))
        except NotLoggedIn as error:
            raise StepFailed(UnlockResult.LOGON_FAILED, error) from error
        except PortalError as error:
            raise StepFailed(portal_result(error), error) from error
        if not unlock.payload:
            raise StepFailed(UnlockResult.NO_TOKEN_RECEIVED, RemoteFault("the back end's answer is empty"))
        return unlock

    def _second_factor_code(self, kind: UnlockKind) -> str | None:
        """Return a new code where the make asks for one at each unlock; waits, visibly, until the digits change."""
        person, car = self._person, self.car
        each = car.second_factor_per_change if kind is UnlockKind.SIGNED_CHANGE else car.second_factor_per_unlock
        if not each or person is None or person.authenticator is None:
            return None
        world = self.link.world
        if person.authenticator.needs_new_step(world.now_ns):
            wait_s = person.authenticator.seconds_until_next_step(world.now_ns)
            self.on_progress(Progress(text="waiting for the next code of the authenticator", wait_s=wait_s))
        return person.authenticator.fresh_code(world)

    def _state_after(self, name: str, scheme: Scheme) -> LockState:
        if scheme.kind in (UnlockKind.CERTIFICATE, UnlockKind.PROOF):
            return LockState(locked=False)
        try:
            state = scheme.state(self.ecu(name)) if isinstance(scheme, SignedSeedScheme) else read_state(self.ecu(name))
        except ASK_ERRORS as error:
            raise StepFailed(UnlockResult.READING_STATE_FAILED, error) from error
        if state.locked:
            fault = RemoteFault(f"{name!r} answered well to the unlock and says that it is still locked")
            raise StepFailed(UnlockResult.WRITING_TOKEN_FAILED, fault)
        return state

    def unlock_state(self, name: str) -> LockState:
        """Return whether the lock of `name` is open. A certificate gateway is asked by a harmless protected request, one with a
        signed seed for a seed: it is zero when open.

        Raises `LockStateUnknown` where the unit does not say, and what udsoncan raises.
        """
        holder = self.car.holder_of(name)
        match holder.scheme:
            case UnlockScheme.SFD | UnlockScheme.SFD2:
                return read_state(self.ecu(holder.name))
            case UnlockScheme.CERTIFICATE | UnlockScheme.CHALLENGE_RESPONSE:
                return self._probe(holder.name)
            case UnlockScheme.SIGNED_SEED:
                client = self.ecu(holder.name)
                if not self._in_extended_session(holder.name):
                    client.change_session(
                        Session.extendedDiagnosticSession
                    )  # not again: it would void what is under way
                return _signed_seed(holder).state(client)
            case _:
                raise LocalMisuse(f"{name!r} has no lock")

    def _probe(self, name: str) -> LockState:
        """Ask a certificate gateway for a seed: it refuses with 0x34 while it is locked."""
        client = self.ecu(name)
        client.change_session(Session.extendedDiagnosticSession)
        level = min(self.car.ecu(name).security, default=0x03)
        try:
            client.request_seed(level)
        except NegativeResponseException as refused:
            if refused.response.code in LOCKED_CODES:
                return LockState(locked=True)
            if refused.response.code in BEFORE_THE_LOCK:
                raise LockStateUnknown(f"{name!r} does not say whether it is open: {refused}") from refused
        return LockState(locked=False)

    def relock(self, name: str) -> None:
        """End the grant on command; a signed-seed gateway, which has none, by its reset. Raises what udsoncan raises, and
        `NoLockCommand` where the reset is refused.
        """
        holder = self.car.holder_of(name)
        scheme = SfdScheme() if holder.scheme is UnlockScheme.SFD2 else self._scheme(holder)
        if scheme is None:
            raise LocalMisuse(f"{name!r} has no lock")
        client = self.ecu(holder.name)
        client.change_session(Session.extendedDiagnosticSession)
        scheme.lock(client)
        if isinstance(scheme, SignedSeedScheme):
            self.wait(RESET_PATIENCE_NS)

    # ---- the manual flow

    def export_request(self, name: str) -> str:
        """Fetch an SFD request structure and return it as text that a person can carry to the portal.

        Raises `UnlockFailed`; and `LocalMisuse` where the lock is none that a token opens.
        """
        holder = self._sfd_holder(name)
        try:
            vin = self._known_vin()
            challenge = SfdScheme().challenge(self._prepared(holder.name))
        except StepFailed as failure:
            report = UnlockReport(ecu=holder.name, result=failure.result, cause=failure.cause)
            raise UnlockFailed(report) from failure.cause
        headers: Mapping[str, str] = {"Make": self.car.make, "VIN": vin, "Unit": f"{holder.address:02X}"}
        return encode_text(REQUEST, headers, challenge)

    def sign_request(self, text: str, *, role: int = Role.AFTER_SALES, scope: int = ALL_SCOPES) -> str:
        """Take an exported request to the portal and return the token as text. Raises `ConfigError`, `PortalError`."""
        headers, challenge = decode_text(REQUEST, text)
        try:
            structure = RequestStructure.decode(challenge)
        except TokenFormatError as error:
            raise ConfigError(f"this is not an unlock request: {error}") from None
        wish = UnlockWish(
            kind=UnlockKind.SFD_TOKEN,
            make=headers.get("Make", self.car.make),
            vin=structure.vin,
            ecu_address=structure.ecu_address,
            role=role,
            scope=scope,
            challenge=challenge,
            manual=True,
        )
        unlock = self.portal.request_unlock(wish, self._second_factor_code(wish.kind))
        return encode_text(TOKEN, {"VIN": structure.vin, "Unit": f"{structure.ecu_address:02X}"}, unlock.payload)

    def import_token(self, name: str, text: str) -> UnlockReport:
        """Write a token from text. Raises `ConfigError` for a text that is none, `UnlockFailed` when the unit refuses it."""
        holder = self._sfd_holder(name)
        _, payload = decode_text(TOKEN, text)
        scheme = SfdScheme()
        try:
            client = self._prepared(holder.name)
            scheme.present(client, payload, self.vin or "", holder)
            state = self._state_after(holder.name, scheme)
        except StepFailed as failure:
            report = UnlockReport(ecu=holder.name, result=failure.result, cause=failure.cause)
            raise UnlockFailed(report) from failure.cause
        return UnlockReport(ecu=holder.name, result=UnlockResult.OK, minutes_left=state.minutes_left)

    def _sfd_holder(self, name: str) -> EcuEntry:
        holder = self.car.holder_of(name)
        if holder.scheme is not UnlockScheme.SFD:
            raise LocalMisuse(f"{name!r} has no lock that a token carried by hand opens")
        return holder

    # ---- working

    def write_coding(self, name: str, data: bytes) -> None:
        """Extended session, programming date, workshop code, coding; signed, each, where the unit has SFD2.

        Raises what udsoncan raises; `UnlockFailed` where no signature came, or none was taken.
        """
        if not isinstance(data, bytes):  # bytes(8) would be eight zeros
            raise LocalMisuse(f"a coding is bytes, as in bytes.fromhex('01 02'), not {data!r}")
        signed = self.car.ecu(name).scheme is UnlockScheme.SFD2
        client = self.secured(name, scope=Scope.CODING) if signed else self.ecu(name)
        if not self._in_extended_session(name):
            client.change_session(Session.extendedDiagnosticSession)  # not again: it would close an open 0x27 level
        client.write_data_by_identifier(PROGRAMMING_DATE_DID, self.today())
        client.write_data_by_identifier(WORKSHOP_CODE_DID, WORKSHOP_CODE)
        client.write_data_by_identifier(CODING_DID, data)

    def _in_extended_session(self, name: str) -> bool:
        try:
            return self._read(name, ACTIVE_SESSION_DID)[-1:] == bytes((Session.extendedDiagnosticSession,))
        except NegativeResponseException:
            return False  # it does not say

    def secured(self, name: str, *, role: int = Role.AFTER_SALES, scope: int = ALL_SCOPES) -> EcuClient:
        """Return udsoncan's client for a unit with SFD2: what it writes, starts or controls is signed by the back end, each for
        itself; everything else goes as it is. Besides what udsoncan raises, a change may raise `UnlockFailed`.
        """
        terms = ChangeTerms(role=role, scope=scope)
        connection = SecuredConnection(self.link, name, self.change_signer, terms)
        return EcuClient(connection, config=client_config(self._key_function(name)))

    @property
    def change_signer(self) -> ChangeSigner:
        """What has single changes signed and sends them, for who wants to do either apart."""
        return ChangeSigner(self.link, vin=self._known_vin, prepare=self._ready_for_changes, issue=self._issued)

    def _ready_for_changes(self, name: str) -> EcuClient:
        """Be in the extended session, and keep it; entering it again would forget what was written in it."""
        try:
            if not self._in_extended_session(name):
                return self._prepared(name)
        except ASK_ERRORS as error:
            raise StepFailed(UnlockResult.READING_STATE_FAILED, error) from error
        self.link.hold_session(name)
        return self.ecu(name)

    def security_access(self, name: str, level: int) -> None:
        """Extended session, seed, key. Raises what udsoncan raises."""
        client = self.ecu(name)
        client.change_session(Session.extendedDiagnosticSession)
        client.unlock_security_access(level)

    def flash(
        self,
        name: str,
        blocks: tuple[FlashBlock, ...],
        *,
        level: int = PROGRAMMING_LEVEL,
        stop_after: int | None = None,
    ) -> FlashReport:
        """Flash a unit and reset it; see `vci_driver.flashing`. The lock that holds it was opened before."""
        self.on_progress(Progress(text=f"flashing {name}"))
        client = self.ecu(name)
        self.link.hold_session(name)
        return flash(client, name, blocks, fingerprint=self.today(), level=level, stop_after=stop_after)

    def wait(self, duration_ns: int) -> None:
        """Let time pass, with the keep-alive running if it was started."""
        self.link.world.run_for(duration_ns)

    def _key_function(self, name: str) -> Callable[[int, bytes, object], bytes]:
        security = self.car.ecu(name).security

        def key(level: int, seed: bytes, params: object) -> bytes:  # noqa: ARG001 - udsoncan's signature
            way = security.get(level)
            if way is None:
                raise LocalMisuse(f"the car map has no seed/key algorithm for level {level:#04x} of {name!r}")
            return compute_key(way.algorithm, seed, way.secret, level)

        return key


def _signed_seed(holder: EcuEntry) -> SignedSeedScheme:
    assert holder.lock_level is not None, "the car map has checked that"
    return SignedSeedScheme(holder.lock_level)


def portal_result(error: PortalError) -> UnlockResult:
    """Return what a portal's refusal of an unlock means: that the log-on failed, or that no token came."""
    return UnlockResult.LOGON_FAILED if error.code in LOGON_CODES else UnlockResult.NO_TOKEN_RECEIVED


def _vin(source: str, value: bytes) -> str:
    """Return a VIN as text: 17 letters and digits (ISO 3779); a unit that was never told one has other bytes there."""
    if len(value) != VIN_LEN or not value.isalnum():
        raise RemoteFault(f"{source!r} answered {value[:VIN_LEN].hex(' ')} instead of a VIN")
    return value.decode("ascii")


def bcd_date(utc_s: int) -> bytes:
    """Return year, month, day in BCD, as F199 wants it."""
    day = date(1970, 1, 1) + timedelta(days=utc_s // DAY_S)
    return bytes.fromhex(day.strftime("%y%m%d"))
