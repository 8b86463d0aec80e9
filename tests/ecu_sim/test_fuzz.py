"""Whatever arrives, whenever: nothing raises, a request has at most one final answer, nothing is written against the rules."""

import random
from collections import Counter
from typing import Any

from ecu_bench import MS, PROFILE, SERVICES, Ecu, S
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from unlock_forge import trust

from ecu_sim.profile import Access, EcuProfile, ServiceRule
from ecu_sim.profile_file import load_profile
from ecu_sim.unlock.certificate import CertificateGate
from ecu_sim.unlock.gate import AccessGate
from ecu_sim.unlock.sfd import SfdGate
from ecu_sim.vehicle_state import PowerEvent
from wire.clock import VIRTUAL_EPOCH_UTC_S, WallClock
from wire.entropy import SeededEntropy
from wire.token import Scope
from wire.uds import FUNCTIONAL_SILENT, P2_SERVER_MAX_NS, P2_STAR_SERVER_MAX_NS

ALL_SLOW = dict.fromkeys((*SERVICES, 0x29), ServiceRule(work_ns=120 * MS))
KNOWN = (0x10, 0x11, 0x14, 0x19, 0x22, 0x27, 0x28, 0x29, 0x2E, 0x2F, 0x31, 0x3E, 0x7F, 0x84, 0x85, 0xC8)
SECONDS = (0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0A, 0x7F, 0x80, 0x81, 0x83, 0xC0, 0xF1, 0xFF)
OBJECTS = (b"", b"\x90", b"\x99", b"\x00", b"\x02\x03", b"\x02\x04", b"\xc0\x08", b"\xc0\x04", b"\x01\x74", b"\xff\xff")
GOOD = """10 01, 10 02, 10 03, 10 03, 10 83, 27 03, 27 05, 31 01 02 03, 31 01 C0 08, 22 F1 90, 22 01 74, 3E 80,
    3E 00, 28 03 01, 85 02, 14 FF FF FF, 19 02 FF, 11 01, 29 08"""
ANYTHING = st.binary(max_size=20) | st.builds(
    lambda sid, second, rest, tail: bytes((sid, second)) + rest + tail,
    st.sampled_from(KNOWN),
    st.sampled_from(SECONDS),
    st.sampled_from(OBJECTS),
    st.binary(max_size=100),
)
OUTSIDE = st.one_of(
    st.tuples(st.just("power"), st.sampled_from(list(PowerEvent))),
    st.tuples(st.just("speed_kmh"), st.sampled_from([0, 0, 30])),
    st.tuples(st.just("supply_mv"), st.sampled_from([12_600, 12_600, 14_400])),
    st.tuples(st.just("terminal_15"), st.booleans()),
    st.tuples(st.just("lock"), st.sampled_from([Scope(0), Scope.CODING, Scope.SECURITY_ACCESS, Scope.CODING])),
)


def real_gate(profile: EcuProfile, kind: type[SfdGate] | type[CertificateGate]) -> AccessGate:
    return kind(
        vin="WVWZZZCDZSW000001",
        ecu_address=profile.address,
        trust=trust(),
        clock=WallClock(epoch_utc_s=VIRTUAL_EPOCH_UTC_S),
        entropy=SeededEntropy(random.Random(3)),
    )


def units() -> dict[str, Ecu]:
    cluster, eis = load_profile("vag/cluster"), load_profile("mercedes/gateway")
    return {
        "without a lock": Ecu(),
        "locked by hand": Ecu(locked=True, services={**SERVICES, 0x29: ServiceRule()}),
        "locked by hand, slow": Ecu(locked=True, services=ALL_SLOW),
        "slow, ignores while busy": Ecu(services=ALL_SLOW, busy="ignore"),
        "SFD": Ecu(cluster, scheme=real_gate(cluster, SfdGate)),
        "certificate": Ecu(eis, scheme=real_gate(eis, CertificateGate)),
    }


class AnythingAtAnyTime(RuleBasedStateMachine):
    """`working` is the request that has been heard and not been answered for good."""

    @initialize(name=st.sampled_from(sorted(units())))
    def place(self, name: str) -> None:
        self.ecu = units()[name]
        self.server = self.ecu.server
        self.working: tuple[bytes, bool] | None = None
        self.silent_since_ns = 0
        self.last_answer = b""
        self.give(b"\x10\x03", False)

    @rule(payload=ANYTHING, functional=st.booleans())
    def receive_anything(self, payload: bytes, functional: bool) -> None:
        self.give(payload, functional)

    @rule(payload=st.sampled_from([bytes.fromhex(request) for request in GOOD.split(",")]), functional=st.booleans())
    def receive_something_good(self, payload: bytes, functional: bool) -> None:
        self.give(payload, functional)

    @rule(data=st.data(), enter=st.booleans())
    def write_something(self, data: st.DataObject, enter: bool) -> None:
        if enter:
            self.ask(b"\x10\x03")
        dids = [did for did, entry in self.ecu.profile.dids.items() if entry.write is not None]
        for did in data.draw(st.lists(st.sampled_from(dids), min_size=1, max_size=4)):
            old = self.server.memory.data[did]
            self.ask(b"\x2e" + did.to_bytes(2, "big") + bytes((old[0] ^ 1,)) + old[1:])

    @rule(level=st.sampled_from([3, 3, 5]), right=st.sampled_from([True, True, False]))
    def ask_for_security_access(self, level: int, right: bool) -> None:
        self.ask(b"\x10\x03")
        answer = self.ask(bytes((0x27, level)))
        if answer[:2] == bytes((0x67, level)) and level in self.ecu.profile.security:
            key = bytes.fromhex(self.ecu.key(answer[2:], level))
            self.ask(key if right else key[:-1] + bytes((key[-1] ^ 1,)))

    @rule(wait_ns=st.sampled_from([1, 40 * MS, 100 * MS, S, 5 * S - 1, 5 * S, 20 * S]))
    def wait(self, wait_ns: int) -> None:
        end_ns = self.ecu.now_ns + wait_ns
        for _ in range(1000):
            due_ns = self.server.next_deadline()
            if due_ns is None or due_ns > end_ns:
                break
            self.ecu.now_ns = max(self.ecu.now_ns, due_ns)
            self.step(self.server.handle_timer, self.ecu.now_ns)
            self.look_whether_work_ended_in_silence()
        else:
            raise AssertionError("woken without end")
        self.ecu.now_ns = end_ns
        assert self.working is None or end_ns - self.silent_since_ns <= P2_STAR_SERVER_MAX_NS, "P2* is over in silence"

    def look_whether_work_ended_in_silence(self) -> None:
        due_ns = self.server.next_deadline()
        if self.working is not None and (due_ns is None or due_ns >= self.ecu.now_ns + P2_STAR_SERVER_MAX_NS):
            assert self.working[1], "only what was sent to everybody may stay without a final answer"
            self.working = None

    @rule(change=OUTSIDE)
    def change_the_surroundings(self, change: tuple[str, Any]) -> None:
        what, value = change
        if what == "power":
            self.step(self.server.power, value, self.ecu.now_ns)
            if value not in (PowerEvent.WAKE, PowerEvent.TERMINAL_15_ON, PowerEvent.BATTERY_BACK):
                self.working = None
        elif what != "lock":
            setattr(self.ecu.vehicle, what, value)
        elif self.ecu.gate is not None:
            self.ecu.gate.opened = value

    # ---- what is watched at every step

    def ask(self, payload: bytes) -> bytes:
        """Hand over a request and wait for a moment; return its final answer."""
        self.last_answer = b""
        self.give(payload, False)
        if self.working is not None:
            self.wait(200 * MS)
        return self.last_answer

    def give(self, payload: bytes, functional: bool) -> bytes:
        """Hand over a request; return what is answered to it at once."""
        heard, busy = self.server.reachable, self.working is not None
        answers = self.step(self.server.receive, payload, functional, self.ecu.now_ns, arriving=(payload, functional))
        assert len(answers) <= 1
        if not heard or payload == b"\x3e\x80":
            assert not answers
        if busy or not heard or not payload:
            return answers[0] if answers else b""
        due_ns = self.server.next_deadline()
        if not answers and due_ns is not None and due_ns <= self.ecu.now_ns + P2_SERVER_MAX_NS:
            self.working = (payload, functional)  # silence that has to end within P2
            self.silent_since_ns = self.ecu.now_ns
        for answer in answers:
            self.judge(answer, payload, functional, pending_before=False)
        return answers[0] if answers else b""

    def step(self, act: object, *arguments: object, arriving: tuple[bytes, bool] | None = None) -> list[bytes]:
        """Do one thing to the server and judge what changed and what it said."""
        assert callable(act)
        before, state = dict(self.server.memory.data), self.server.state
        session, level = state.session, state.open_level
        written, dtcs = set(state.written), self.server.memory.dtcs.statuses()
        act(*arguments)
        outputs = self.server.outputs
        answers = [outputs.popleft() for _ in range(len(outputs))]
        cause = arriving if self.working is None else self.working
        for did, value in self.server.memory.data.items():
            if value != before[did]:
                assert cause is not None
                self.judge_write(did, value, cause[0], session, level, written)
        if self.server.memory.dtcs.statuses() != dtcs and act not in (self.server.power, self.server.reset):
            assert cause is not None
            assert cause[0][:1] == b"\x14"
        if arriving is None:
            for number, answer in enumerate(answers):
                assert self.working is not None, f"nobody asked for {answer.hex(' ')}"
                assert number == 0
                self.judge(answer, *self.working, pending_before=True)
        elif self.working is not None:
            assert answers in ([], [bytes((0x7F, arriving[0][0], 0x21))] if arriving[0] else [])
            assert not (arriving[1] and answers)
        return answers

    def judge(self, answer: bytes, payload: bytes, functional: bool, *, pending_before: bool) -> None:
        sid = payload[0]
        self.silent_since_ns = self.ecu.now_ns
        if answer[0] == 0x7F:
            assert len(answer) == 3
            assert answer[1] == sid
            if answer[2] == 0x78:
                assert pending_before
                return
            assert pending_before or not (functional and answer[2] in FUNCTIONAL_SILENT)
        else:
            assert answer[0] == sid + 0x40
            assert len(answer) <= self.ecu.profile.max_answer_bytes
        self.last_answer = answer
        self.working = None  # that was the final answer: no other may follow

    def judge_write(
        self, did: int, value: bytes, payload: bytes, session: int, level: int | None, written: set[int]
    ) -> None:
        """Read the profile's rule again, with none of the server's own code."""
        assert payload == b"\x2e" + did.to_bytes(2, "big") + value
        entry = self.ecu.profile.dids[did]
        access: Access | None = entry.write
        assert access is not None
        assert not access.sessions or session in access.sessions
        assert access.security in (None, level)
        assert set(entry.requires_written) <= written
        gate = self.server.gate
        if access.scope and gate is not None:
            grant = gate.grant(self.ecu.now_ns)
            assert grant is not None
            assert grant.scope & access.scope == access.scope
        vehicle = self.ecu.vehicle
        assert "stationary" not in access.conditions or vehicle.speed_kmh == 0
        assert "ignition" not in access.conditions or vehicle.terminal_15
        assert "coding-voltage" not in access.conditions or 12_000 <= vehicle.supply_mv <= 14_000

    @invariant()
    def nothing_is_open_in_the_default_session(self) -> None:
        if not hasattr(self, "server"):
            return
        state = self.server.state
        assert state.session in self.ecu.profile.sessions
        if state.session == 1:
            assert (state.open_level, state.seed, state.communication, state.dtc_setting) == (None, None, 0, True)
        else:
            assert self.server.reachable
            assert self.server.next_deadline() is not None, "S3 runs, or somebody works"

    @invariant()
    def attempts_never_reach_the_limit_without_a_delay(self) -> None:
        if hasattr(self, "server"):
            for number, level in self.ecu.profile.security.items():
                assert 0 <= self.server.memory.attempts[number].wrong < level.attempts


AnythingAtAnyTime.TestCase.settings = settings(max_examples=150, stateful_step_count=25)
TestAnythingAtAnyTime = AnythingAtAnyTime.TestCase


def test_the_profiles_of_this_file_differ_in_what_they_check() -> None:
    gates = Counter(type(ecu.server.gate).__name__ for ecu in units().values())
    assert gates == {"NoneType": 2, "HandGate": 2, "SfdGate": 1, "CertificateGate": 1}
    assert PROFILE.dids[0x0600].requires_written
