"""Frames beside ISO-TP, a controller that goes to another bit rate, and a tester that hears what it did not ask for."""

from __future__ import annotations

from typing import Any

import pytest
from acting_unit import UUDT, acting
from udsoncan.exceptions import NegativeResponseException

from bench import Bench
from ecu_sim.node import EcuNode
from scenarios.stage import VehicleChange
from vci_driver.car_map import CarMap, EcuEntry
from vci_driver.link import DiagnosticLink
from vci_driver.link_errors import NoAnswer
from vci_driver.link_peer import LinkOptions
from wire.can_bus import CanBus
from wire.endpoint import Endpoint
from wire.errors import LocalMisuse
from wire.frame import Frame
from wire.world import World

MS, S = 1_000_000, 1_000_000_000
READ, VIN = b"\x22\xf1\x90", b"\x62\xf1\x90WVWZZZCDZSW000001"


class Table:
    """A unit and a tester's link on one bus, nothing in between."""

    def __init__(self, **changes: Any) -> None:
        self.world = World(1)
        self.bus = CanBus(self.world, "bus")
        self.ecu = acting(**changes)
        self.server = self.ecu.server
        node = self.node = EcuNode(self.server)
        self.port = self.bus.attach("cluster")
        node.on_bitrate = self.port.tune
        Endpoint(self.world, node, [(self.port, node.listen_ids())])
        entry = EcuEntry(
            name="cluster",
            address=0x17,
            request_id=0x714,
            response_id=0x77E,
            periodic_ids=self.server.profile.periodic.can_ids,
        )
        car = CarMap(make="vag", gateway="cluster", ecus=(entry,), functional_id=0x700)
        self.link = DiagnosticLink(self.world, [self.bus.attach("tester")], car, LinkOptions())

    def ask(self, text: str) -> str:
        return self.link.request("cluster", bytes.fromhex(text)).hex(" ").upper()


# ---- frames beside ISO-TP


def test_periodic_frames_reach_the_tester_padded_and_exact() -> None:
    table = Table(periodic=UUDT)
    heard = table.link.listen_unasked("cluster")
    table.ask("10 03")
    assert table.ask("2A 02 01") == "6A"
    asked_ns = table.server.state.periodic[1].due_ns - 200 * MS
    table.world.run_for(1 * S)
    assert [frame.payload for frame in heard] == [bytes.fromhex("01 11 22 33 AA AA AA AA")] * 5
    assert {frame.can_id for frame in heard} == {0x6A0}
    wire_ns = table.bus.frame_time_ns(Frame(0x6A0, bytes(8)))
    assert [frame.now_ns - asked_ns for frame in heard] == [k * 200 * MS + wire_ns for k in range(1, 6)]


def test_frames_are_as_short_as_their_data_where_the_profile_pads_nothing() -> None:
    table = Table(periodic=UUDT, padding=None)
    heard = table.link.listen_unasked("cluster")
    table.ask("10 03")
    table.ask("2A 02 02")
    table.world.run_for(200 * MS + MS)
    assert [frame.payload for frame in heard] == [b"\x02\x00\x00"]


def test_values_do_not_disturb_a_long_answer() -> None:
    table = Table(periodic=UUDT)
    heard = table.link.listen_unasked("cluster")
    table.ask("10 03")
    table.ask("2A 03 01 02")
    for _ in range(20):
        assert table.link.request("cluster", READ) == VIN
        table.world.run_for(7 * MS)
    assert len(heard) == 2 * (table.server.state.periodic[1].due_ns // (25 * MS) - 1)


def test_a_bus_that_carries_no_more_costs_values_and_nothing_else() -> None:
    table = Table(periodic=UUDT)
    table.port.on_sent = lambda _frame: None  # nobody confirms any more
    table.ask("10 03")
    table.server.frames.extend([(0x6A0, b"\x01")] * 500)
    table.node.handle_timer(table.world.now_ns)
    assert table.node._lane.dropped > 400


# ---- what the tester did not ask for


def test_events_and_periodic_messages_are_kept_beside_requests_of_the_same_service() -> None:
    table = Table()
    heard = table.link.listen_unasked("cluster")
    assert table.link.listen_unasked("cluster") is heard
    table.ask("10 03")
    table.ask("86 03 02 10 03 22 10 03")
    table.ask("86 05 02")
    table.ask("2A 03 01")
    table.ecu.vehicle.speed_kmh = 88
    for _ in range(200):
        assert table.link.request("cluster", READ) == VIN
        assert table.ask("2A 04 02") == "6A"
        table.world.run_for(1 * MS)
    said = [message.payload.hex(" ").upper() for message in heard]
    assert said.count("62 10 03 00 58") == 1
    assert set(said) == {"62 10 03 00 58", "6A 01 11 22 33"}
    assert table.link.counters.late == 0


def test_a_long_event_in_the_middle_of_a_request_does_not_end_its_patience() -> None:
    table = Table()
    heard = table.link.listen_unasked("cluster")
    table.ask("10 03")
    table.ask("86 03 02 10 03 22 F1 87")
    table.ask("86 05 02")
    assert table.ask("2E 07 01 00") == "6E 07 01"
    table.ecu.vehicle.speed_kmh = 88
    for _ in range(60):
        assert table.link.request("cluster", READ) == VIN
    table.world.run_for(200 * MS)
    assert [message.payload[:3].hex() for message in heard] == ["62f187"]


def test_without_anybody_who_listens_it_is_only_counted() -> None:
    table = Table()
    table.ask("10 03")
    table.ask("2A 03 01")
    table.world.run_for(90 * MS)
    assert table.link.counters.unsolicited == 3


# ---- another bit rate


def test_after_the_transition_unit_and_tester_understand_each_other_only_at_the_new_rate() -> None:
    table = Table()
    table.ask("10 03")
    assert table.ask("87 01 11") == "C7 01"
    assert table.ask("87 03") == "C7 03"
    table.world.run_for(20 * MS)
    with pytest.raises(NoAnswer):
        table.link.request("cluster", READ)
    table.bus.set_bitrate(250_000)
    assert table.link.request("cluster", READ) == VIN


@pytest.mark.parametrize("end", ["S3", "10 01", "11 01"])
def test_the_unit_comes_back_to_the_old_rate(end: str) -> None:
    table = Table()
    table.ask("10 03")
    table.ask("87 01 11")
    table.ask("87 03")
    table.world.run_for(20 * MS)
    table.bus.set_bitrate(250_000)
    if end == "S3":
        table.world.run_for(6 * S)
    else:
        assert table.ask(end).startswith(("50 01", "51 01"))
        table.world.run_for(1 * S)
    assert table.link.request("cluster", READ) == VIN, "back at whatever its bus has"
    table.bus.set_bitrate(500_000)
    assert table.link.request("cluster", READ) == VIN


def test_a_unit_that_was_left_behind_comes_back_by_itself_when_s3_is_over() -> None:
    table = Table()
    table.ask("10 03")
    table.ask("87 02 0C B5 E8")
    table.ask("87 03")
    table.world.run_for(1 * S)
    with pytest.raises(NoAnswer):
        table.link.request("cluster", READ)
    table.world.run_for(5 * S)
    assert table.link.request("cluster", READ) == VIN


def test_a_port_is_silent_while_mistuned_and_while_switched_off_whichever_ends_last() -> None:
    world = World(1)
    bus = CanBus(world, "bus")
    one, two = bus.attach("one"), bus.attach("two")
    heard: list[int] = []
    two.listen([1], lambda frame: heard.append(frame.can_id))

    def sends() -> int:
        heard.clear()
        one.send(Frame(1, b""))
        world.run_for(10 * MS)
        return len(heard)

    assert sends() == 1
    two.tune(250_000)
    assert (sends(), two.mistuned) == (0, True)
    two.switch_off()
    bus.set_bitrate(250_000)
    assert sends() == 0
    assert bus.frame_time_ns(Frame(1, b"")) > 200_000
    two.restart()
    assert (sends(), two.mistuned) == (1, False)
    bus.set_bitrate(500_000)
    two.restart()
    assert sends() == 0
    two.tune(None)
    assert sends() == 1
    with pytest.raises(LocalMisuse, match="bit rate"):
        bus.set_bitrate(0)


# ---- in a car, behind its gateway


def test_a_cars_engine_sends_periodic_values_through_the_gateway() -> None:
    with Bench(seed=1, vehicle="vag-golf") as bench:
        bench.stage.change_vehicle(VehicleChange(bonnet_open=True))
        tester = bench.tester()
        tester.link.request("engine", b"\x10\x03")
        heard = tester.periodic("engine", "medium", 0x01, 0x02)
        bench.sleep(seconds=1.05)
        assert [(value.can_id, value.payload[:3]) for value in heard] == [
            (0x6E0, b"\x01\x00\x00"),
            (0x6E1, b"\x02\x31\x38"),
        ] * 5
        tester.periodic("engine", "stop")
        heard.clear()
        bench.sleep(seconds=1)
        assert not heard
        with pytest.raises(NegativeResponseException):
            tester.periodic("engine", "fast", 0x77)
        with pytest.raises(LocalMisuse, match="unknown rate"):
            tester.periodic("engine", "quick", 0x01)


def test_a_cars_engine_tells_events_through_the_gateway() -> None:
    with Bench(seed=1, vehicle="vag-golf") as bench:
        bench.stage.change_vehicle(VehicleChange(bonnet_open=True))
        tester = bench.tester()
        heard = tester.listen("engine")
        for request in ("10 03", "86 03 02 F2 01 22 F2 01"):
            answer = tester.link.request("engine", bytes.fromhex(request))
        assert answer == bytes.fromhex("7F 86 31"), "numbers of 0x2C are not watched"
        tester.link.request("engine", bytes.fromhex("86 03 02 02 86 22 F2 02"))
        tester.link.request("engine", bytes.fromhex("86 05 02"))
        bench.sleep(seconds=2)
        bench.stage.change_vehicle(VehicleChange(supply_mv=13_000))
        bench.sleep(seconds=1)
        assert [message.payload for message in heard] == [bytes.fromhex("62 F2 02 32 C8")]


def test_a_bus_of_the_car_goes_to_another_rate() -> None:
    with Bench(seed=1, vehicle="vag-golf") as bench:
        bench.stage.change_vehicle(VehicleChange(bonnet_open=True))
        tester = bench.tester()
        for request in ("10 03", "87 01 11", "87 03"):
            assert tester.link.request("engine", bytes.fromhex(request))[0] != 0x7F
        bench.sleep(seconds=0.1)
        with pytest.raises(NoAnswer):
            tester.link.request("engine", READ)
        bench.car.set_bitrate("powertrain", 250_000)
        assert tester.link.request("engine", READ) == VIN
        with pytest.raises(LocalMisuse, match="no bus 'road'"):
            bench.car.set_bitrate("road", 250_000)
