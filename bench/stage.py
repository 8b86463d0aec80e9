"""The bench as a scenario sees it: every act ends in an `Outcome`; what the other side refuses does not raise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from udsoncan.exceptions import NegativeResponseException

from bench.outcomes import Facts, answered, portal_refused, status_facts, trouble_outcome, unfit, unlock_failed
from bench.tester import role_of, scope_of
from bench.vehicle_file import OBD
from scenarios.stage import (
    FlashOrder,
    OutageKind,
    Outcome,
    OutcomeKind,
    RestBusChange,
    TamperKind,
    TransportChange,
    TroubleResult,
    VehicleChange,
)
from scenarios.strategy import Strategy
from vci_driver.flashing import FlashBlock
from vci_driver.outcome import UnlockFailed, UnlockReport, UnlockResult
from vci_driver.portal_client import NotLoggedIn
from vci_driver.signed_changes import ChangeTerms, SignedChange
from vci_driver.tester import portal_result
from vci_driver.unlocking import ASK_ERRORS
from wire.errors import ConfigError, LocalMisuse, NotOnThisCarrier, RemoteTimeout, WorldStopped
from wire.faults import FaultRule
from wire.portal_api import CheckState, Done, FaceVideo, Picture, PortalError
from wire.secured import Administrative
from wire.uds import NEGATIVE_RESPONSE, nrc_name

if TYPE_CHECKING:
    from bench.bench import Bench
    from bench.person import Person

DONE = Outcome(kind=OutcomeKind.POSITIVE, text="done")


class BenchStage:
    """Implements `scenarios.stage.Stage`."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._exported: dict[str, str] = {}
        self._last_audit_id: str | None = None
        self._reached: set[tuple[str, str]] = set()
        self._unlocks: dict[str, tuple[str | None, str, str]] = {}
        self._changes: dict[str, SignedChange] = {}

    @property
    def strategy(self) -> Strategy:
        """The way to states."""
        return self._bench.strategy

    def stands(self, state: str, *, person: str, ecu: str | None, role: str) -> bool:
        """See `Stage`."""
        match state:
            case "logged-in":
                return self._bench.tester().person == person
            case "unlocked" if ecu is not None:
                ident = self._grant_ident(ecu)
                return ident is not None and self._unlocks.get(self._holder(ecu)) == (person, role, ident)
            case _:
                return (state, person) in self._reached

    def _holder(self, ecu: str) -> str:
        return self._bench.tester().core.car.holder_of(ecu).name

    def _grant_ident(self, ecu: str) -> str | None:
        return self._bench.car.grant_ident(self._holder(ecu))

    def now_ns(self) -> int:
        """Return the world's time."""
        return self._bench.world.now_ns

    # ---- people

    def _page(self, act: Callable[[], Done], *, reaches: tuple[str, str] | None = None) -> Outcome:
        try:
            done = act()
        except PortalError as error:
            return portal_refused(error)
        if reaches is not None:
            self._reached.add(reaches)
        return Outcome(kind=OutcomeKind.POSITIVE, text=done.message or "done", facts={"message": done.message})

    def _person(self, name: str) -> Person:
        return self._bench.person(name)

    def sign_up(self, person: str) -> Outcome:
        """See `Stage`."""
        return self._page(self._person(person).sign_up, reaches=("signed-up", person))

    def personal_profile(self, person: str) -> Outcome:
        """See `Stage`."""
        return self._page(self._person(person).personal_profile)

    def identity_check(
        self, person: str, *, front: Picture | None, back: Picture | None, video: FaceVideo | None
    ) -> Outcome:
        """See `Stage`."""
        return self._page(lambda: self._person(person).identity_check(front, back, video))

    def wait_for_review(self, person: str) -> Outcome:
        """See `Stage`."""
        try:
            status = self._person(person).wait_for_review()
        except PortalError as error:
            return portal_refused(error)
        approved = status.identity is CheckState.APPROVED
        if approved:
            self._reached.add(("identity-checked", person))
        kind = OutcomeKind.POSITIVE if approved else OutcomeKind.FAILED
        return Outcome(kind=kind, text=f"identity check {status.identity.value}", facts=status_facts(status))

    def company_profile(self, person: str) -> Outcome:
        """See `Stage`."""
        return self._page(self._person(person).company_profile)

    def validate_company(self, person: str) -> Outcome:
        """See `Stage`."""
        return self._page(self._person(person).validate_company, reaches=("validated", person))

    def invite(self, manager: str, person: str) -> Outcome:
        """See `Stage`."""
        return self._page(lambda: self._person(manager).invite(self._person(person)), reaches=("validated", person))

    def disassociate(self, manager: str, person: str) -> Outcome:
        """See `Stage`."""
        self._reached.discard(("validated", person))
        return self._page(lambda: self._person(manager).disassociate(self._person(person)))

    def reset_second_factor(self, manager: str, person: str) -> Outcome:
        """See `Stage`."""
        return self._page(lambda: self._person(manager).reset_second_factor(self._person(person)))

    def status(self, person: str) -> Outcome:
        """See `Stage`."""
        try:
            status = self._person(person).status()
        except PortalError as error:
            return portal_refused(error)
        text = f"identity {status.identity.value}, company {status.company.value}"
        return Outcome(kind=OutcomeKind.POSITIVE, text=text, facts=status_facts(status))

    def set_phone_clock(self, person: str, *, offset_s: int, drift_ppm: int) -> Outcome:
        """See `Stage`."""
        clock = self._person(person).phone_clock
        clock.offset_s, clock.drift_ppm = offset_s, drift_ppm
        return DONE

    # ---- the tester

    def login(self, person: str, *, code: str | None, password: str | None) -> Outcome:
        """See `Stage`."""
        tester = self._bench.tester()
        if code == "reused":
            code = tester.accepted_code.get(person, "000000")
        try:
            tester.login(person, code=code, password=password)
        except PortalError as error:
            return portal_refused(error)
        return Outcome(kind=OutcomeKind.POSITIVE, text=f"{self._person(person).full_name} is logged in")

    def race_login(self, person: str) -> Outcome:
        """See `Stage`."""
        try:
            lost = self._bench.tester().race_login(person)
        except PortalError as error:
            return portal_refused(error)
        message = " ".join(error.sentence for error in lost)
        facts: Facts = {"winners": 2 - len(lost), "message": message}
        return Outcome(
            kind=OutcomeKind.POSITIVE, text=f"{2 - len(lost)} of 2 testers logged in. {message}", facts=facts
        )

    def logout(self) -> Outcome:
        """See `Stage`."""
        try:
            self._bench.tester().logout()
        except PortalError as error:
            return portal_refused(error)
        return Outcome(kind=OutcomeKind.POSITIVE, text="logged out")

    def _ask(self, act: Callable[[], Outcome]) -> Outcome:
        """Run an act that talks to a unit; a refusal, silence or broken answer is an outcome. Fact: `pending`, the 0x78s."""
        counters = self._bench.tester().core.link.counters
        before = counters.pending
        outcome = self._outcome(act)
        return replace(outcome, facts={**outcome.facts, "pending": counters.pending - before})

    def _outcome(self, act: Callable[[], Outcome]) -> Outcome:
        try:
            return act()
        except NegativeResponseException as refused:
            nrc = refused.response.code or 0
            return Outcome(kind=OutcomeKind.NEGATIVE, text=f"refused with {nrc_name(nrc)}", nrc=nrc)
        except RemoteTimeout as error:
            return Outcome(kind=OutcomeKind.SILENCE, text=str(error))
        except (LocalMisuse, ConfigError, NotOnThisCarrier, WorldStopped):
            raise
        except ASK_ERRORS as error:
            return Outcome(kind=OutcomeKind.FAILED, text=str(error) or type(error).__name__)

    def identify(self) -> Outcome:
        """See `Stage`."""

        def act() -> Outcome:
            found = self._bench.tester().identify()
            facts: Facts = {"vin": found.vin, "units": found.installed}
            return Outcome(kind=OutcomeKind.POSITIVE, text=f"{found.vin}, {len(found.installed)} units", facts=facts)

        return self._ask(act)

    def scan(self) -> Outcome:
        """See `Stage`."""

        def act() -> Outcome:
            reports = self._bench.tester().scan()
            facts: Facts = {
                "units": tuple(report.name for report in reports if report.reachable),
                "silent": tuple(report.name for report in reports if not report.reachable),
                "dtcs": sum(report.dtcs or 0 for report in reports),
            }
            locked = sum(report.locked is True for report in reports)
            silent = sum(not report.reachable for report in reports)
            units = f"{len(reports)} units" + (f" ({silent} silent)" if silent else "")
            text = f"{units}, {facts['dtcs']} trouble codes, {locked} with a closed lock"
            return Outcome(kind=OutcomeKind.POSITIVE, text=text, facts=facts)

        return self._ask(act)

    def unlock(self, ecu: str, *, role: str, scope: Sequence[str] | None, hesitate_ns: int = 0) -> Outcome:
        """See `Stage`."""
        tester = self._bench.tester()

        def act() -> Outcome:
            try:
                report = tester.unlock(ecu, role=role, scope=scope, hesitate_ns=hesitate_ns)
            except UnlockFailed as failed:
                return unlock_failed(failed)
            ident = self._grant_ident(ecu)
            if (
                scope is None and ident is not None and report.audit_id is not None
            ):  # else somebody had opened it before
                self._unlocks[self._holder(ecu)] = (tester.person, role, ident)
            return self._opened(report)

        return self._ask(act)

    def _opened(self, report: UnlockReport) -> Outcome:
        if report.audit_id is not None:
            self._last_audit_id = report.audit_id
        facts: dict[str, object] = {"locked": False}
        if report.minutes_left is not None:
            facts["minutes-left"] = report.minutes_left
        return Outcome(kind=OutcomeKind.POSITIVE, text=report.text, result=int(report.result), facts=facts)

    def relock(self, ecu: str) -> Outcome:
        """See `Stage`."""

        def act() -> Outcome:
            if self._bench.tester().core.car.holder_of(ecu).scheme is None:
                misuse = LocalMisuse(f"{ecu!r} has no lock")
                report = UnlockReport(ecu=ecu, result=UnlockResult.SERVICE_NOT_FOUND, cause=misuse)
                return unlock_failed(UnlockFailed(report))
            self._bench.tester().relock(ecu)
            return Outcome(kind=OutcomeKind.POSITIVE, text=f"{ecu} is locked")

        return self._ask(act)

    def unlock_state(self, ecu: str) -> Outcome:
        """See `Stage`."""

        def act() -> Outcome:
            state = self._bench.tester().unlock_state(ecu)
            left = "" if state.minutes_left is None else f", {state.minutes_left} min left"
            facts: Facts = {"locked": state.locked, "minutes-left": state.minutes_left or 0}
            text = f"{ecu} is {'locked' if state.locked else 'open' + left}"
            return Outcome(kind=OutcomeKind.POSITIVE, text=text, facts=facts)

        return self._ask(act)

    def request(self, ecu: str, payload: bytes) -> Outcome:
        """See `Stage`."""

        def act() -> Outcome:
            return answered(self._bench.tester().core.link.request(ecu, payload))

        return self._ask(act)

    def functional(self, payload: bytes) -> Outcome:
        """See `Stage`."""

        def act() -> Outcome:
            answers = self._bench.tester().core.link.send_functional(payload)
            positive = tuple(unit for unit, answer in answers if answer[0] != NEGATIVE_RESPONSE)
            if not answers:
                return Outcome(kind=OutcomeKind.SILENCE, text="no unit answered")
            if not positive:
                return replace(answered(answers[0][1]), facts={"answers": ()})
            text = f"answered by {', '.join(positive)}"
            return Outcome(kind=OutcomeKind.POSITIVE, text=text, facts={"answers": positive})

        return self._ask(act)

    def security_access(self, ecu: str, level: int, *, key: bytes | None) -> Outcome:
        """See `Stage`."""

        def act() -> Outcome:
            tester = self._bench.tester()
            if key is None:
                tester.security_access(ecu, level)
                return Outcome(kind=OutcomeKind.POSITIVE, text=f"level {level:02X} of {ecu} is open")
            client = tester.ecu(ecu)
            client.request_seed(level)
            client.send_key(level + 1, key)
            return Outcome(kind=OutcomeKind.POSITIVE, text="the key was taken")

        return self._ask(act)

    def write_coding(self, ecu: str, data: bytes) -> Outcome:
        """See `Stage`."""

        def act() -> Outcome:
            try:
                self._bench.tester().write_coding(ecu, data)
            except UnlockFailed as failed:  # of a change that is signed for itself
                return unlock_failed(failed)
            return Outcome(kind=OutcomeKind.POSITIVE, text=f"{ecu} took the coding")

        return self._ask(act)

    def flash(self, ecu: str, flash: FlashOrder) -> Outcome:
        """See `Stage`."""
        block = FlashBlock(number=flash.block, address=flash.address, data=flash.data)

        def act() -> Outcome:
            report = self._bench.tester().flash(ecu, block, stop_after=flash.stop_after)
            facts: Facts = {"transferred": report.transferred, "finished": report.finished}
            text = f"{ecu} runs {flash.version}" if report.finished else f"left {ecu} after {report.transferred} bytes"
            return Outcome(kind=OutcomeKind.POSITIVE, text=text, facts=facts)

        return self._ask(act)

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
        """See `Stage`."""
        terms = ChangeTerms(role=role_of(role), scope=scope_of(scope), signed_answer=signed_answer, counter=counter)

        def act() -> Outcome:
            try:
                change = self._changes[ecu] = self._bench.tester().core.change_signer.signed(ecu, payload, terms)
            except UnlockFailed as failed:
                return unlock_failed(failed)
            self._last_audit_id = change.audit_id
            return Outcome(
                kind=OutcomeKind.POSITIVE, text=f"the back end signed change {change.message.counter} of {ecu}"
            )

        return self._ask(act)

    def send_change(self, ecu: str, *, of: str | None, payload: bytes | None, encrypted: bool) -> Outcome:
        """See `Stage`."""
        change = self._changes.get(of or ecu)
        if change is None:
            raise LocalMisuse(f"no change of {of or ecu!r} was signed on this stage: sign-change comes before")
        message = change.message
        if payload is not None:
            message = replace(message, inner=payload)
        if encrypted:
            message = replace(message, administrative=message.administrative | Administrative.ENCRYPTED)
        sent = replace(change, unit=ecu, message=message)

        def act() -> Outcome:
            try:
                return answered(self._bench.tester().core.change_signer.send(sent))
            except UnlockFailed as failed:
                return unlock_failed(failed)

        return self._ask(act)

    def keep_session(self, *, on: bool) -> Outcome:
        """See `Stage`."""
        self._bench.tester().core.link.keep_alive(on=on)
        return DONE

    def export_request(self, ecu: str) -> Outcome:
        """See `Stage`."""

        def act() -> Outcome:
            try:
                text = self._exported[ecu] = self._bench.tester().core.export_request(ecu)
            except UnlockFailed as failed:
                return unlock_failed(failed)
            return Outcome(kind=OutcomeKind.POSITIVE, text=f"request of {ecu} exported", facts={"text": text})

        return self._ask(act)

    def import_token(self, ecu: str, text: str | None) -> Outcome:
        """See `Stage`."""
        if text is None:
            signed = self._signed(ecu)
            if isinstance(signed, Outcome):
                return signed
            text = signed
        try:
            return self._opened(self._bench.tester().core.import_token(ecu, text))
        except UnlockFailed as failed:
            return unlock_failed(failed)
        except ConfigError as error:
            return unfit(f"not a token: {error}", UnlockResult.WRITING_TOKEN_FAILED)

    def _signed(self, ecu: str) -> str | Outcome:
        """Take what was exported to the portal; return the token's text, or why there is none."""
        if ecu not in self._exported:
            raise LocalMisuse(
                f"no request of {ecu!r} was exported on this stage: export it first, or give the token's text"
            )
        try:
            return self._bench.tester().core.sign_request(self._exported[ecu])
        except PortalError as error:
            return portal_refused(error, result=portal_result(error))
        except NotLoggedIn as error:
            return unfit(str(error), UnlockResult.LOGON_FAILED)
        except ConfigError as error:
            return unfit(str(error), UnlockResult.READING_REQUEST_FAILED)

    # ---- vehicle, wire, back end, time

    def change_vehicle(self, change: VehicleChange) -> Outcome:
        """See `Stage`."""
        self._bench.car.change(change)
        return self._noted("vehicle", repr(change))

    def _noted(self, act: str, text: str) -> Outcome:
        """Write into the trace what was done from outside: who reads it sees why the frames after it are different."""
        self._bench.trace.note(self.now_ns(), act, text.encode())
        return DONE

    def rest_bus(self, change: RestBusChange) -> Outcome:
        """See `Stage`."""
        self._bench.car.change_rest_bus(change)
        return self._noted("rest-bus", repr(change))

    def reset_ecu(self, ecu: str) -> Outcome:
        """See `Stage`."""
        self._bench.car.reset(ecu)
        return self._noted("reset-ecu", ecu)

    def set_ecu_clock(self, ecu: str, *, offset_s: int, is_set: bool) -> Outcome:
        """See `Stage`."""
        self._bench.car.set_clock(ecu, offset_s=offset_s, is_set=is_set)
        return self._noted("ecu-clock", f"{ecu} offset_s={offset_s} is_set={is_set}")

    def add_fault(self, rule: FaultRule) -> Outcome:
        """See `Stage`."""
        return self._noted("fault", repr(self._bench.car.add_fault(rule)))

    def clear_faults(self) -> Outcome:
        """See `Stage`."""
        self._bench.car.clear_faults()
        return self._noted("clear-faults", "")

    def tamper(self, kind: TamperKind) -> Outcome:
        """See `Stage`."""
        self._bench.direct_portal.tamper(kind)
        return self._noted("tamper", kind.value)

    def outage(self, kind: OutageKind, *, duration_ns: int) -> Outcome:
        """See `Stage`."""
        self._bench.direct_portal.outage(kind, duration_ns)
        return self._noted("outage", f"{kind.value} duration_ns={duration_ns}")

    def revoke_company(self, person: str) -> Outcome:
        """See `Stage`."""
        self._bench.backend.operators.revoke_company(self._person(person).email, self._bench.world.utc_s())
        return DONE

    def revoke_unlock(self) -> Outcome:
        """See `Stage`."""
        if self._last_audit_id is None:
            raise LocalMisuse("no unlock was issued on this stage that could be revoked")
        self._bench.backend.operators.revoke_unlock(self._last_audit_id, self._bench.world.utc_s())
        self._bench.publish_keys()
        return DONE

    def entitle(self, person: str, *, role: str) -> Outcome:
        """See `Stage`."""
        self._bench.backend.operators.entitle(
            self._person(person).email, self._bench.car.spec.make, role_of(role), self._bench.world.utc_s()
        )
        return DONE

    def transport(self, ecu: str, change: TransportChange) -> Outcome:
        """See `Stage`."""
        self._bench.car.set_transport(ecu, change)
        return self._noted("transport", f"{ecu} {change!r}")

    def trouble_code(self, ecu: str, code: int, result: TroubleResult, *, times: int = 1) -> Outcome:
        """See `Stage`."""
        counted = self._bench.car.report_trouble(ecu, code, result, times)
        self._noted("trouble-code", f"{ecu} {code:06X} {result.value} times={times}")
        return trouble_outcome(code, result, counted=counted)

    def unplug(self, *, can_id: int | None, frames: int) -> Outcome:
        """See `Stage`."""
        self._bench.tester().unplug(can_id, frames)
        when = "now" if can_id is None else f"can_id={can_id:#x} frames={frames}"
        return self._noted("unplug", when)

    def plug_in(self) -> Outcome:
        """See `Stage`."""
        self._bench.tester().plug_in()
        return self._noted("plug-in", "")

    def wait(self, duration_ns: int) -> Outcome:
        """See `Stage`."""
        self._bench.world.run_for(duration_ns)
        return DONE

    def bus_of(self, ecu: str) -> str:
        """See `Stage`."""
        if ecu == OBD:
            return OBD
        return self._bench.car.bus_of(ecu)

    def violations(self) -> Sequence[str]:
        """See `Stage`."""
        return self._bench.violations()
