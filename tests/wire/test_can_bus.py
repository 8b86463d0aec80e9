"""The virtual bus: arbitration, delivery, bit time, acknowledge, error frames, faults on a chosen place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.can_bus import CanBus
from wire.errors import LocalMisuse, WorldStopped
from wire.faults import FaultInjector, FaultRule
from wire.frame import EXTENDED, FD_LENGTHS, Frame, checked
from wire.world import World


def bus_with(ports: int = 2, **options: object) -> tuple[World, CanBus, list, list]:
    world = World()
    bus = CanBus(world, "can", **options)
    heard: list = []
    made = [bus.attach(f"n{number}") for number in range(ports)]
    made[-1].listen(None, lambda frame: heard.append((world.now_ns, frame)))
    return world, bus, made, heard


def test_the_lowest_identifier_wins_and_eleven_bits_beat_twenty_nine() -> None:
    world, _, (one, two, _), heard = bus_with(3)
    one.send(Frame(0x700, b"a"))
    two.send(Frame(0x123, b"b"))
    two.send(Frame(EXTENDED | 0x123 << 18, b"c"))
    world.run_for(10**7)
    assert [frame.data for _, frame in heard] == [b"b", b"c", b"a"]


def test_the_sender_does_not_hear_itself_and_is_told_before_others_hear() -> None:
    world, _, (one, two), heard = bus_with()
    order = []
    one.on_sent = lambda frame: order.append("sent")
    one.listen(None, lambda frame: order.append("self"))
    two.listen([0x1], lambda frame: order.append("heard"))
    one.send(Frame(0x1, b""))
    world.run_for(10**7)
    assert order == ["sent", "heard"]
    assert len(heard) == 1


def test_alone_on_the_bus_nobody_acknowledges_until_somebody_comes() -> None:
    world = World()
    bus = CanBus(world, "can")
    port, sent = bus.attach("lonely"), []
    port.on_sent = sent.append
    port.send(Frame(0x1, b"x"))
    world.run_for(10**9)
    assert not sent
    bus.attach("other")
    world.run_for(10**6)
    assert len(sent) == 1


def test_a_classic_frame_of_eight_bytes_takes_at_most_135_bits() -> None:
    _, bus, _, _ = bus_with(bitrate=500_000)
    assert bus.frame_time_ns(Frame(0x123, bytes(8))) == 135 * 2000
    assert CanBus(World(), "x", stuffing="none").frame_time_ns(Frame(0x123, bytes(8))) == 111 * 2000


@given(st.binary(max_size=64), st.booleans(), st.booleans(), st.integers(0, 0x7FF))
def test_exact_stuffing_lies_between_none_and_worst(data: bytes, fd: bool, extended: bool, can_id: int) -> None:
    size = max(n for n in FD_LENGTHS if n <= len(data)) if fd else min(len(data), 8)
    frame = checked(Frame(can_id | (EXTENDED if extended else 0), data[:size], fd, fd))
    none, exact, worst = (
        CanBus(World(), "x", fd=True, stuffing=how).frame_time_ns(frame) for how in ("none", "exact", "worst")
    )
    assert none <= exact <= worst + 4000  # one stuff bit may move across the border of the two phases


def test_an_fd_frame_on_a_classic_bus_is_a_mistake_that_is_named() -> None:
    world, _, (one, _), _ = bus_with()
    with pytest.raises(LocalMisuse, match="FD bus"):
        one.send(Frame(0x1, bytes(12), fd=True))
    world.run_for(1)


def test_error_frames_make_the_sender_try_again_until_bus_off() -> None:
    world, bus, (one, _), heard = bus_with()
    bus.faults = FaultInjector(world.rng("faults"))
    bus.faults.add(FaultRule(kind="error", count=3))
    one.send(Frame(0x1, b"x"))
    world.run_for(10**8)
    assert len(heard) == 1
    assert one.errors == 3 * 8 - 1
    gone = []
    one.on_bus_off = lambda: gone.append(1)
    bus.faults.add(FaultRule(kind="error"))
    one.send(Frame(0x1, b"y"))
    world.run_for(10**9)
    assert gone
    assert one.off
    assert len(heard) == 1
    bus.faults.clear()
    one.restart()
    one.send(Frame(0x1, b"z"))
    world.run_for(10**8)
    assert heard[-1][1].data == b"z"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (FaultRule(kind="drop", can_id=0x2), [b"a", b"c"]),
        (FaultRule(kind="drop", bus="other"), [b"a", b"b", b"c"]),
        (FaultRule(kind="duplicate", can_id=0x1, count=1), [b"a", b"a", b"b", b"c"]),
        (FaultRule(kind="drop", skip=1, count=1), [b"a", b"c"]),
        (FaultRule(kind="delay", can_id=0x1, delay_ns=10**6), [b"b", b"c", b"a"]),
        (FaultRule(kind="drop", from_ns=10**12), [b"a", b"b", b"c"]),
    ],
)
def test_faults_strike_the_chosen_bus_identifier_and_window(rule: FaultRule, expected: list[bytes]) -> None:
    world, bus, (one, _), heard = bus_with()
    bus.faults = FaultInjector(world.rng("faults"))
    bus.faults.add(rule)
    for can_id, data in ((0x1, b"a"), (0x2, b"b"), (0x3, b"c")):
        one.send(Frame(can_id, data))
    world.run_for(10**8)
    assert [frame.data for _, frame in heard] == expected


def test_a_corrupted_frame_differs_in_one_bit_and_the_same_seed_flips_the_same() -> None:
    def flipped() -> bytes:
        world, bus, (one, _), heard = bus_with()
        bus.faults = FaultInjector(world.rng("faults"))
        bus.faults.add(FaultRule(kind="corrupt"))
        one.send(Frame(0x1, bytes(8)))
        world.run_for(10**8)
        return heard[0][1].data

    assert sum(byte.bit_count() for byte in flipped()) == 1
    assert flipped() == flipped()


def test_a_rule_that_makes_no_sense_is_refused() -> None:
    for bad in ({"probability": 2.0}, {"kind": "delay"}, {"from_ns": 5, "until_ns": 1}):
        with pytest.raises(LocalMisuse):
            FaultRule(**{"kind": "drop", **bad})


def test_a_sender_that_never_waits_is_stopped() -> None:
    world, _, (one, _), _ = bus_with()

    def flood() -> None:
        for _ in range(20_000):
            one.send(Frame(0x1, b""))

    world.call_at(1, flood)
    with pytest.raises(WorldStopped, match="wait for on_sent"):
        world.run_for(10)


def test_who_closed_its_port_does_not_come_back_by_a_restart() -> None:
    world, bus, (one, two), _ = bus_with()
    two.close()
    two.restart()
    one.send(Frame(0x1, b"x"))
    two.send(Frame(0x2, b"y"))
    world.run_for(10**9)
    assert bus.frames_sent == 0


@pytest.mark.parametrize("pause_ns", [0, 10_000, 10**6])
def test_a_frame_half_sent_dies_with_its_sender(pause_ns: int) -> None:
    world, bus, (one, _), heard = bus_with()
    sent = []
    one.on_sent = sent.append
    one.send(Frame(0x1, b"half"))
    one.send(Frame(0x2, b"queued"))
    world.run_for(50_000)
    one.switch_off()
    world.run_for(pause_ns)
    one.restart()
    assert one.queued == 0
    world.run_for(10**9)
    assert not sent
    assert not heard
    assert bus.frames_sent == 0
    one.send(Frame(0x3, b"new"))
    world.run_for(10**6)
    assert [frame.data for frame in sent] == [frame.data for _, frame in heard] == [b"new"]
    assert one.queued == 0


def test_a_frame_that_dies_lets_the_others_go_after_its_time() -> None:
    world, _, (one, two, _), heard = bus_with(3)
    one.send(Frame(0x1, b"half"))
    world.run_for(50_000)
    two.send(Frame(0x2, b"other"))
    one.switch_off()
    one.restart()
    one.send(Frame(0x1, b"again"))
    world.run_for(10**6)
    assert [frame.data for _, frame in heard] == [b"again", b"other"]
