"""The tester's link: whose patience ends when, what is thrown away, and that every failure says who, what and how long."""

from __future__ import annotations

import pytest
from fake_ecu import CAR, MS, FakeEcu, Table, silent
from hypothesis import given
from hypothesis import strategies as st

from vci_driver.car_map import UnknownEcu
from vci_driver.drivers.virtual import VirtualChannel
from vci_driver.link import DiagnosticLink
from vci_driver.link_errors import (
    AnswerBroken,
    AnswerCutOff,
    NoAnswer,
    RequestNotSent,
    RequestNotTaken,
    StillPending,
)
from vci_driver.link_peer import LinkOptions
from wire.can_bus import CanBus
from wire.errors import CarrierFault, LocalMisuse, RemoteTimeout
from wire.frame import Frame
from wire.isotp_door import IsoTpOptions
from wire.world import World

READ = b"\x22\xf1\x90"
ANSWER = b"\x62\xf1\x90abc"
PENDING = b"\x7f\x22\x78"


def echo(payload: bytes) -> bytes:
    return bytes((payload[0] + 0x40,)) + payload[1:]


def test_a_request_returns_the_final_answer() -> None:
    table = Table(cluster=lambda _: ANSWER)
    assert table.link.request("cluster", READ) == ANSWER


@given(st.binary(min_size=1, max_size=600))
def test_any_payload_comes_back_whole(data: bytes) -> None:
    table = Table(cluster=lambda payload: b"\x76" + payload[1:])
    assert table.link.request("cluster", b"\x36" + data) == b"\x76" + data


def test_a_negative_answer_is_an_answer() -> None:
    table = Table(cluster=lambda _: b"\x7f\x22\x33")
    assert table.link.request("cluster", READ) == b"\x7f\x22\x33"


def test_silence_ends_after_p2_and_says_who_what_and_how_long() -> None:
    table = Table(cluster=silent, options=LinkOptions(p2_ns=50 * MS, delta_p2_ns=25 * MS))
    with pytest.raises(
        NoAnswer, match=r"'cluster' did not answer ReadDataByIdentifier \(0x22\): waited 75 ms"
    ) as error:
        table.link.request("cluster", READ)
    assert (error.value.target, error.value.sid, error.value.waited_ns) == ("cluster", 0x22, 75 * MS)
    assert isinstance(error.value, RemoteTimeout)


def test_p2_ends_with_the_first_frame_of_a_long_answer() -> None:
    """4095 bytes take far longer than P2 at 500 kbit/s; only their beginning is due within it."""
    long = b"\x62" + bytes(4094)
    table = Table(cluster=lambda _: [(70, long)])
    assert table.link.request("cluster", READ) == long
    assert table.now_ms > 200


def test_an_answer_that_begins_after_p2_is_too_late() -> None:
    table = Table(cluster=lambda _: [(80, ANSWER)])
    with pytest.raises(NoAnswer):
        table.link.request("cluster", READ)


def test_0x78_buys_p2_star_again_and_again() -> None:
    table = Table(cluster=lambda _: [(40, PENDING), (4900, PENDING), (9800, PENDING), (14000, ANSWER)])
    assert table.link.request("cluster", READ) == ANSWER
    assert table.link.counters.pending == 3


def test_silence_after_0x78_ends_after_p2_star() -> None:
    table = Table(cluster=lambda _: [(40, PENDING)])
    with pytest.raises(StillPending, match="said 0x78 1 times, then nothing within P2"):
        table.link.request("cluster", READ)
    assert 5065 <= table.now_ms < 5070


def test_0x78_without_end_is_stopped_by_a_count() -> None:
    table = Table(cluster=lambda _: [(10 * n, PENDING) for n in range(200)], options=LinkOptions(max_pending=7))
    with pytest.raises(StillPending, match="more than 7 times"):
        table.link.request("cluster", READ)
    assert table.now_ms < 100


def test_the_overall_limit_ends_what_never_ends() -> None:
    table = Table(
        cluster=lambda _: [(1000 * n + 10, PENDING) for n in range(100)],
        options=LinkOptions(overall_limit_ns=9_000 * MS),
    )
    with pytest.raises(StillPending, match="overall limit of 9 s"):
        table.link.request("cluster", READ)
    assert table.now_ms == 9000


def test_a_late_answer_is_discarded_and_the_next_request_gets_its_own() -> None:
    delays = {0xF190: 100.0, 0xF187: 1.0}
    table = Table(cluster=lambda p: [(delays[int.from_bytes(p[1:3], "big")], echo(p))])
    with pytest.raises(NoAnswer):
        table.link.request("cluster", READ)
    late_answer_arrives_in_this_request = table.link.request("cluster", b"\x22\xf1\x87")
    assert late_answer_arrives_in_this_request == b"\x62\xf1\x87"
    table.world.run_for(100 * MS)
    assert table.link.counters.late == 1


def test_a_late_answer_of_the_same_service_is_told_apart_by_what_it_echoes() -> None:
    delays = {0xF190: 90.0, 0xF187: 60.0}
    table = Table(cluster=lambda p: [(delays[int.from_bytes(p[1:3], "big")], echo(p))])
    with pytest.raises(NoAnswer):
        table.link.request("cluster", READ)
    assert table.link.request("cluster", b"\x22\xf1\x87") == b"\x62\xf1\x87"
    assert table.link.counters.late == 1


def test_an_answer_to_another_service_is_discarded_and_named_in_the_time_out() -> None:
    table = Table(cluster=lambda _: b"\x50\x03")
    with pytest.raises(NoAnswer, match="it said 50 03 instead"):
        table.link.request("cluster", READ)
    assert table.link.counters.unexpected == 1


def test_an_unsolicited_answer_is_counted_and_does_no_harm() -> None:
    table = Table(cluster=lambda _: ANSWER)
    table.ecus["cluster"].say(b"\x62\xf1\x90zzz")
    table.world.run_for(10 * MS)
    assert table.link.counters.unsolicited == 1
    assert table.link.request("cluster", READ) == ANSWER


def test_a_suppressed_positive_answer_is_silence_and_a_refusal_is_heard() -> None:
    table = Table(cluster=silent, engine=lambda _: b"\x7f\x10\x22")
    assert table.link.request("cluster", b"\x3e\x80") == b""
    assert table.link.request("engine", b"\x10\x83") == b"\x7f\x10\x22"


def test_a_suppressed_answer_comes_all_the_same_after_0x78() -> None:
    table = Table(cluster=lambda _: [(10, b"\x7f\x10\x78"), (300, b"\x50\x03\x00\x32\x01\xf4")])
    assert table.link.request("cluster", b"\x10\x83")[:2] == b"\x50\x03"


def test_the_unit_s_own_timing_is_taken_from_its_session_answer() -> None:
    answers = {0x10: b"\x50\x03\x01\xf4\x00\x64"}  # P2 500 ms, P2* 1000 ms
    table = Table(cluster=lambda p: answers.get(p[0]) or [(450, echo(p))])
    table.link.request("cluster", b"\x10\x03")
    assert table.link.request("cluster", READ) == b"\x62\xf1\x90"


def test_a_timing_of_zero_is_no_timing() -> None:
    answers = {0x10: b"\x50\x03\x00\x00\x00\x00"}
    table = Table(cluster=lambda p: answers.get(p[0]) or [(40, echo(p))])
    table.link.request("cluster", b"\x10\x03")
    assert table.link.request("cluster", READ) == b"\x62\xf1\x90"


def test_an_answer_that_stops_in_the_middle_is_cut_off_after_n_cr() -> None:
    world = World()
    bus = CanBus(world, "obd")
    link = DiagnosticLink(world, [bus.attach("tester")], CAR)
    port = bus.attach("ecu")

    def answer(frame: Frame) -> None:
        if frame.data[0] == 3:
            port.send(Frame(0x77E, b"\x10\x14\x62\xf1\x90abc"))

    port.listen([0x714], answer)
    with pytest.raises(AnswerCutOff, match=r"middle of its answer.*N_Cr"):
        link.request("cluster", READ)


def test_a_lost_consecutive_frame_breaks_the_answer() -> None:
    world = World()
    bus = CanBus(world, "obd")
    link = DiagnosticLink(world, [bus.attach("tester")], CAR)
    port = bus.attach("ecu")

    def answer(frame: Frame) -> None:
        if frame.data[0] == 0x30:
            port.send(Frame(0x77E, b"\x22abcdefg"))
        else:
            port.send(Frame(0x77E, b"\x10\x14\x62\xf1\x90abc"))

    port.listen([0x714], answer)
    with pytest.raises(AnswerBroken, match="the answer broke off"):
        link.request("cluster", READ)


def test_a_long_request_without_flow_control_is_not_taken() -> None:
    table = Table()
    with pytest.raises(RequestNotTaken, match=r"did not take all of the request.*N_Bs"):
        table.link.request("cluster", b"\x2e\x06\x00" + bytes(20))


def test_a_request_that_overflows_the_unit_s_buffer_breaks_off() -> None:
    table = Table()
    FakeEcu(table.world, table.bus.attach("small"), 0x714, 0x77E, silent, options=IsoTpOptions(rx_buffer_bytes=16))
    with pytest.raises(AnswerBroken, match="the request broke off"):
        table.link.request("cluster", b"\x2e\x06\x00" + bytes(20))


def test_alone_on_the_bus_a_request_is_not_sent() -> None:
    world = World()
    link = DiagnosticLink(world, [CanBus(world, "obd").attach("tester")], CAR)
    with pytest.raises(RequestNotSent, match="did not go out") as error:
        link.request("cluster", READ)
    assert isinstance(error.value, CarrierFault)


def test_a_plug_pulled_in_the_middle_fails_the_request_at_once_and_all_later_ones() -> None:
    world = World()
    bus = CanBus(world, "obd")
    channel = VirtualChannel(bus.attach("tester"))
    link = DiagnosticLink(world, [channel], CAR)
    FakeEcu(world, bus.attach("ecu"), 0x714, 0x77E, lambda _: ANSWER)
    world.call_at(2 * MS, channel.unplug)
    with pytest.raises(CarrierFault, match="pulled out"):
        link.request("cluster", b"\x2e\x06\x00" + bytes(500))
    with pytest.raises(CarrierFault, match="pulled out"):
        link.request("cluster", READ)
    channel.replug()
    link.recover()
    assert link.request("cluster", READ) == ANSWER


def test_an_unknown_unit_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(UnknownEcu, match=r"did you mean 'cluster'\?"):
        Table().link.request("clutser", READ)


def test_an_empty_request_is_misuse() -> None:
    with pytest.raises(LocalMisuse, match="empty request"):
        Table().link.request("cluster", b"")


def test_blocking_inside_a_callback_is_misuse_and_not_a_deadlock() -> None:
    table = Table(cluster=lambda _: ANSWER)
    caught: list[str] = []

    def ask() -> None:
        with pytest.raises(LocalMisuse) as error:
            table.link.request("cluster", READ)
        caught.append(str(error.value))

    table.world.call_at(MS, ask)
    table.world.run_for(2 * MS)
    assert "already running" in caught[0]


# ---- functional requests


def test_a_functional_request_collects_every_answer_in_order_of_coming() -> None:
    table = Table(gateway=lambda p: [(20, echo(p))], engine=lambda p: [(5, echo(p))], cluster=silent)
    assert table.link.send_functional(b"\x3e\x00") == [("engine", b"\x7e\x00"), ("gateway", b"\x7e\x00")]


def test_a_functional_request_waits_for_long_answers_and_promised_ones() -> None:
    long = b"\x62\xf1\x90" + bytes(300)
    table = Table(
        gateway=lambda _: [(60, long)],
        engine=lambda _: [(10, PENDING), (3000, ANSWER)],
        cluster=lambda _: [(10, PENDING)],
    )
    assert table.link.send_functional(READ) == [("gateway", long), ("engine", ANSWER)]
    assert table.now_ms < 5100


def test_a_functional_request_ends_when_the_window_does() -> None:
    table = Table(cluster=silent)
    assert table.link.send_functional(b"\x3e\x80") == []
    assert 75 <= table.now_ms < 76


def test_a_functional_0x78_flood_is_bounded() -> None:
    table = Table(cluster=lambda _: [(n, PENDING) for n in range(60)], options=LinkOptions(max_pending=3))
    assert table.link.send_functional(READ) == []
    assert table.now_ms < 5200


def test_a_functional_request_longer_than_a_frame_is_misuse() -> None:
    with pytest.raises(LocalMisuse):
        Table().link.send_functional(bytes(9))


def test_a_functional_request_on_a_dead_bus_says_so() -> None:
    world = World()
    link = DiagnosticLink(world, [CanBus(world, "obd").attach("tester")], CAR)
    with pytest.raises(RequestNotSent):
        link.send_functional(b"\x3e\x00")


# ---- keep-alive


def test_the_keep_alive_sends_tester_present_to_all_every_two_seconds_while_the_world_runs() -> None:
    table = Table(cluster=silent)
    table.link.keep_alive(on=True)
    table.world.run_for(10_500 * MS)
    times = [time_ns // MS for time_ns, payload in table.ecus["cluster"].heard_functional if payload == b"\x3e\x80"]
    assert times == [2000, 4000, 6000, 8000, 10000]
    table.link.keep_alive(on=False)
    table.world.run_for(10_000 * MS)
    assert len(table.ecus["cluster"].heard_functional) == 5
    assert not table.link.keeps_alive


def test_the_keep_alive_runs_while_a_request_waits_through_a_0x78_chain() -> None:
    table = Table(cluster=lambda _: [(40, PENDING), (4000, PENDING), (8000, ANSWER)])
    table.link.keep_alive(on=True)
    assert table.link.request("cluster", READ) == ANSWER
    assert len(table.ecus["cluster"].heard_functional) == 4


def test_a_physical_keep_alive_leaves_requests_alone() -> None:
    table = Table(cluster=lambda p: None if p == b"\x3e\x80" else [(40, PENDING), (3000, ANSWER)], engine=silent)
    table.link.keep_alive(on=True, targets=["cluster"])
    assert table.link.request("cluster", READ) == ANSWER
    table.world.run_for(1_500 * MS)
    assert [payload for _, payload in table.ecus["cluster"].heard] == [READ, b"\x3e\x80"]
    assert table.ecus["engine"].heard == []


def test_an_hour_of_keep_alive_leaves_no_litter_in_the_world() -> None:
    table = Table(cluster=silent)
    table.link.keep_alive(on=True)
    table.world.run_for(3_600_000 * MS)
    assert table.link.counters.tester_present == 1799 + 1
    assert len(table.world._heap) < 10


def test_two_thousand_requests_leave_no_litter_in_the_world() -> None:
    table = Table(cluster=lambda _: ANSWER)
    for _ in range(2_000):
        table.link.request("cluster", READ)
    assert len(table.world._heap) < 10


def test_an_answer_that_leaves_an_unknown_identifier_out_is_not_mistaken_for_a_late_one() -> None:
    """ISO 14229-1: unknown identifiers are left out while one is known, so the answer begins with the second one's echo."""
    said: list[list[tuple[int, bytes]]] = [[], [(10, ANSWER)]]
    table = Table(cluster=lambda _: said.pop(0))
    with pytest.raises(NoAnswer):
        table.link.request("cluster", READ)
    assert table.link.request("cluster", b"\x22\x12\x34\xf1\x90") == ANSWER
