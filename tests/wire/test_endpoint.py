"""The glue between cores and carriers: what is handed over when, on which port, and when the core is woken."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import pytest

from wire.can_bus import CanBus
from wire.endpoint import Endpoint
from wire.errors import WorldStopped
from wire.faults import FaultInjector, FaultRule
from wire.frame import Frame
from wire.world import World


class Probe:
    """A core that writes down what it is told and sends what it is given."""

    name = "probe"

    def __init__(self) -> None:
        self.outputs: deque[tuple[int, Frame]] = deque()
        self.told: list[tuple] = []
        self.deadline_ns: int | None = None
        self.on_receive: Callable[[], None] = lambda: None

    def receive(self, port: int, frame: Frame, now_ns: int) -> None:
        self.told.append(("frame", port, frame.data, now_ns))
        self.on_receive()

    def frame_sent(self, port: int, now_ns: int) -> None:
        self.told.append(("sent", port, now_ns))

    def handle_timer(self, now_ns: int) -> None:
        self.told.append(("timer", now_ns))
        if self.deadline_ns is not None and self.deadline_ns <= now_ns:
            self.deadline_ns = None

    def next_deadline(self) -> int | None:
        return self.deadline_ns


class FakeCarrier:
    """A carrier of which the test is the bus."""

    def __init__(self) -> None:
        self.on_sent: Callable[[Frame], None] | None = None
        self.can_ids: Iterable[int] | None = ()
        self.hear: Callable[[Frame], None]
        self.sent: list[Frame] = []

    def send(self, frame: Frame) -> None:
        self.sent.append(frame)

    def listen(self, can_ids: Iterable[int] | None, listener: Callable[[Frame], None]) -> None:
        self.can_ids, self.hear = can_ids, listener


class Desk:
    def __init__(self, ports: int = 1, on_events: Callable[[], None] = lambda: None) -> None:
        self.world = World()
        self.core = Probe()
        self.carriers = [FakeCarrier() for _ in range(ports)]
        self.endpoint = Endpoint(
            self.world,
            self.core,
            [(carrier, [number]) for number, carrier in enumerate(self.carriers)],
            events=(1,),
            on_events=on_events,
        )


FRAME = Frame(0x7E0, b"\x02\x3e\x00")
OTHER = Frame(0x7E8, b"\x02\x7e\x00")


def test_each_port_listens_to_its_identifiers_and_reports_its_number() -> None:
    desk = Desk(ports=2)
    assert [list(carrier.can_ids) for carrier in desk.carriers] == [[0], [1]]
    desk.carriers[1].hear(FRAME)
    desk.carriers[0].hear(OTHER)
    assert desk.core.told == [("frame", 1, FRAME.data, 0), ("frame", 0, OTHER.data, 0)]


def test_frames_go_to_the_carrier_that_their_port_names_in_order() -> None:
    desk = Desk(ports=2)
    desk.core.outputs += [(1, FRAME), (0, OTHER), (1, OTHER)]
    assert not desk.carriers[1].sent  # nothing moves before flush
    desk.endpoint.flush()
    assert desk.carriers[0].sent == [OTHER]
    assert desk.carriers[1].sent == [FRAME, OTHER]
    assert not desk.core.outputs


def test_a_confirmation_reaches_the_core_with_port_and_time() -> None:
    desk = Desk(ports=2)
    desk.world.call_at(7, lambda: desk.carriers[1].on_sent(FRAME))
    desk.world.run_for(10)
    assert desk.core.told == [("sent", 1, 7)]


@pytest.mark.parametrize("way", ["frame", "sent", "timer"])
def test_what_an_input_makes_the_core_send_goes_out_at_once(way: str) -> None:
    desk = Desk(on_events=lambda: desk.core.outputs.append((0, OTHER)))
    if way == "frame":
        desk.carriers[0].hear(FRAME)
    elif way == "sent":
        desk.carriers[0].on_sent(FRAME)
    else:
        desk.core.deadline_ns = 5
        desk.endpoint.flush()
        desk.world.run_for(5)
    assert [kind for kind, *_ in desk.core.told] == [way]
    assert desk.carriers[0].sent == [OTHER]


def test_activity_is_reported_after_the_core_took_the_input() -> None:
    order = []
    desk = Desk(on_events=lambda: order.append("activity"))
    desk.core.on_receive = lambda: order.append("core")
    desk.carriers[0].hear(FRAME)
    assert order == ["core", "activity"]


def test_the_core_is_woken_when_it_asked_and_not_again() -> None:
    desk = Desk()
    desk.core.deadline_ns = 50
    desk.endpoint.flush()
    desk.world.run_for(1000)
    assert desk.core.told == [("timer", 50)]


def test_a_deadline_may_move_both_ways_and_vanish() -> None:
    desk = Desk()
    for deadline_ns in (50, 500, 20):
        desk.core.deadline_ns = deadline_ns
        desk.endpoint.flush()
    desk.world.run_for(100)
    assert desk.core.told == [("timer", 20)]
    desk.core.deadline_ns = 300
    desk.endpoint.flush()
    desk.core.deadline_ns = None
    desk.endpoint.flush()
    desk.world.run_for(1000)
    assert desk.core.told == [("timer", 20)]


def test_a_deadline_that_is_past_wakes_the_core_in_this_instant() -> None:
    desk = Desk()
    desk.world.run_for(100)
    desk.core.deadline_ns = 30
    desk.endpoint.flush()
    desk.world.run_for(0)
    assert desk.core.told == [("timer", 100)]


def test_one_carrier_may_confirm_inside_send() -> None:
    """A driver without an echo may confirm at once; the next frame then follows without recursion trouble."""
    left = [Frame(0x1, bytes((number,))) for number in range(3)]
    desk = Desk(on_events=lambda: desk.core.outputs.append((0, left.pop())) if left else None)
    carrier = desk.carriers[0]
    carrier.send = lambda frame: (carrier.sent.append(frame), carrier.on_sent(frame))
    desk.core.outputs.append((0, FRAME))
    desk.endpoint.flush()
    assert len(carrier.sent) == 4
    assert [kind for kind, *_ in desk.core.told] == ["sent"] * 4


def test_a_core_that_raises_stops_the_world_under_its_name() -> None:
    desk = Desk()

    def fail(now_ns: int) -> None:
        raise ValueError("boom")

    desk.core.handle_timer = fail
    desk.core.deadline_ns = 5
    desk.endpoint.flush()
    with pytest.raises(WorldStopped, match="probe"):
        desk.world.run_for(10)


def test_on_a_virtual_bus_a_core_hears_others_and_its_own_confirmation() -> None:
    world = World()
    bus = CanBus(world, "can")
    one, two = Probe(), Probe()
    first = Endpoint(world, one, [(bus.attach("one"), [0x7E8])])
    Endpoint(world, two, [(bus.attach("two"), None)])
    one.outputs.append((0, FRAME))
    first.flush()
    world.run_for(10**6)
    ((_, _, sent_ns),) = one.told
    assert two.told == [("frame", 0, FRAME.data, sent_ns)]
    assert sent_ns > 0


@pytest.mark.parametrize("way", ["receive", "frame_sent", "delayed"])
def test_a_core_that_raises_on_a_bus_is_named_and_not_the_bus(way: str) -> None:
    world = World()
    bus = CanBus(world, "can")
    if way == "delayed":
        bus.faults = FaultInjector(world.rng("faults"))
        bus.faults.add(FaultRule(kind="delay", delay_ns=10**6))
    one, two = Probe(), Probe()
    one.name, two.name = "engine", "brakes"

    def fail(*_: object) -> None:
        raise ValueError("boom")

    if way == "frame_sent":
        one.frame_sent = fail
    else:
        two.receive = fail
    first = Endpoint(world, one, [(bus.attach("p1"), [0x7E8])])
    Endpoint(world, two, [(bus.attach("p2"), None)])
    one.outputs.append((0, FRAME))
    first.flush()
    with pytest.raises(WorldStopped) as stopped:
        world.run_for(10**7)
    assert stopped.value.node == ("engine" if way == "frame_sent" else "brakes")
