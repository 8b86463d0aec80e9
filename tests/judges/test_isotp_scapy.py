"""Judge: scapy's ISO-TP, a port of the Linux kernel's, and ours understand each other and cut messages alike."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from isotp_pair import Side
from scapy.contrib.isotp import ISOTP
from scapy.layers.can import CAN
from scapy_isotp_peer import ScapyIsoTpPeer, scapy_in_world_time

from wire import isotp_door as isotp
from wire.can_bus import CanBus
from wire.faults import FaultInjector, FaultRule
from wire.frame import EXTENDED, Frame
from wire.isotp_door import IsoTpOptions
from wire.world import World

pytestmark = pytest.mark.judge("scapy's ISO-TP")
S = 10**9
BITS_11 = (0x7E0, 0x7E8)
BITS_29 = (EXTENDED | 0x18DA10F1, EXTENDED | 0x18DAF110)
STMINS = [0, 1, 10, 0xF1, 0xF9]


class Table:
    """Our stack, and scapy's, on one bus; every frame is written down as (sender, frame)."""

    def __init__(self, ours: IsoTpOptions, ids: tuple[int, int] = BITS_11, **theirs: object) -> None:
        self.world = World()
        self.bus = CanBus(self.world, "can", fd=True)
        self.ours = Side(self.world, self.bus, ids[0], ids[1], ours, False)
        self.frames: list[tuple[str, Frame]] = []
        self.bus.tap(lambda _now_ns, _bus, frame, sender: self.frames.append((sender, frame)))
        with scapy_in_world_time(self.world):
            self.theirs = ScapyIsoTpPeer(self.bus, ids[1], ids[0], **theirs)

    def data_of(self, sender: str) -> list[bytes]:
        return [frame.data for name, frame in self.frames if name == sender and frame.data[0] >> 4 != 3]

    def exchange(self, there: bytes, back: bytes) -> None:
        """Send both messages at once and run until nothing is under way."""
        self.ours.send(there)
        self.theirs.begin_send(back)
        self.world.run_until(lambda: bool(self.ours.received) and self.theirs.idle, 300 * S)
        self.world.run_for(S)


@contextmanager
def table(ours: IsoTpOptions, ids: tuple[int, int] = BITS_11, **theirs: object) -> Iterator[Table]:
    made = Table(ours, ids, **theirs)
    with scapy_in_world_time(made.world):
        yield made
        made.theirs.collect()
        made.theirs.close()


def payload(size: int, first: int) -> bytes:
    return bytes((first + number * 7) & 0xFF for number in range(size))


ours_options = st.builds(
    IsoTpOptions,
    block_size=st.sampled_from([0, 1, 2, 8, 255]),
    stmin=st.sampled_from(STMINS),
    padding=st.sampled_from([None, 0x00, 0x55]),
    wait_frames=st.integers(0, 2),
)
theirs_options = st.fixed_dictionaries(
    {"bs": st.sampled_from([0, 1, 2, 8, 255]), "stmin": st.sampled_from(STMINS), "padding": st.booleans()}
)
lengths = st.one_of(st.integers(1, 80), st.integers(1, 500), st.sampled_from([7, 8, 4095]))


@settings(max_examples=40)
@given(ours_options, theirs_options, st.sampled_from([BITS_11, BITS_29]), lengths, lengths, st.integers(0, 255))
def test_any_message_arrives_whole_in_both_directions_at_once(
    ours: IsoTpOptions, theirs: dict, ids: tuple[int, int], size_there: int, size_back: int, first: int
) -> None:
    there, back = payload(size_there, first), payload(size_back, first + 1)
    with table(ours, ids, **theirs) as on:
        on.exchange(there, back)
        assert on.theirs.collect() == [there]
        assert on.ours.received == [back]
        assert not on.ours.failures


@settings(max_examples=30)
@given(
    st.sampled_from([8, 12, 16, 20, 24, 32, 48, 64]),
    st.sampled_from([None, 0x55]),
    st.sampled_from([BITS_11, BITS_29]),
    st.one_of(st.integers(1, 130), st.integers(1, 4095)),
    st.one_of(st.integers(1, 130), st.integers(1, 4095)),
)
def test_fd_messages_arrive_whole_in_both_directions_at_once(
    tx_dl: int, padding: int | None, ids: tuple[int, int], size_there: int, size_back: int
) -> None:
    there, back = payload(size_there, 3), payload(size_back, 4)
    with table(IsoTpOptions(tx_dl=tx_dl, padding=padding), ids, fd=True, padding=True) as on:
        on.exchange(there, back)
        assert on.theirs.collect() == [there]
        assert on.ours.received == [back]


@pytest.mark.parametrize(("fd", "size"), [(False, 4096), (False, 10_000), (True, 4096), (True, 50_000)])
def test_messages_above_4095_bytes_use_the_same_32_bit_length(fd: bool, size: int) -> None:
    there, back = payload(size, 1), payload(size, 2)
    with table(IsoTpOptions(rx_buffer_bytes=50_000, tx_dl=64 if fd else 8), fd=fd, padding=True) as on:
        on.exchange(there, back)
        assert on.theirs.collect() == [there]
        assert on.ours.received == [back]


@settings(max_examples=40)
@given(st.booleans(), st.booleans(), st.one_of(lengths, st.just(4096)))
def test_both_cut_a_message_into_the_same_frames(fd: bool, padding: bool, size: int) -> None:
    options = IsoTpOptions(
        tx_dl=64 if fd else 8, padding=0xCC if fd or padding else None, rx_buffer_bytes=5000
    )  # scapy fills with CC
    with table(options, fd=fd, padding=fd or padding) as on:
        on.exchange(payload(size, 1), payload(size, 1))
        assert on.data_of("7e0") == on.data_of("scapy") != []


@settings(max_examples=30)
@given(st.sampled_from([None, 0x55]), st.one_of(st.integers(1, 20), st.integers(1, 300)))
def test_scapy_reads_our_frames_from_a_recording(padding: int | None, size: int) -> None:
    message = payload(size, 9)
    with table(IsoTpOptions(padding=padding)) as on:
        on.ours.send(message)
        on.world.run_for(S)
        recording = [CAN(identifier=frame.can_id, data=frame.data) for name, frame in on.frames if name == "7e0"]
    read = ISOTP.defragment(recording, use_extended_addressing=False)
    assert read is not None
    assert read.data == message


def test_our_overflow_ends_their_message() -> None:
    with table(IsoTpOptions(rx_buffer_bytes=100)) as on:
        on.theirs.begin_send(bytes(101))
        on.world.run_for(S // 2)
        assert on.theirs.idle
        assert [type(error) for error in on.ours.failures] == [isotp.BufferOverflow]
        on.theirs.begin_send(bytes(100))
        on.world.run_for(S)
        assert on.ours.received == [bytes(100)]


@pytest.mark.parametrize("kind", ["drop", "duplicate"])
def test_a_lost_or_repeated_consecutive_frame_is_never_taken_for_a_whole_message(kind: str) -> None:
    with table(IsoTpOptions()) as on:
        on.bus.faults = FaultInjector(on.world.rng("faults"))
        for can_id in BITS_11:
            on.bus.faults.add(FaultRule(kind=kind, can_id=can_id, skip=2, count=1))
        on.ours.send(payload(40, 1))
        on.world.run_for(S)
        on.theirs.begin_send(payload(40, 2))
        on.world.run_for(15 * S)
        assert on.theirs.collect() == []
        assert on.ours.received == []
        assert [type(error) for error in on.ours.failures] == [isotp.WrongSequenceNumber]
