"""One unit on a rest bus, in virtual time: when it speaks, when it falls silent, what it hears, what a gateway carries on."""

from __future__ import annotations

import itertools
import random

import pytest
from ecu_bench import PROFILE

from ecu_sim.restbus.dbc import FOLDER, load_dbc
from ecu_sim.restbus.message import CyclicMessage
from ecu_sim.restbus.node import NodePlan, RestBusNode
from ecu_sim.server import UdsServer
from ecu_sim.vehicle_state import PowerEvent, VehicleState
from wire.entropy import SeededEntropy
from wire.errors import LocalMisuse
from wire.frame import Frame

MS = 1_000_000
S = 1_000_000_000
MESSAGES = {message.name: message for message in load_dbc(FOLDER / "vag.dbc")}
FAHRT, MOTOR, TERMINALS = MESSAGES["Fahrt_01"], MESSAGES["Motor_01"], MESSAGES["Klemmen_Status_01"]


class Rig:
    """A node and its server, without a bus: `sent` has (ms, port, frame), each frame confirmed at once unless `busy`."""

    def __init__(self, plan: NodePlan, *, ports: int = 1) -> None:
        self.now_ns = 0
        self.state = VehicleState()
        self.server = UdsServer(PROFILE, entropy=SeededEntropy(random.Random(1)), vehicle=self.state)
        self.node = RestBusNode("unit", self.server, self.state, plan, ports=ports, now_ns=0)
        self.server.vehicle = self.node.view
        self.sent: list[tuple[int, int, Frame]] = []
        self.busy = False

    def collect(self) -> None:
        while self.node.outputs:
            port, frame = self.node.outputs.popleft()
            self.sent.append((self.now_ns // MS, port, frame))
            if not self.busy:
                self.node.frame_sent(port, self.now_ns)

    def run(self, until_ns: int) -> list[tuple[int, int, Frame]]:
        """Let time pass; return what was sent."""
        before = len(self.sent)
        while True:
            dues = [due for due in (self.node.next_deadline(), self.server.next_deadline()) if due is not None]
            if not dues or min(dues) > until_ns:
                break
            self.now_ns = max(self.now_ns, min(dues))
            self.server.handle_timer(self.now_ns)
            self.node.handle_timer(self.now_ns)
            self.collect()
        self.now_ns = until_ns
        return self.sent[before:]

    def ask(self, request: str) -> str:
        self.server.receive(bytes.fromhex(request), False, self.now_ns)
        answer = " ".join(answer.hex(" ").upper() for answer in self.server.outputs)
        self.server.outputs.clear()
        return answer

    def hear(self, message: CyclicMessage, count: int, port: int = 0, **raw: int) -> None:
        self.node.receive(port, Frame(message.can_id, message.encode(raw, count)), self.now_ns)
        self.collect()


def sender(*messages: CyclicMessage) -> Rig:
    return Rig(NodePlan(sends=tuple((message, (0,)) for message in messages)))


def counts(sent: list[tuple[int, int, Frame]]) -> list[int]:
    return [frame.data[1] & 0x0F for _, _, frame in sent]


def test_a_message_goes_out_at_once_and_then_at_its_cycle_time_with_its_counter_running() -> None:
    sent = sender(FAHRT).run(S)
    assert [at for at, _, _ in sent] == list(range(0, 1001, 50))
    assert counts(sent) == list(itertools.islice(itertools.cycle(range(16)), 21))


def test_each_frame_says_what_the_vehicle_is_at_that_moment() -> None:
    rig = sender(FAHRT)
    rig.state.speed_kmh = 10
    rig.run(100 * MS)
    rig.state.speed_kmh = 20
    speeds = [FAHRT.signals["Tempo"].raw_of(frame.data) / 100 for _, _, frame in rig.run(150 * MS)]
    assert speeds == [20]


def test_what_beyond_a_signal_stands_at_its_end() -> None:
    rig = sender(FAHRT)
    rig.state.speed_kmh = 10_000
    ((_, _, frame),) = rig.run(0)
    assert frame.data[2:4] == b"\xff\xff"


def test_without_ignition_only_those_are_sent_that_need_none() -> None:
    rig = sender(FAHRT, TERMINALS)
    rig.state.terminal_15 = False
    sent = rig.run(S)
    assert {frame.can_id for _, _, frame in sent} == {TERMINALS.can_id}
    assert all(frame.data[2] == 0 for _, _, frame in sent)
    rig.state.terminal_15 = True
    assert {frame.can_id for _, _, frame in rig.run(2 * S)} == {FAHRT.can_id, TERMINALS.can_id}


@pytest.mark.parametrize(
    ("request_text", "speaks", "hears"),
    [
        ("28 00 01", True, True),
        ("28 01 01", False, True),
        ("28 02 01", True, False),
        ("28 03 03", False, False),
        ("28 03 02", True, True),
        ("28 81 01", False, True),
    ],
)
def test_communication_control_stops_what_it_names_until_the_session_ends(
    request_text: str, speaks: bool, hears: bool
) -> None:
    rig = Rig(NodePlan(sends=((FAHRT, (0,)),), hears=((TERMINALS,),)))
    rig.ask("10 03")
    rig.ask(request_text)
    assert bool(rig.run(300 * MS)) is speaks
    rig.hear(TERMINALS, 0, Kl_15=1)
    assert (rig.node.view.read("terminal_15", rig.now_ns) is not None) is hears
    rig.ask("10 01")
    assert rig.run(600 * MS)
    rig.hear(TERMINALS, 1, Kl_15=1)
    assert rig.node.view.read("terminal_15", rig.now_ns) == 1


def test_a_request_to_stop_network_management_alone_does_not_undo_what_was_stopped() -> None:
    rig = sender(FAHRT)
    rig.ask("10 03")
    rig.ask("28 01 01")
    rig.ask("28 00 02")
    assert not rig.run(300 * MS)


def test_a_reset_is_silence_then_counters_from_zero_and_nothing_heard() -> None:
    rig = Rig(NodePlan(sends=((FAHRT, (0,)),), hears=((TERMINALS,),)))
    rig.run(120 * MS)
    rig.hear(TERMINALS, 5, Kl_15=1)
    assert rig.ask("11 01") == "51 01"
    rig.hear(TERMINALS, 6, Kl_15=1)
    assert rig.node.view.read("terminal_15", rig.now_ns) == 1  # nobody asks a unit in a reset
    down = rig.run(600 * MS)
    assert not down
    sent = rig.run(800 * MS)
    assert counts(sent)[:2] == [0, 1]
    assert rig.node.view.read("terminal_15", rig.now_ns) is None


def test_a_frame_that_comes_first_after_a_reset_is_heard_with_a_fresh_memory() -> None:
    rig = Rig(NodePlan(hears=((TERMINALS,),)))
    rig.hear(TERMINALS, 5, Kl_15=1)
    rig.ask("11 01")
    rig.run(S)
    rig.hear(TERMINALS, 5, Kl_15=0)
    assert rig.node.view.read("terminal_15", rig.now_ns) == 0
    assert rig.node.next_deadline() is None


def test_without_supply_and_asleep_it_has_no_deadline_and_hears_nothing() -> None:
    rig = Rig(NodePlan(sends=((FAHRT, (0,)),), hears=((TERMINALS,),)))
    rig.run(0)
    rig.node.sleep()
    rig.server.power(PowerEvent.SLEEP, rig.now_ns)
    assert rig.node.next_deadline() is None
    rig.node.handle_timer(8 * 3600 * S)
    rig.hear(TERMINALS, 0, Kl_15=1)
    rig.node.lose_supply()
    rig.node.wake(5 * S)
    assert rig.node.next_deadline() is None
    rig.server.power(PowerEvent.WAKE, 5 * S)
    rig.node.regain_supply(6 * S)
    assert rig.node.next_deadline() == 6 * S
    assert rig.node.view.read("terminal_15", rig.now_ns) is None


def test_when_the_bus_is_full_the_newest_frame_of_a_message_waits_and_the_most_urgent_goes_first() -> None:
    rig = sender(TERMINALS, MOTOR, FAHRT)
    rig.busy = True
    first = rig.run(0)
    assert [frame.can_id for _, _, frame in first] == [TERMINALS.can_id]
    assert not rig.run(120 * MS)
    rig.node.frame_sent(0, rig.now_ns)
    rig.node.frame_sent(0, rig.now_ns)
    assert len(rig.node.outputs) == 2
    rig.collect()
    waited = [frame for _, _, frame in rig.sent[1:]]
    assert [frame.can_id for frame in waited] == [FAHRT.can_id, MOTOR.can_id]
    assert waited[0].data[1] == 2  # the third one: the first two were overtaken


def test_a_stop_of_the_machine_is_not_made_up_for() -> None:
    rig = sender(FAHRT)
    rig.run(0)
    rig.now_ns = 2 * S
    rig.node.handle_timer(2 * S)
    rig.collect()
    assert len(rig.sent) == 2
    assert rig.node.next_deadline() == 2 * S + 50 * MS


def test_a_gateway_carries_a_frame_on_as_it_is_and_nothing_else() -> None:
    plan = NodePlan(hears=((FAHRT,), (), ()), carries={(0, FAHRT.can_id): (1, 2)})
    rig = Rig(plan, ports=3)
    assert (rig.node.listen_ids(0), rig.node.listen_ids(1)) == ((FAHRT.can_id,), ())
    broken = Frame(FAHRT.can_id, b"\x00" * 8)
    rig.node.receive(0, broken, 0)
    rig.collect()
    assert [(port, frame) for _, port, frame in rig.sent] == [(1, broken), (2, broken)]
    rig.node.receive(1, broken, 0)
    rig.node.receive(0, Frame(MOTOR.can_id, b""), 0)
    rig.collect()
    assert len(rig.sent) == 2
    for request in ("10 03", "28 01 01"):
        rig.ask(request)
    rig.hear(FAHRT, 1)
    assert len(rig.sent) == 2


# ---- what is made wrong from outside


def test_a_raw_value_stands_against_the_vehicle_until_it_is_taken_back() -> None:
    rig = sender(FAHRT)
    rig.state.speed_kmh = 30
    sending = rig.node.sendings["Fahrt_01"]
    rig.run(0)
    sending.set_raw("Tempo", 0)
    ((_, _, lie),) = rig.run(50 * MS)
    sending.set_raw("Tempo", None)
    ((_, _, truth),) = rig.run(100 * MS)
    assert (lie.data[2:4].hex(), truth.data[2:4].hex()) == ("0000", "b80b")
    assert lie.data[0] == FAHRT.checksum(lie.data)


def test_a_frozen_counter_stands_where_it_was_and_a_wrong_checksum_is_wrong() -> None:
    rig = sender(FAHRT)
    rig.run(100 * MS)
    sending = rig.node.sendings["Fahrt_01"]
    sending.freeze_counter(frozen=True)
    assert counts(rig.run(200 * MS)) == [2, 2]
    sending.freeze_counter(frozen=False)
    sending.break_checksum(wrong=True)
    sent = rig.run(300 * MS)
    assert counts(sent) == [3, 4]
    assert all(frame.data[0] != FAHRT.checksum(frame.data) for _, _, frame in sent)
    sending.break_checksum(wrong=False)
    ((_, _, frame),) = rig.run(350 * MS)
    assert frame.data[0] == FAHRT.checksum(frame.data)


def test_a_counter_that_is_frozen_from_the_start_still_has_a_value() -> None:
    rig = sender(FAHRT)
    rig.node.sendings["Fahrt_01"].freeze_counter(frozen=True)
    assert counts(rig.run(100 * MS)) == [0, 0, 0]


def test_a_stopped_message_leaves_the_others_alone() -> None:
    rig = sender(FAHRT, MOTOR)
    rig.node.sendings["Fahrt_01"].stopped = True
    assert {frame.can_id for _, _, frame in rig.run(S)} == {MOTOR.can_id}


def test_what_a_message_does_not_have_cannot_be_made_wrong() -> None:
    bare = CyclicMessage(name="M", can_id=1, size=1, cycle_ns=MS, node="A", signals={})
    sending = sender(bare).node.sendings["M"]
    with pytest.raises(LocalMisuse, match="'M' has no counter"):
        sending.freeze_counter(frozen=True)
    with pytest.raises(LocalMisuse, match="'M' has no checksum"):
        sending.break_checksum(wrong=True)
    speed = sender(FAHRT).node.sendings["Fahrt_01"]
    with pytest.raises(LocalMisuse, match="did you mean 'Tempo'"):
        speed.set_raw("Tempi", 0)
    with pytest.raises(LocalMisuse, match="raw values from 0 to 65535, not 65536"):
        speed.set_raw("Tempo", 65_536)
