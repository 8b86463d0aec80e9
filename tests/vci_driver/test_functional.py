"""Requests to all units: whose answer counts, how long is waited for whom, and what is thrown away."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fake_ecu import CAR, MS, Table, silent
from hypothesis import given
from hypothesis import strategies as st
from scripted_workshop import unit

from vci_driver.car_map import CarMap
from vci_driver.drivers.virtual import VirtualChannel
from vci_driver.functional import FunctionalExchange
from vci_driver.link import DiagnosticLink
from vci_driver.link_errors import NoAnswer
from vci_driver.link_peer import LinkOptions
from wire.can_bus import CanBus
from wire.errors import CarrierFault, LocalMisuse
from wire.faults import FaultInjector, FaultRule
from wire.world import World

READ = b"\x22\xf1\x90"
PENDING, REFUSED = b"\x7f\x22\x78", b"\x7f\x22\x33"
WINDOW_MS = 75
"""P2 50 ms and 25 ms for the way."""


def vin(tail: bytes) -> bytes:
    return b"\x62\xf1\x90" + tail


LONG = vin(bytes(300))


# ---- over the link


def test_answers_come_in_the_order_of_their_end_refusals_among_them() -> None:
    table = Table(
        engine=lambda _: [(1, vin(b"x" * 200))], gateway=lambda _: [(20, vin(b"g"))], cluster=lambda _: [(2, REFUSED)]
    )
    assert [name for name, _ in table.link.send_functional(READ)] == ["cluster", "engine", "gateway"]
    assert dict(table.link.send_functional(READ))["cluster"] == REFUSED


def test_the_wait_ends_with_the_window_though_all_have_answered_long_before() -> None:
    """Who is on the bus is not known for certain: the map is only what may be there."""
    table = Table(**{name: lambda _: vin(b"abc") for name in CAR.names})
    assert len(table.link.send_functional(READ)) == 3
    assert WINDOW_MS <= table.now_ms < WINDOW_MS + 1


@pytest.mark.parametrize(("delay_ms", "comes"), [(0, True), (74, True), (76, False)])
def test_an_answer_begins_within_p2_or_does_not_count(delay_ms: int, comes: bool) -> None:
    for answer in (vin(b"abc"), LONG):
        table = Table(cluster=lambda _, answer=answer: [(delay_ms, answer)])
        assert bool(table.link.send_functional(READ)) is comes


@pytest.mark.parametrize("answer", [vin(b"abc"), LONG])
def test_a_late_answer_does_not_count_because_another_unit_is_still_waited_for(answer: bytes) -> None:
    table = Table(cluster=lambda _: [(100, answer)], engine=lambda _: [(10, PENDING), (1_000, vin(b"e"))])
    assert table.link.send_functional(READ) == [("engine", vin(b"e"))]
    assert table.link.counters.late == 1


def test_a_late_answer_is_counted_and_is_no_answer_to_the_next_request() -> None:
    def cluster(payload: bytes) -> list[tuple[int, bytes]]:
        return [(100, vin(b"late"))] if payload == READ else [(50, b"\x62\xf1\x87part")]

    table = Table(cluster=cluster)
    assert table.link.send_functional(READ) == []
    assert table.link.request("cluster", b"\x22\xf1\x87") == b"\x62\xf1\x87part"
    assert table.link.counters.late == 1


def test_a_unit_that_asks_for_time_gets_p2_star_for_itself_and_each_0x78_is_counted() -> None:
    table = Table(
        cluster=lambda _: [(10, PENDING), (5_000, PENDING), (10_000, LONG)],
        engine=lambda _: [(10, PENDING)],
        gateway=silent,
    )
    assert table.link.send_functional(READ) == [("cluster", LONG)]
    assert 10_000 <= table.now_ms < 10_200
    assert table.link.counters.pending == 3


def test_a_refusal_after_0x78_is_an_answer() -> None:
    table = Table(cluster=lambda _: [(10, PENDING), (500, REFUSED)])
    assert table.link.send_functional(READ) == [("cluster", REFUSED)]


def test_what_answers_something_else_does_not_count() -> None:
    table = Table(cluster=lambda _: b"\x7e\x00", engine=lambda _: b"\x7f\x10\x22", gateway=lambda _: b"\x7f\x22")
    assert table.link.send_functional(READ) == []
    assert table.link.counters.unsolicited + table.link.counters.late == 3


@pytest.mark.parametrize("skip", [1, 5])
def test_a_long_answer_that_breaks_off_takes_no_other_long_answer_with_it(skip: int) -> None:
    """Both last longer than the window; one, whose frames win, loses one of them; the other goes on."""
    longer = vin(b"z" * 4_000)
    table = Table(cluster=lambda _: [(5, longer)], engine=lambda _: longer)
    table.bus.faults = faults = FaultInjector(table.world.rng("faults"))
    faults.add(FaultRule(kind="drop", can_id=0x77E, from_ns=80 * MS, skip=skip, count=1))
    assert table.link.send_functional(READ) == [("engine", longer)]


def test_a_long_answer_whose_end_never_comes_is_given_up_after_n_cr() -> None:
    table = Table(cluster=lambda _: LONG, engine=lambda _: vin(b"e"))
    table.bus.faults = faults = FaultInjector(table.world.rng("faults"))
    faults.add(FaultRule(kind="drop", can_id=0x77E, skip=2))
    assert table.link.send_functional(READ) == [("engine", vin(b"e"))]
    assert 1_000 <= table.now_ms < 1_100


def test_a_request_under_way_is_given_up_and_its_answer_is_late() -> None:
    table = Table(cluster=lambda p: [(30, b"\x62\xf1\x87part")] if p != READ else vin(b"abc"))
    table.link.begin("cluster", b"\x22\xf1\x87")
    answers = table.link.send_functional(READ)
    assert ("cluster", vin(b"abc")) in answers


def test_without_waiting_it_returns_when_the_request_is_on_the_bus_and_takes_no_answer() -> None:
    table = Table(cluster=lambda _: b"\x7e\x00")
    assert table.link.send_functional(b"\x3e\x00", wait=False) == []
    assert table.now_ms < 1
    table.world.run_for(10 * MS)
    assert table.ecus["cluster"].heard_functional[0][1] == b"\x3e\x00"
    assert table.link.request("cluster", b"\x3e\x00") == b"\x7e\x00"


def test_two_functional_requests_in_a_row_each_have_their_own_answers() -> None:
    table = Table(cluster=unit({"22 F1 90": "62 F1 90 41", "22 F1 87": "62 F1 87 42"}))
    assert table.link.send_functional(READ) == [("cluster", vin(b"A"))]
    assert table.link.send_functional(b"\x22\xf1\x87") == [("cluster", b"\x62\xf1\x87B")]


def test_a_unit_s_longer_p2_makes_the_window_longer() -> None:
    table = Table(cluster=lambda p: b"\x50\x03\x00\xc8\x01\xf4" if p[0] == 0x10 else [(210, vin(b"abc"))])
    table.link.request("cluster", b"\x10\x03")
    assert table.link.send_functional(READ) == [("cluster", vin(b"abc"))]


def test_the_whole_is_bounded_where_units_ask_for_time_again_and_again() -> None:
    def cluster(_: bytes) -> list[tuple[int, bytes]]:
        return [(10 + 4_000 * n, PENDING) for n in range(50)]

    table = Table(cluster=cluster, engine=lambda _: vin(b"e"), options=LinkOptions(overall_limit_ns=20_000 * MS))
    assert table.link.send_functional(READ) == [("engine", vin(b"e"))]
    assert table.now_ms == 20_000


# ---- refused before anything is sent


def on_fd() -> CarMap:
    return replace(CAR, fd=True)


@pytest.mark.parametrize(("car", "longest"), [(CAR, 7), (on_fd(), 62)])
def test_a_request_to_all_fits_one_frame(car: CarMap, longest: int) -> None:
    table = Table(car, cluster=silent)
    table.link.send_functional(b"\x22" * longest, wait=False)
    for size in (0, longest + 1):
        with pytest.raises(LocalMisuse, match=f"1 to {longest} bytes"):
            table.link.send_functional(b"\x22" * size)


def test_a_car_without_a_functional_identifier_has_no_way_to_ask_all() -> None:
    table = Table(replace(CAR, functional_id=None), cluster=silent)
    with pytest.raises(LocalMisuse, match="no functional identifier"):
        table.link.send_functional(READ)
    with pytest.raises(LocalMisuse, match="name the units"):
        table.link.keep_alive()


def test_a_plug_that_is_pulled_while_answers_are_awaited_ends_the_wait_with_its_reason() -> None:
    world = World()
    bus = CanBus(world, "obd")
    channel = VirtualChannel(bus.attach("tester"))
    link = DiagnosticLink(world, [channel], CAR)
    bus.attach("somebody who acknowledges")
    world.call_at(20 * MS, channel.unplug)
    for _ in range(2):
        with pytest.raises(CarrierFault, match="pulled out"):
            link.send_functional(READ)
    assert world.now_ns == 20 * MS
    channel.replug()
    link.recover()
    assert link.send_functional(READ) == []


def test_an_answer_to_all_does_not_end_a_later_wait_for_one() -> None:
    table = Table(cluster=silent)
    table.link.send_functional(READ)
    with pytest.raises(NoAnswer):
        table.link.request("cluster", READ)


# ---- the collector alone


class FakeAlarm:
    def __init__(self) -> None:
        self.deadline_ns: int | None = None

    def set(self, deadline_ns: int | None) -> None:
        self.deadline_ns = deadline_ns

    def ring(self, made: FunctionalExchange) -> None:
        """Time has come; a timer rings once."""
        due_ns, self.deadline_ns = self.deadline_ns, None
        assert due_ns is not None
        made.on_timer(due_ns)


def exchange(max_pending: int = 3) -> tuple[FunctionalExchange, FakeAlarm]:
    alarm = FakeAlarm()
    made = FunctionalExchange(READ, timer=alarm, window_ns=75, max_pending=max_pending)
    made.on_sent(0)
    return made, alarm


def test_units_that_promised_or_began_and_never_came_are_told_apart_from_silent_ones() -> None:
    made, alarm = exchange()
    made.received("promises", PENDING, 10, 5_000)
    made.begun("begins", vin(b""))
    made.begun("says something else", b"\x50\x03")
    made.on_timer(75)
    assert not made.finished
    made.broken("begins")
    made.broken("silent")
    assert not made.finished
    assert alarm.deadline_ns == 5_010
    made.on_timer(5_010)
    assert made.finished
    assert alarm.deadline_ns is None
    assert made.broken_units == ["begins", "promises"]
    assert made.answers == []


def test_an_answer_that_begins_is_waited_for_beyond_its_promise() -> None:
    made, _ = exchange()
    made.received("cluster", PENDING, 10, 100)
    made.begun("cluster", vin(b""))
    made.on_timer(110)
    assert not made.finished
    assert made.received("cluster", LONG, 900, 100)
    assert made.finished
    assert (made.answers, made.broken_units) == ([("cluster", LONG)], [])


def test_a_failure_of_the_request_ends_it_and_closing_stops_the_alarm() -> None:
    made, alarm = exchange()
    error = RuntimeError("gone")
    made.fail(error)
    assert (made.finished, made.failure, alarm.deadline_ns) == (True, error, None)
    other, alarm = exchange()
    other.close()
    assert alarm.deadline_ns is None


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.sampled_from("abc"),
        st.sampled_from(["begun", "broken", "answer", "pending", "refusal", "noise"]),
    ),
    max_size=30,
)


@given(EVENTS)
def test_whatever_happens_it_finishes_and_counts_no_answer_that_did_not_come(
    events: list[tuple[int, str, str]],
) -> None:
    """Time goes on, whatever units do; every unit that began ends or breaks, as the transport sees to it."""
    made, alarm = exchange()
    now, finals = 0, 0
    for step, name, kind in events:
        now += step
        while alarm.deadline_ns is not None and alarm.deadline_ns <= now:
            alarm.ring(made)
        if made.finished:
            break
        match kind:
            case "begun":
                made.begun(name, vin(b""))
            case "broken":
                made.broken(name)
            case "noise":
                assert not made.received(name, b"\x7e\x00", now, 100)
            case _:
                payload = {"answer": vin(b"abc"), "refusal": REFUSED, "pending": PENDING}[kind]
                finals += made.received(name, payload, now, 100) and kind != "pending"
    for name in "abc":
        made.broken(name)
    while alarm.deadline_ns is not None:
        alarm.ring(made)
    assert made.finished
    assert len(made.answers) == finals
