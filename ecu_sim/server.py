"""A UDS server (ISO 14229-1): receives whole requests, refuses in the standard's order, serves, keeps P2, P2* and S3.

    arrival -> ladder of checks -> [0x78 ... while a slow service works] -> the service itself -> answer

The ladder runs on arrival; a slow service takes effect when it has finished. S3 is a timer that locks at its deadline, and
stands still while a request is worked on. No bus, no clock: time is an argument.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ecu_sim import io_control, readable
from ecu_sim.dtc_memory import DtcMemory, TestResult
from ecu_sim.ladder import LENGTHS_TOLD_APART as LONG
from ecu_sim.ladder import OF_OBJECTS, Ladder, Request, Rung, ladder_for
from ecu_sim.machines import SESSION, SessionInput, asked, in_session
from ecu_sim.profile import FREE, EcuProfile, timing_in
from ecu_sim.refusal import Refusal
from ecu_sim.services import LISTENERS
from ecu_sim.services.programming import start_software
from ecu_sim.state import NonVolatile, Volatile
from ecu_sim.timers import Timers
from ecu_sim.unit_event import UnitEvent
from ecu_sim.unlock.gate import AccessGate, GateEvent, SeedGate
from ecu_sim.vehicle_state import PowerEvent, VehicleView
from wire.entropy import Entropy
from wire.uds import FUNCTIONAL_SILENT, Nrc, Service, Session, nrc_name

PENDING_MARGIN_NS = 10_000_000
"""0x78 goes out so long before P2 (or P2*) would end: time for the frame to get onto a busy bus."""
GATE_EVENTS = {UnitEvent(event.value): event for event in GateEvent if event.value in UnitEvent._value2member_map_}
"""What happens to a unit and may end a grant, as its lock names it."""
LOG_LIMIT = 1000
"""Records that an ECU keeps: a scenario makes some hundred."""


@dataclass(frozen=True, slots=True)
class EcuRecord:
    """One line of the ECU's own log. Never holds a seed, a key or a token."""

    now_ns: int
    kind: str
    text: str


class UdsServer:
    """One control unit's diagnostic server.

    `outputs` holds answers in order, 0x78 included; `frames` what goes out raw beside them, (identifier, data). `gate` is the
    lock that this ECU holds, if any. `vehicle` is read by preconditions and measured values. `timing` is what holds in this
    session.
    """

    def __init__(
        self,
        profile: EcuProfile,
        *,
        entropy: Entropy,
        vehicle: VehicleView,
        gate: AccessGate | None = None,
        memory: NonVolatile | None = None,
    ) -> None:
        self.application: EcuProfile = profile
        self.profile: EcuProfile = profile
        self.name = profile.name
        self.entropy = entropy
        self.vehicle: VehicleView = vehicle
        self.gate = gate
        self.seed_gate: SeedGate | None = gate if isinstance(gate, SeedGate) else None
        self.outputs: deque[bytes] = deque()
        self.frames: deque[tuple[int, bytes]] = deque()
        self.log: deque[EcuRecord] = deque(maxlen=LOG_LIMIT)
        self.memory = memory or NonVolatile.fresh(profile)
        self.state = Volatile()
        self.timers = Timers()
        self.dtcs = DtcMemory(
            profile.dtcs,
            profile.dtc_memory,
            self.memory.dtcs,
            self._value_of,
            running=vehicle.read("terminal_15", 0) != 0 or profile.dtc_memory.operation_cycle != "terminal-15",
        )
        self.timing = timing_in(profile, Session.defaultSession)
        self._powered = True
        self._asleep = False
        self._down_until_ns: int | None = None
        self._working: Request | None = None
        self._finish_ns = 0
        self._pending_ns = 0
        self._pending_sent = False
        self._s3_deadline_ns: int | None = None
        self._after_answer: Callable[[int], None] | None = None
        self._ladders: dict[int, Ladder] = {}
        tester_present = profile.services.get(Service.TesterPresent)
        self._tester_present_is_free = tester_present is not None and tester_present.access == FREE
        self._passed: set[int] = set()
        start_software(self, 0)

    def run(self, software: EcuProfile) -> None:
        """Be what this software makes of the unit: its application, or its boot loader."""
        if software is not self.profile:
            self.profile = software
            self.timing = timing_in(software, self.state.session)
            self._ladders.clear()
            self._passed.clear()

    # ---- in

    @property
    def reachable(self) -> bool:
        """Whether the ECU hears requests at all: supplied, awake, not in a reset."""
        return self._powered and not self._asleep and self._down_until_ns is None

    @property
    def busy(self) -> bool:
        """Whether it works on a request whose answer is still to come."""
        return self._working is not None

    def receive(self, payload: bytes, functional: bool, now_ns: int) -> None:  # noqa: FBT001 - the contract of the room
        """Take a whole request."""
        if not self.reachable or not payload:
            return
        sid = payload[0]
        if self._working is not None:
            self._receive_while_working(payload, functional, now_ns)
            return
        if payload == b"\x3e\x80" and self._tester_present_is_free:
            self._restart_s3(now_ns)
            return
        request = Request(payload, functional, now_ns)
        self._s3_deadline_ns = None
        ladder = self._ladders.get(sid) or self._ladder(sid)
        nrc = self._refused_on_arrival(request, ladder)
        if nrc:
            self._answer_negative(request, nrc, now_ns)
            return
        work_ns = ladder.work_ns
        if not work_ns and ladder.object_work_ns is not None:
            work_ns = ladder.object_work_ns(self, request)
        if work_ns:
            self._begin_work(request, ladder, work_ns, now_ns)
        else:
            self._serve(request, ladder, ladder.late, now_ns)

    def _ladder(self, sid: int) -> Ladder:
        ladder = self._ladders[sid] = ladder_for(self.profile, sid)
        return ladder

    def _refused_on_arrival(self, request: Request, ladder: Ladder) -> int:
        """Climb the ladder. What passed and depends on service, sub-function, session and length alone is remembered."""
        size = len(request.payload)
        length = size if size < LONG else LONG  # noqa: FURB136 - a call would cost as much as a check
        key = request.sid << 24 | request.sub_function << 16 | self.state.session << 8 | length
        if key not in self._passed:
            nrc = self.refused_by(ladder.remembered, request)
            if nrc:
                return nrc
            self._passed.add(key)
        return self.refused_by(ladder.on_arrival, request)

    def refused_by(self, rungs: tuple[Rung, ...], request: Request) -> int:
        """Ask one after the other; return 0, or the NRC of the first that fails."""
        for row, check in rungs:
            outcome = check(self, request)
            if outcome:
                nrc = outcome if row.nrc is None else row.nrc
                if row is not OF_OBJECTS:
                    asked = f"{request.payload[:4].hex(' ')}: {row.check}"
                    self.note(request.now_ns, "refused", f"{asked}: {nrc_name(nrc)}")
                return nrc
        return 0

    def perform(self, request: Request) -> bytes:
        """Judge and serve a request that stands inside another one (0x84, 0x86); return its answer. Raises `Refusal`."""
        ladder = self._ladders.get(request.sid) or self._ladder(request.sid)
        nrc = self._refused_on_arrival(request, ladder) or self.refused_by(ladder.late, request)
        if nrc:
            raise Refusal(nrc, "the inner request is refused")
        return ladder.serve(self, request)

    def work_within(self, request: Request) -> int:
        """Return how long a request that stands inside another one is worked on; no time where it is refused."""
        ladder = self._ladders.get(request.sid) or self._ladder(request.sid)
        if self._refused_on_arrival(request, ladder):
            return 0
        if ladder.work_ns or ladder.object_work_ns is None:
            return ladder.work_ns
        return ladder.object_work_ns(self, request)

    def _receive_while_working(self, payload: bytes, functional: bool, now_ns: int) -> None:  # noqa: FBT001
        """A second request while one is worked on: tester present is fine, others are refused with 0x21 or not heard."""
        if payload[0] == Service.TesterPresent or functional or self.profile.busy == "ignore":
            return
        self.note(now_ns, "refused", f"{payload[:4].hex(' ')}: busy")
        self.outputs.append(bytes((0x7F, payload[0], Nrc.busyRepeatRequest)))

    # ---- work and answers

    def _begin_work(self, request: Request, ladder: Ladder, work_ns: int, now_ns: int) -> None:
        self._working = request
        self._finish_ns = now_ns + work_ns
        self._pending_ns = now_ns + self.timing.p2_ns - PENDING_MARGIN_NS
        self._pending_sent = False
        if ladder.begin is not None:
            ladder.begin(self, request)

    def _serve(self, request: Request, ladder: Ladder, rungs: tuple[Rung, ...], now_ns: int) -> None:
        request.now_ns = now_ns
        self._working = None
        nrc = self.refused_by(rungs, request) if rungs else 0
        if nrc:
            self._answer_negative(request, nrc, now_ns)
            return
        try:
            answer = ladder.serve(self, request)
        except Refusal as refusal:
            text = f"{request.payload[:4].hex(' ')}: {refusal.reason}: {nrc_name(refusal.nrc)}"
            self.note(now_ns, "refused", text)
            self._answer_negative(request, refusal.nrc, now_ns)
            return
        if request.suppress and not self._pending_sent:
            self._conclude(now_ns)
            return
        if len(answer) > self.profile.max_answer_bytes:
            self._answer_negative(request, Nrc.responseTooLong, now_ns)
            return
        self.outputs.append(answer)
        self._conclude(now_ns)

    def _answer_negative(self, request: Request, nrc: int, now_ns: int) -> None:
        self._after_answer = None
        if not (request.functional and nrc in FUNCTIONAL_SILENT and not self._pending_sent):
            self.outputs.append(bytes((0x7F, request.payload[0], nrc)))
        self._conclude(now_ns)

    def _conclude(self, now_ns: int) -> None:
        """The request is over: S3 starts again, and what had to wait for the answer happens."""
        self._pending_sent = False
        after, self._after_answer = self._after_answer, None
        if after is not None:
            after(now_ns)
        if self.state.controls:
            io_control.return_what_may_not(self, now_ns)
        self._restart_s3(now_ns)

    def after_answer(self, act: Callable[[int], None]) -> None:
        """Let a service act once its answer is out (a reset, say)."""
        self._after_answer = act

    def _restart_s3(self, now_ns: int) -> None:
        default = self.state.session == Session.defaultSession
        self._s3_deadline_ns = None if default else now_ns + self.timing.s3_ns

    # ---- time

    def next_deadline(self) -> int | None:
        """Return when something is due: end of a reset, of work, 0x78, S3, a timer, or the gate's own deadline."""
        if not self._powered:
            return None
        due: int | None
        if self._down_until_ns is not None:
            due = self._down_until_ns
        elif self._working is not None:
            due = min(self._finish_ns, self._pending_ns)
        else:
            due = self._s3_deadline_ns
        timer_ns = self.timers.next_ns
        if timer_ns is not None and (due is None or timer_ns < due):
            due = timer_ns
        if self.gate is None:
            return due
        gate_ns = self.gate.next_deadline()
        return gate_ns if due is None or (gate_ns is not None and gate_ns < due) else due

    def handle_timer(self, now_ns: int) -> None:
        """Do what is due."""
        if not self._powered:
            return
        if self._down_until_ns is not None:
            self._come_up(now_ns)
        if self._working is not None:
            if now_ns >= self._finish_ns:
                working = self._working
                ladder = self._ladders[working.sid]
                self._serve(working, ladder, ladder.work_is_done, now_ns)
            elif now_ns >= self._pending_ns:
                self.outputs.append(bytes((0x7F, self._working.sid, Nrc.requestCorrectlyReceivedResponsePending)))
                self._pending_sent = True
                self._pending_ns = now_ns + self.timing.p2_star_ns - PENDING_MARGIN_NS
        if self._s3_deadline_ns is not None and now_ns >= self._s3_deadline_ns:
            self.note(now_ns, "state", "S3 has run out")
            self._step(SessionInput.S3_TIMEOUT, Session.defaultSession, now_ns)
            self._s3_deadline_ns = None
        if self.timers.next_ns is not None:
            self.timers.run(now_ns)
        if self.gate is not None:
            self.gate.handle_timer(now_ns)
            if self.state.controls:
                io_control.return_what_may_not(self, now_ns)

    def _come_up(self, now_ns: int) -> None:
        """End a restart that is over. The lock counts from its end, however late the timer is."""
        up_ns = self._down_until_ns
        if up_ns is not None and now_ns >= up_ns and self._powered:
            self._down_until_ns = None
            self.note(now_ns, "state", "up after reset")
            self._tell_gate_awake(up_ns)
            self._tell(UnitEvent.STARTED, up_ns)

    def _tell_gate_awake(self, now_ns: int) -> None:
        """Awake is who runs: supplied, not asleep, not in a reset. Whichever of them comes last lets awake time go on."""
        if self.gate is not None and self.reachable:
            self.gate.wake(now_ns)

    # ---- what services and the bench do to the state

    def note(self, now_ns: int, kind: str, text: str) -> None:
        """Write a line into the ECU's own log."""
        self.log.append(EcuRecord(now_ns, kind, text))

    def _value_of(self, number: int, now_ns: int) -> bytes:
        """Read for a freeze frame: by the application's identifiers, which a boot loader keeps."""
        return readable.value_of_did(self, self.application.dids[number], now_ns)

    def report_trouble(self, code: int, result: TestResult, now_ns: int) -> bool:
        """Let a test of the unit report; return whether it counted (`DtcMemory.report`). Who does not run tests nothing."""
        return self.reachable and self.dtcs.report(code, result, now_ns)

    def observe_vehicle(self, now_ns: int) -> None:
        """Let the unit's monitors look at the vehicle, which changed."""
        if self.reachable:
            self.dtcs.observe(self.vehicle, now_ns)

    def _tell(self, event: UnitEvent, now_ns: int) -> None:
        """Let lock and services learn what happened."""
        gate_event = GATE_EVENTS.get(event)
        if gate_event is not None and self.gate is not None:
            self.gate.handle_event(gate_event, now_ns)
        for listen in LISTENERS:
            listen(self, event, now_ns)

    def enter_session(self, session: int, now_ns: int) -> None:
        """Take a session that was asked for."""
        self._step(asked(self.state.session, session), session, now_ns)

    def _step(self, happened: SessionInput, session: int, now_ns: int) -> None:
        """Go where the table of sessions says; what is bound to the old one ends."""
        state = self.state
        step = SESSION[in_session(state.session)][happened]
        state.session = session
        self.timing = timing_in(self.profile, session)
        for bound in step.ends:
            state.end(bound)
        self._tell(step.tells, now_ns)

    def reset(self, now_ns: int, why: str, down_ns: int | None = None) -> None:
        """Restart: silent for a while (`down_ns`: longer than a restart takes), everything volatile gone, the gate told."""
        self.note(now_ns, "state", f"reset: {why}")
        self.state = Volatile()
        self.timing = timing_in(self.profile, Session.defaultSession)
        self.frames.clear()
        self.timers.clear()
        self._working = None
        self._pending_sent = False
        self._after_answer = None
        self._s3_deadline_ns = None
        self._down_until_ns = now_ns + max(down_ns or 0, self.profile.timing.reset_ns)
        self._tell(UnitEvent.ECU_RESET, now_ns)

    def power(self, event: PowerEvent, now_ns: int) -> None:
        """Learn what happens to the supply."""
        self._come_up(now_ns)
        match event:
            case PowerEvent.BATTERY_LOST:
                self.reset(now_ns, event.value)
                self.outputs.clear()
                self._powered = False
            case PowerEvent.BATTERY_BACK:
                if not self._powered:
                    self._powered = True
                    self._down_until_ns = now_ns + self.profile.timing.reset_ns
            case PowerEvent.TERMINAL_15_OFF:
                self._leave_for_default(SessionInput.TERMINAL_15_OFF, now_ns)
            case PowerEvent.SLEEP:
                self._leave_for_default(SessionInput.SLEEP, now_ns)
                self._asleep = True
            case PowerEvent.WAKE:
                self._asleep = False
                self._tell_gate_awake(now_ns)
                self._tell(UnitEvent.WAKE, now_ns)
            case PowerEvent.TERMINAL_15_ON:
                self._tell(UnitEvent.TERMINAL_15_ON, now_ns)

    def _leave_for_default(self, happened: SessionInput, now_ns: int) -> None:
        self._working = None
        self._pending_sent = False
        self._s3_deadline_ns = None
        self._step(happened, Session.defaultSession, now_ns)
