"""Tester present in the background: what it does when units refuse it, the bus is dead, or a request is in its way."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fake_ecu import CAR, MS, FakeEcu, Table, silent

from vci_driver.car_map import UnknownEcu
from vci_driver.drivers.virtual import VirtualChannel
from vci_driver.link import DiagnosticLink
from wire.can_bus import CanBus
from wire.errors import CarrierFault
from wire.world import World

PRESENT = b"\x3e\x80"
READ, ANSWER, PENDING = b"\x22\xf1\x90", b"\x62\xf1\x90abc", b"\x7f\x22\x78"


def presents(ecu: FakeEcu) -> list[int]:
    """When a unit heard tester present, in milliseconds, to itself or to all."""
    return [time_ns // MS for time_ns, payload in ecu.heard + ecu.heard_functional if payload == PRESENT]


def test_a_unit_that_refuses_tester_present_disturbs_no_request() -> None:
    table = Table(cluster=lambda p: b"\x7f\x3e\x11" if p == PRESENT else [(40, PENDING), (2_500, ANSWER)])
    for targets in (None, ["cluster"]):
        table.link.keep_alive(targets=targets)
        assert table.link.request("cluster", READ) == ANSWER
        table.world.run_for(5_000 * MS)
        assert table.link.request("cluster", READ) == ANSWER
    assert table.link.counters.unsolicited > 0


@pytest.mark.parametrize("functional_id", [0x700, None])
def test_a_request_that_waits_for_a_tester_present_on_its_way_is_sent_after_it(functional_id: int | None) -> None:
    table = Table(replace(CAR, functional_id=functional_id), cluster=lambda p: None if p == PRESENT else ANSWER)
    table.link.keep_alive(targets=["cluster"])
    table.world.run_for(2_000 * MS)  # it has just been handed to the bus
    assert table.link.request("cluster", READ) == ANSWER
    assert [payload for _, payload in table.ecus["cluster"].heard] == [PRESENT, READ]


def test_on_a_dead_bus_it_goes_on_trying_and_holds_up_no_request_once_somebody_is_there() -> None:
    for targets in (None, ["cluster"]):
        world = World()
        bus = CanBus(world, "obd")
        link = DiagnosticLink(world, [bus.attach("tester")], CAR)
        link.keep_alive(targets=targets)
        world.run_for(9_000 * MS)
        cluster = FakeEcu(world, bus.attach("cluster"), 0x714, 0x77E, lambda p: None if p == PRESENT else ANSWER)
        world.run_for(5_000 * MS)
        assert link.request("cluster", READ) == ANSWER
        world.run_for(5_000 * MS)
        assert len(presents(cluster)) >= 2


def test_it_pauses_while_the_adapter_is_out_and_goes_on_when_it_is_back() -> None:
    world = World()
    bus = CanBus(world, "obd")
    channel = VirtualChannel(bus.attach("tester"))
    link = DiagnosticLink(world, [channel], CAR)
    cluster = FakeEcu(world, bus.attach("cluster"), 0x714, 0x77E, silent)
    link.keep_alive()
    world.call_at(5_000 * MS, channel.unplug)
    world.run_for(11_000 * MS)
    assert presents(cluster) == [2_000, 4_000]
    assert link.keeps_alive
    with pytest.raises(CarrierFault):
        link.request("cluster", READ)
    channel.replug()
    link.recover()
    world.run_for(3_500 * MS)
    assert presents(cluster) == [2_000, 4_000, 12_000, 14_000]


def test_it_may_be_told_to_name_other_units_or_all_and_does_not_speak_twice() -> None:
    table = Table(cluster=silent, engine=silent)
    table.link.keep_alive(targets=["engine"])
    table.link.keep_alive(targets=["cluster"])
    table.world.run_for(2_500 * MS)
    assert (presents(table.ecus["engine"]), presents(table.ecus["cluster"])) == ([], [2_000])
    table.link.keep_alive()
    table.world.run_for(2_500 * MS)
    assert (presents(table.ecus["engine"]), presents(table.ecus["cluster"])) == ([4_500], [2_000, 4_500])
    assert table.ecus["cluster"].heard[-1][0] // MS == 2_000


def test_it_stops_though_it_was_never_started_and_knows_only_units_of_the_car() -> None:
    table = Table(cluster=silent)
    table.link.keep_alive(on=False)
    with pytest.raises(UnknownEcu, match="did you mean 'cluster'"):
        table.link.keep_alive(targets=["clutser"])
    assert not table.link.keeps_alive
    table.world.run_for(10_000 * MS)
    assert presents(table.ecus["cluster"]) == []


def test_a_session_is_held_once_however_often_it_is_asked_for() -> None:
    table = Table(cluster=silent)
    for _ in range(4):
        table.link.hold_session("cluster")
        table.world.run_for(1_500 * MS)
    assert presents(table.ecus["cluster"]) == [2_000, 4_000]
