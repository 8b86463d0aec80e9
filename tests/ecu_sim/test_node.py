"""A control unit on a real virtual bus: addressing, padding, timing as a tester sees it, and what the supply does to it."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from ecu_bench import MS, PROFILE, SERVICES, Ecu, S
from isotp_pair import Side

from ecu_sim.node import EcuNode
from ecu_sim.profile import EcuProfile, ServiceRule
from ecu_sim.profile_file import load_profile
from ecu_sim.vehicle_state import PowerEvent
from wire.can_bus import CanBus
from wire.endpoint import Endpoint
from wire.frame import Frame
from wire.isotp_door import CLASSIC, IsoTpOptions
from wire.world import World

VIN = "62 F1 90 " + b"WVWZZZCDZSW000001".hex(" ").upper()


class OnBus:
    """A bus with one control unit, a tester's channel to it, and a second port that sends to everybody."""

    def __init__(
        self, profile: EcuProfile = PROFILE, tester: IsoTpOptions = CLASSIC, *, locked: bool = False, **changes: Any
    ) -> None:
        self.world = World(seed=1)
        self.bus = CanBus(self.world, "inner")
        self.frames: list[tuple[int, Frame]] = []
        self.bus.tap(lambda now_ns, _bus, frame, _sender: self.frames.append((now_ns, frame)))
        self.node, self.endpoint = self.place(profile, locked=locked, **changes)
        profile = self.node.server.profile
        self.tester = Side(self.world, self.bus, profile.request_id, profile.response_id, tester, False)
        self.everybody = self.bus.attach("to everybody")

    def place(self, profile: EcuProfile, *, locked: bool = False, **changes: Any) -> tuple[EcuNode, Endpoint]:
        node = EcuNode(Ecu(profile, locked=locked, **changes).server)
        return node, Endpoint(self.world, node, [(self.bus.attach(node.name), node.listen_ids())])

    def ask(self, request: str, wait_ns: int = 100 * MS) -> list[str]:
        """Return the answers within `wait_ns`, as hex."""
        seen = len(self.tester.received)
        self.tester.send(bytes.fromhex(request))
        return self.wait(wait_ns, seen)

    def ask_everybody(self, data: str, wait_ns: int = 100 * MS, can_id: int = 0x700) -> list[str]:
        seen = len(self.tester.received)
        self.everybody.send(Frame(can_id, bytes.fromhex(data)))
        return self.wait(wait_ns, seen)

    def wait(self, wait_ns: int, seen: int | None = None) -> list[str]:
        seen = len(self.tester.received) if seen is None else seen
        self.world.run_for(wait_ns)
        return [payload.hex(" ").upper() for payload in self.tester.received[seen:]]

    def power(self, event: PowerEvent) -> None:
        self.node.server.power(event, self.world.now_ns)
        if event is PowerEvent.BATTERY_LOST:
            self.node.lose_supply()
        self.endpoint.flush()

    def sent_by_unit(self) -> list[str]:
        response_id = self.node.server.profile.response_id
        return [frame.data.hex(" ").upper() for _, frame in self.frames if frame.can_id == response_id]


def test_a_physical_request_is_answered_on_the_response_identifier_and_padded() -> None:
    car = OnBus()
    assert car.ask("10 03") == ["50 03 00 32 01 F4"]
    assert [frame.can_id for _, frame in car.frames] == [0x714, 0x77E]
    assert car.sent_by_unit() == ["06 50 03 00 32 01 F4 AA"]


def test_every_frame_of_a_unit_is_padded_even_flow_control_and_the_last_piece() -> None:
    car = OnBus()
    assert car.ask("22 F1 90 F1 87 F1 90 99 99") != []
    flow_control, *answer = car.sent_by_unit()
    assert flow_control.startswith("30 ")
    assert flow_control.endswith("AA AA AA AA AA")
    assert {len(bytes.fromhex(data)) for data in (flow_control, *answer)} == {8}
    assert answer[-1].endswith("AA")


@pytest.mark.parametrize(("padding", "data"), [(None, "02 7E 00"), (0x00, "02 7E 00 00 00 00 00 00")])
def test_padding_is_a_value_of_the_profile(padding: int | None, data: str) -> None:
    car = OnBus(padding=padding)
    car.ask("3E 00")
    assert car.sent_by_unit() == [data]


@pytest.mark.parametrize("name", ["vag/cluster", "vag/engine", "mercedes/engine", "mercedes/gateway"])
def test_a_shipped_unit_answers_at_its_addresses(name: str) -> None:
    profile = load_profile(name)
    car = OnBus(profile)
    assert car.node.listen_ids() == (profile.request_id, *profile.functional_ids)
    assert car.ask("3E 00") == ["7E 00"]
    for can_id in profile.functional_ids:
        assert car.ask_everybody("02 3E 00", can_id=can_id) == ["7E 00"]


def test_29_bit_identifiers_work_as_well() -> None:
    car = OnBus(request_id=0x97FC_0014, response_id=0x97FE_0014, functional_ids=(0x9BFF_FF00,))
    assert car.ask("22 F1 90") == [VIN]
    assert car.ask_everybody("02 3E 00", can_id=0x9BFF_FF00) == ["7E 00"]


def test_long_requests_and_answers_are_segmented() -> None:
    car = OnBus()
    assert car.ask("22 F1 90") == [VIN]
    (answer,) = car.ask("22" + " F1 87" * 8)
    assert bytes.fromhex(answer) == b"\x62" + (b"\xf1\x87" + b"5H0920700A") * 8


def test_a_functional_request_is_answered_physically() -> None:
    car = OnBus()
    assert car.ask_everybody("03 22 F1 87") == ["62 F1 87 " + b"5H0920700A".hex(" ").upper()]
    assert car.ask_everybody("02 3E 00") == ["7E 00"]


@pytest.mark.parametrize("data", ["03 22 99 99", "02 2F 00", "02 11 55", "02 27 03", "02 3E 80", "02 10 83"])
def test_to_everybody_a_unit_stays_silent_where_the_standard_says_so(data: str) -> None:
    car = OnBus()
    assert car.ask_everybody(data) == []
    assert car.sent_by_unit() == []


def test_a_segmented_functional_request_is_ignored() -> None:
    car = OnBus()
    assert car.ask_everybody("10 09 22 F1 90 F1 87 F1") == []
    assert car.ask_everybody("21 90 F1 87") == []
    assert car.sent_by_unit() == [], "not even flow control"


@pytest.mark.parametrize("can_id", [0x701, 0x7DF, 0x713, 0x77E, 0x8000_0714])
def test_what_is_meant_for_others_is_not_heard(can_id: int) -> None:
    car = OnBus()
    car.everybody.send(Frame(can_id, bytes.fromhex("02 3E 00")))
    car.wait(100 * MS)
    assert len(car.frames) == 1


def test_all_units_of_a_bus_answer_a_functional_request_each_for_itself() -> None:
    car = OnBus()
    car.place(replace(PROFILE, name="brakes", request_id=0x713, response_id=0x77D))
    car.everybody.send(Frame(0x700, bytes.fromhex("02 3E 00")))
    car.wait(100 * MS)
    assert sorted(frame.can_id for _, frame in car.frames) == [0x700, 0x77D, 0x77E]


@pytest.mark.parametrize("request_", ["3E 00", "22 F1 90", "22 99 99"])
def test_the_first_frame_of_an_answer_keeps_p2_on_the_bus(request_: str) -> None:
    car = OnBus()
    car.ask(request_)
    (asked_ns, _), (answered_ns, _), *_ = car.frames
    assert answered_ns - asked_ns <= 50 * MS


def test_a_slow_service_keeps_p2_and_p2_star_on_the_bus() -> None:
    car = OnBus(services={**SERVICES, 0x22: ServiceRule(work_ns=12 * S)})
    assert car.ask("22 F1 90", 20 * S) == ["7F 22 78", "7F 22 78", "7F 22 78", VIN]
    times_ns = [now_ns for now_ns, _ in car.frames[:5]]
    assert times_ns[1] - times_ns[0] <= 50 * MS
    assert all(later - earlier <= 5 * S for earlier, later in pairwise(times_ns[1:]))


def test_a_busy_unit_says_so_on_the_bus() -> None:
    car = OnBus(services={**SERVICES, 0x22: ServiceRule(work_ns=200 * MS)})
    assert car.ask("22 F1 90", 20 * MS) == []
    assert car.ask("22 F1 87", 20 * MS) == ["7F 22 21"]
    assert car.wait(S) == ["7F 22 78", VIN]


def test_the_session_ends_by_itself_and_tester_present_holds_it() -> None:
    car = OnBus()
    car.ask("10 03")
    for _ in range(5):
        car.wait(2 * S)
        assert car.ask_everybody("02 3E 80") == []
    assert car.ask("22 06 04") == ["62 06 04 08"]
    car.wait(5 * S)
    assert car.ask("22 06 04") == ["7F 22 31"]


def test_a_reset_is_answered_and_then_the_unit_is_deaf_for_a_while() -> None:
    car = OnBus()
    assert car.ask("11 01") == ["51 01"]
    assert car.ask("3E 00") == []
    assert car.ask_everybody("02 3E 00") == []
    car.wait(500 * MS)
    assert car.ask("3E 00") == ["7E 00"]


def test_terminal_15_off_ends_the_session() -> None:
    car = OnBus()
    car.ask("10 03")
    car.power(PowerEvent.TERMINAL_15_OFF)
    assert car.ask("22 06 04") == ["7F 22 31"]


def test_a_sleeping_unit_is_silent_and_awake_again_it_answers() -> None:
    car = OnBus()
    car.ask("10 03")
    car.power(PowerEvent.SLEEP)
    assert car.ask("3E 00") == []
    assert car.ask_everybody("02 3E 00") == []
    car.power(PowerEvent.WAKE)
    assert car.ask("3E 00") == ["7E 00"]
    assert car.ask("22 06 04") == ["7F 22 31"], "the session is over"


def test_terminal_30_lost_cuts_an_answer_off_and_nothing_of_it_comes_later() -> None:
    car = OnBus(tester=IsoTpOptions(block_size=1, stmin=20))
    car.tester.send(bytes.fromhex("22 F1 90"))
    car.world.run_for(5 * MS)
    assert car.sent_by_unit()[0].startswith("10 14 62 F1 90")
    car.power(PowerEvent.BATTERY_LOST)
    sent = len(car.sent_by_unit())
    car.wait(3 * S)
    assert len(car.sent_by_unit()) == sent
    assert car.ask("3E 00") == []
    car.power(PowerEvent.BATTERY_BACK)
    assert car.ask("3E 00") == [], "it starts up"
    car.wait(500 * MS)
    assert car.ask("3E 00") == ["7E 00"]


def test_terminal_30_lost_forgets_half_a_request() -> None:
    car = OnBus()
    car.everybody.send(Frame(0x714, bytes.fromhex("10 09 22 F1 90 F1 87 F1")))
    car.wait(5 * MS)
    assert car.sent_by_unit()[0].startswith("30")
    car.power(PowerEvent.BATTERY_LOST)
    car.power(PowerEvent.BATTERY_BACK)
    car.wait(600 * MS)
    car.everybody.send(Frame(0x714, bytes.fromhex("21 90 F1 87")))
    assert car.wait(100 * MS) == []


def test_terminal_30_lost_drops_the_work_and_its_answer() -> None:
    car = OnBus(services={**SERVICES, 0x22: ServiceRule(work_ns=200 * MS)})
    car.ask("22 F1 90", 20 * MS)
    car.power(PowerEvent.BATTERY_LOST)
    car.power(PowerEvent.BATTERY_BACK)
    assert car.wait(S) == []


def test_a_lock_holds_on_the_bus() -> None:
    car = OnBus(load_profile("vag/cluster"), locked=True)
    car.ask("10 03")
    assert car.ask("2E 06 00" + " 01" * 8) == ["7F 2E 33"]
    assert car.ask("22 06 00") == ["62 06 00" + " 00" * 8]


def test_an_idle_unit_wants_nothing_from_the_clock() -> None:
    car = OnBus()
    car.ask("22 F1 90")
    assert car.node.next_deadline() is None
