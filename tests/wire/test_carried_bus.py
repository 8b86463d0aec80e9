"""A bus whose wire is elsewhere: frames both ways, confirmed by the carrier alone; faults at its door; a carrier that is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from bench.topology import Car, Wiring
from bench.vehicle_file import load_vehicle
from ecu_sim.unlock.trust import TrustStore
from portal_sim.keys import key_set_of, make_keys
from wire.can_bus import BusPort, CanBus
from wire.carried_bus import OUTSIDE, CarriedBus
from wire.clock import VIRTUAL_EPOCH_UTC_S
from wire.entropy import SeededEntropy
from wire.errors import NotOnThisCarrier
from wire.faults import FaultInjector, FaultRule
from wire.frame import Frame
from wire.trace import Trace
from wire.world import World

ONE, TWO, THREE = Frame(0x101, b"one"), Frame(0x102, b"two"), Frame(0x103, b"three")
MS = 1_000_000


class FakeCarrier:
    """A carrier in the test's hands: it confirms when told to (or inside `send`), and can be lost."""

    def __init__(self, *, at_once: bool = False) -> None:
        self.on_sent: Callable[[Frame], None] | None = None
        self.sent: list[Frame] = []
        self.at_once = at_once
        self.lost = False
        self._listeners: list[tuple[set[int] | None, Callable[[Frame], None]]] = []

    def send(self, frame: Frame) -> None:
        if self.lost:
            return
        self.sent.append(frame)
        if self.at_once:
            self.confirm(frame)

    def confirm(self, frame: Frame) -> None:
        assert self.on_sent is not None
        self.on_sent(frame)

    def listen(self, can_ids: Iterable[int] | None, listener: Callable[[Frame], None]) -> None:
        self._listeners.append((None if can_ids is None else set(can_ids), listener))

    def hear(self, frame: Frame) -> None:
        for can_ids, listener in self._listeners:
            if can_ids is None or frame.can_id in can_ids:
                listener(frame)


class Rig:
    """Two devices on a carried bus, and notes of everything: (device, what, data), and what the tap saw (data, sender)."""

    def __init__(self, *, at_once: bool = False) -> None:
        self.world = World()
        self.carrier = FakeCarrier(at_once=at_once)
        self.bus = CarriedBus(self.world, "obd", self.carrier)
        self.told: list[tuple[str, str, bytes]] = []
        self.seen: list[tuple[bytes, str]] = []
        self.bus.tap(lambda _now, _bus, frame, sender: self.seen.append((frame.data, sender)))
        self.gateway = self.attach("gateway")
        self.tester = self.attach("tester")

    def attach(self, name: str) -> BusPort:
        port = self.bus.attach(name)
        port.on_sent = lambda frame: self.told.append((name, "sent", frame.data))
        port.listen(None, lambda frame: self.told.append((name, "heard", frame.data)))
        return port

    def pass_time(self, ms: int = 0) -> None:
        self.world.run_for(ms * MS)

    def with_fault(self, **rule: object) -> None:
        self.bus.faults = FaultInjector(self.world.rng("faults"))
        self.bus.faults.add(FaultRule(**rule))


def test_a_frame_goes_out_at_once_and_counts_as_sent_when_the_carrier_confirms_it() -> None:
    rig = Rig()
    rig.gateway.send(ONE)
    rig.pass_time()
    assert rig.carrier.sent == [ONE]
    rig.pass_time(1000)
    assert (rig.told, rig.seen, rig.gateway.queued) == ([], [], 1)
    rig.carrier.confirm(ONE)
    assert rig.told == [("gateway", "sent", b"one"), ("tester", "heard", b"one")]
    assert (rig.seen, rig.gateway.queued) == ([(b"one", "gateway")], 0)


def test_a_frame_from_outside_is_heard_by_all_and_seen_once() -> None:
    rig = Rig()
    rig.carrier.hear(ONE)
    assert rig.told == [("gateway", "heard", b"one"), ("tester", "heard", b"one")]
    assert rig.seen == [(b"one", OUTSIDE)]
    assert rig.bus.frames_sent == 1
    assert rig.bus.busy_ns == rig.bus.frame_time_ns(ONE)


def test_one_frame_is_under_way_at_a_time_and_of_those_that_wait_the_lowest_identifier_goes_first() -> None:
    rig = Rig()
    for frame in (TWO, THREE, ONE):
        rig.gateway.send(frame)
    rig.pass_time()
    assert rig.carrier.sent == [TWO]
    rig.tester.send(TWO)
    for frame in (TWO, ONE, TWO, THREE):
        rig.carrier.confirm(frame)
        rig.pass_time()
    assert [frame.data for frame in rig.carrier.sent] == [b"two", b"one", b"two", b"three"]
    assert rig.seen == [(b"two", "gateway"), (b"one", "gateway"), (b"two", "tester"), (b"three", "gateway")]


def test_who_sends_in_answer_to_a_frame_takes_part_in_the_next_arbitration() -> None:
    rig = Rig()
    rig.tester.listen([ONE.can_id], lambda _: rig.tester.send(TWO))
    rig.gateway.send(ONE)
    rig.gateway.send(THREE)
    rig.pass_time()
    rig.carrier.confirm(ONE)
    rig.pass_time()
    assert rig.carrier.sent == [ONE, TWO]


@pytest.mark.parametrize("count", [1, 50])
def test_a_carrier_that_confirms_inside_send_is_as_good(count: int) -> None:
    rig = Rig(at_once=True)
    frames = [Frame(0x200 + number, bytes((number,))) for number in range(count)]
    for frame in frames:
        rig.gateway.send(frame)
    rig.pass_time()
    assert rig.carrier.sent == frames
    assert [what for who, what, _ in rig.told if who == "gateway"] == ["sent"] * count
    assert rig.gateway.queued == 0


def test_an_identifier_that_nobody_listens_to_is_not_asked_of_the_carrier() -> None:
    world, carrier = World(), FakeCarrier()
    bus = CarriedBus(world, "obd", carrier)
    heard: list[Frame] = []
    bus.attach("unit").listen([0x101], heard.append)
    seen: list[Frame] = []
    bus.tap(lambda _now, _bus, frame, _sender: seen.append(frame))
    carrier.hear(ONE)
    carrier.hear(TWO)
    assert heard == seen == [ONE]
    bus.hear_all()
    carrier.hear(ONE)
    carrier.hear(TWO)
    assert heard == [ONE, ONE]
    assert seen == [ONE, ONE, TWO]


# ---- faults


@pytest.mark.parametrize(
    ("rule", "out", "heard"),
    [
        ({"kind": "drop"}, [], 0),
        ({"kind": "duplicate"}, [b"one", b"one"], 2),
        ({"kind": "drop", "can_id": 0x102}, [b"one"], 1),
        ({"kind": "drop", "bus": "chassis"}, [b"one"], 1),
        ({"kind": "drop", "until_ns": 0}, [b"one"], 1),
    ],
)
def test_faults_strike_in_both_directions(rule: dict, out: list[bytes], heard: int) -> None:
    rig = Rig(at_once=True)
    rig.with_fault(**rule)
    rig.gateway.send(ONE)
    rig.pass_time(1)
    assert [frame.data for frame in rig.carrier.sent] == out
    assert rig.told.count(("gateway", "sent", b"one")) == 1, "its sender is told once, whatever became of it"
    assert rig.gateway.queued == 0
    rig.told.clear()
    rig.carrier.hear(ONE)
    assert rig.told.count(("tester", "heard", b"one")) == heard


def test_a_delayed_frame_comes_later_in_both_directions_and_holds_up_nothing() -> None:
    rig = Rig(at_once=True)
    rig.with_fault(kind="delay", delay_ns=5 * MS, can_id=0x101)
    rig.gateway.send(ONE)
    rig.gateway.send(TWO)
    rig.pass_time(1)
    assert rig.carrier.sent == [TWO]
    rig.pass_time(5)
    assert rig.carrier.sent == [TWO, ONE]
    assert [each for each in rig.told if each[1] == "sent"] == [
        ("gateway", "sent", b"one"),
        ("gateway", "sent", b"two"),
    ]
    rig.told.clear()
    rig.carrier.hear(ONE)
    assert rig.told == []
    rig.pass_time(6)
    assert ("tester", "heard", b"one") in rig.told


def test_a_corrupted_frame_differs_in_one_bit_in_both_directions() -> None:
    rig = Rig(at_once=True)
    rig.with_fault(kind="corrupt")
    rig.gateway.send(Frame(0x101, bytes(8)))
    rig.pass_time()
    rig.carrier.hear(Frame(0x101, bytes(8)))
    heard = [data for who, what, data in rig.told if (who, what) == ("tester", "heard")][-1]
    for data in (rig.carrier.sent[0].data, heard):
        assert sum(byte.bit_count() for byte in data) == 1


def test_a_confirmation_of_a_delayed_frame_is_not_taken_for_the_next_ones() -> None:
    rig = Rig()
    rig.with_fault(kind="delay", delay_ns=5 * MS, can_id=0x101)
    rig.gateway.send(ONE)
    rig.pass_time(4)
    rig.gateway.send(TWO)
    rig.pass_time(2)
    assert rig.carrier.sent == [TWO, ONE]
    rig.told.clear()
    rig.carrier.confirm(TWO)
    assert ("gateway", "sent", b"two") in rig.told
    rig.gateway.send(THREE)
    rig.pass_time()
    rig.carrier.confirm(ONE)
    assert ("gateway", "sent", b"three") not in rig.told
    rig.carrier.confirm(THREE)
    assert ("gateway", "sent", b"three") in rig.told


def test_error_frames_are_refused_where_the_wire_is_elsewhere() -> None:
    world, spec = World(), load_vehicle("vag-golf")
    keys = key_set_of(make_keys(SeededEntropy(world.rng("keys")), VIRTUAL_EPOCH_UTC_S))
    car = Car(
        world,
        spec,
        TrustStore(keys),
        Trace(),
        epoch_utc_s=VIRTUAL_EPOCH_UTC_S,
        wiring=Wiring(carriers={"obd": FakeCarrier()}),
    )
    for bus in ("obd", None):
        with pytest.raises(
            NotOnThisCarrier, match=r"nobody here can destroy a frame on a wire that is elsewhere \(obd\)"
        ):
            car.add_fault(FaultRule(kind="error", bus=bus))
    assert car.add_fault(FaultRule(kind="error", bus="chassis")).kind == "error"
    assert car.add_fault(FaultRule(kind="drop", bus="obd")).kind == "drop"
    assert not isinstance(car.buses["chassis"], CarriedBus)
    assert isinstance(car.buses["chassis"], CanBus)


# ---- a carrier that is lost, a port that is switched off


def test_what_was_pending_when_the_carrier_was_lost_goes_out_when_it_is_back() -> None:
    rig = Rig()
    rig.carrier.lost = True
    rig.gateway.send(TWO)
    rig.pass_time(1000)
    rig.gateway.send(ONE)
    rig.pass_time(1000)
    assert rig.carrier.sent == []
    assert rig.told == []
    rig.carrier.lost = False
    rig.bus.carrier_is_back()
    assert rig.carrier.sent == [TWO]
    rig.carrier.confirm(TWO)
    rig.pass_time()
    assert rig.carrier.sent == [TWO, ONE]


def test_a_frame_sent_again_is_confirmed_once_and_an_old_confirmation_is_not_the_next_ones() -> None:
    rig = Rig()
    rig.gateway.send(ONE)
    rig.gateway.send(TWO)
    rig.pass_time()
    rig.bus.carrier_is_back()  # the first confirmation was under way when the carrier was lost
    assert rig.carrier.sent == [ONE, ONE]
    rig.carrier.confirm(ONE)
    rig.pass_time()
    assert rig.carrier.sent == [ONE, ONE, TWO]
    rig.carrier.confirm(ONE)
    assert [each for each in rig.told if each[1] == "sent"] == [("gateway", "sent", b"one")]
    rig.carrier.confirm(TWO)
    assert [each for each in rig.told if each[1] == "sent"] == [
        ("gateway", "sent", b"one"),
        ("gateway", "sent", b"two"),
    ]


def test_a_carrier_that_comes_back_with_nothing_pending_changes_nothing() -> None:
    rig = Rig()
    rig.bus.carrier_is_back()
    rig.carrier.confirm(ONE)
    rig.pass_time()
    assert (rig.carrier.sent, rig.told) == ([], [])


def test_a_port_that_was_switched_off_meanwhile_is_told_nothing_and_holds_up_nobody() -> None:
    rig = Rig()
    rig.gateway.send(ONE)
    rig.gateway.send(THREE)
    rig.tester.send(TWO)
    rig.pass_time()
    rig.gateway.switch_off()
    rig.carrier.confirm(ONE)
    rig.pass_time()
    assert rig.told == []
    assert rig.carrier.sent == [ONE, TWO]
    rig.gateway.restart()
    rig.carrier.confirm(TWO)
    rig.pass_time()
    assert rig.told == [("tester", "sent", b"two"), ("gateway", "heard", b"two")]
    rig.gateway.send(ONE)
    rig.pass_time()
    assert rig.carrier.sent == [ONE, TWO, ONE]
    assert rig.gateway.queued == 1


def test_a_confirmation_that_nobody_waits_for_is_nothing() -> None:
    rig = Rig()
    rig.carrier.confirm(ONE)
    assert (rig.told, rig.seen) == ([], [])
