"""Judge: python-can-isotp and our ISO-TP understand each other, and send the same frames for the same message."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import isotp as can_isotp
import pytest
from can_isotp_peer import CanIsoTpPeer, in_world_time
from hypothesis import given, settings
from hypothesis import strategies as st
from isotp_pair import Side

from wire import isotp_door as isotp
from wire.can_bus import CanBus
from wire.faults import FaultInjector, FaultRule
from wire.frame import EXTENDED, FD_LENGTHS, Frame
from wire.isotp_door import IsoTpOptions
from wire.world import World

pytestmark = pytest.mark.judge("can-isotp")
S = 10**9
MS = 10**6
BITS_11 = (0x7E0, 0x7E8)
BITS_29 = (EXTENDED | 0x18DA10F1, EXTENDED | 0x18DAF110)
TX_DLS = FD_LENGTHS[8:]
STMINS = [0, 1, 3, 10, 0xF1, 0xF5, 0xF9]


class Table:
    """Our stack, and can-isotp, on one bus; every frame is written down as (time, sender, frame)."""

    def __init__(self, ours: IsoTpOptions, ids: tuple[int, int] = BITS_11, **theirs: object) -> None:
        self.world = World()
        self.bus = CanBus(self.world, "can", fd=True)
        self.ours = Side(self.world, self.bus, ids[0], ids[1], ours, False)
        self.theirs = CanIsoTpPeer(self.world, self.bus, ids[1], ids[0], **theirs)
        self.frames: list[tuple[int, str, Frame]] = []
        self.bus.tap(lambda now_ns, _bus, frame, sender: self.frames.append((now_ns, sender, frame)))

    def data_of(self, sender: str, kinds: tuple[int, ...] = (0, 1, 2)) -> list[bytes]:
        return [frame.data for _, name, frame in self.frames if name == sender and frame.data[0] >> 4 in kinds]

    def gaps(self, sender: str) -> list[int]:
        times = [now_ns for now_ns, name, frame in self.frames if name == sender and frame.data[0] >> 4 == 2]
        return [later - earlier for earlier, later in itertools.pairwise(times)]


@contextmanager
def table(ours: IsoTpOptions, ids: tuple[int, int] = BITS_11, **theirs: object) -> Iterator[Table]:
    made = Table(ours, ids, **theirs)
    with in_world_time(made.world):
        yield made


def fd_params(tx_dl: int) -> dict[str, object]:
    return {"tx_data_length": tx_dl, "can_fd": tx_dl > 8, "bitrate_switch": tx_dl > 8}


ours_options = st.builds(
    IsoTpOptions,
    block_size=st.sampled_from([0, 1, 2, 8, 255]),
    stmin=st.sampled_from(STMINS),
    padding=st.sampled_from([None, 0x00, 0x55, 0xCC]),
    tx_dl=st.sampled_from(TX_DLS),
    wait_frames=st.integers(0, 2),
)
theirs_options = st.builds(
    lambda tx_dl, **rest: {**fd_params(tx_dl), **rest},
    tx_dl=st.sampled_from(TX_DLS),
    blocksize=st.sampled_from([0, 1, 2, 8, 255]),
    stmin=st.sampled_from(STMINS),
    tx_padding=st.sampled_from([None, 0x00, 0x55, 0xAA]),
)
lengths = st.one_of(st.integers(1, 80), st.integers(1, 700), st.sampled_from([7, 8, 62, 63, 4094, 4095]))


def payload(size: int, first: int) -> bytes:
    return bytes((first + number * 7) & 0xFF for number in range(size))


@settings(max_examples=150)
@given(ours_options, theirs_options, st.sampled_from([BITS_11, BITS_29]), lengths, lengths, st.integers(0, 255))
def test_any_message_arrives_whole_in_both_directions_at_once(
    ours: IsoTpOptions, theirs: dict, ids: tuple[int, int], size_there: int, size_back: int, first: int
) -> None:
    there, back = payload(size_there, first), payload(size_back, first + 1)
    with table(ours, ids, **theirs) as on:
        on.ours.send(there)
        on.theirs.send(back)
        done = on.world.run_until(lambda: on.theirs.received == [there] and on.ours.received == [back], 200 * S)
        assert done, (on.theirs.errors, on.ours.failures)
        on.world.run_for(2 * S)  # nothing follows: no repetition, no late time-out
        assert not on.theirs.errors
        assert not on.ours.failures
        assert len(on.theirs.received) == len(on.ours.received) == 1


@pytest.mark.parametrize("ids", [BITS_11, BITS_29])
@pytest.mark.parametrize(("tx_dl", "size"), [(8, 4096), (8, 9_000), (64, 4096), (64, 70_000)])
def test_messages_above_4095_bytes_use_the_same_32_bit_length(ids: tuple[int, int], tx_dl: int, size: int) -> None:
    there, back = payload(size, 1), payload(size, 2)
    with table(IsoTpOptions(tx_dl=tx_dl, rx_buffer_bytes=70_000), ids, blocksize=0, **fd_params(tx_dl)) as on:
        on.ours.send(there)
        assert on.world.run_until(lambda: bool(on.theirs.received), 100 * S)
        on.theirs.send(back)
        assert on.world.run_until(lambda: bool(on.ours.received), 100 * S)
    assert on.theirs.received == [there]
    assert on.ours.received == [back]


@settings(max_examples=150)
@given(
    st.sampled_from(TX_DLS), st.sampled_from([None, 0x00, 0x55]), st.one_of(lengths, st.just(4096)), st.integers(0, 255)
)
def test_both_cut_a_message_into_the_same_frames(tx_dl: int, padding: int | None, size: int, first: int) -> None:
    if tx_dl > 8:
        padding = None  # up to 8 bytes of an FD frame need no fill; we fill when asked to, can-isotp never does
    message = payload(size, first)
    ours = IsoTpOptions(tx_dl=tx_dl, padding=padding, rx_buffer_bytes=5000)
    with table(ours, tx_padding=padding, blocksize=0, **fd_params(tx_dl)) as on:
        on.ours.send(message)
        on.world.run_until(lambda: bool(on.theirs.received), 10 * S)
        on.theirs.send(message)
        on.world.run_until(lambda: bool(on.ours.received), 10 * S)
        assert on.data_of("7e0") == on.data_of("can-isotp")


def test_both_write_the_same_flow_control() -> None:
    for block_size, stmin, padding in itertools.product((0, 8, 255), STMINS, (None, 0x55)):
        theirs = {"blocksize": block_size, "stmin": stmin, "tx_padding": padding}
        with table(IsoTpOptions(block_size=block_size, stmin=stmin, padding=padding), **theirs) as on:
            on.ours.send(bytes(20))
            on.theirs.send(bytes(20))
            on.world.run_for(S)
            assert on.data_of("7e0", (3,)) == on.data_of("can-isotp", (3,)) != []


@pytest.mark.parametrize(("stmin", "least_ns"), [(5, 5 * MS), (20, 20 * MS), (0xF5, 500_000), (0xF9, 900_000)])
def test_each_sender_keeps_the_separation_time_that_the_other_asked_for(stmin: int, least_ns: int) -> None:
    with table(IsoTpOptions(stmin=stmin, padding=0), stmin=stmin, blocksize=0, tx_padding=0) as on:
        on.ours.send(bytes(100))
        on.world.run_for(5 * S)
        on.theirs.send(bytes(100))
        on.world.run_for(5 * S)
        for sender in ("7e0", "can-isotp"):
            assert len(on.gaps(sender)) == 13
            assert min(on.gaps(sender)) >= least_ns


def test_our_overflow_ends_their_message_and_theirs_ends_ours() -> None:
    with table(IsoTpOptions(rx_buffer_bytes=100), max_frame_size=100) as on:
        on.theirs.send(bytes(101))
        on.world.run_for(2 * S)
        assert [type(error) for error in on.theirs.errors] == [can_isotp.OverflowError]
        assert [type(error) for error in on.ours.failures] == [isotp.BufferOverflow]
        on.ours.send(bytes(101))
        on.world.run_for(2 * S)
        assert [type(error) for error in on.ours.failures] == [isotp.BufferOverflow] * 2
        on.ours.send(bytes(100))
        on.theirs.send(bytes(100))
        on.world.run_for(2 * S)
        assert on.ours.received == on.theirs.received == [bytes(100)]


def test_they_wait_as_often_as_we_ask_and_give_up_where_they_must() -> None:
    with table(IsoTpOptions(wait_frames=5, wait_interval_ns=500 * MS), wftmax=5) as on:
        on.theirs.send(bytes(50))
        on.world.run_for(5 * S)
        assert on.ours.received == [bytes(50)]
        assert not on.theirs.errors
    with table(IsoTpOptions(wait_frames=5), wftmax=4) as on:
        on.theirs.send(bytes(50))
        on.world.run_for(5 * S)
        assert not on.ours.received
        assert can_isotp.MaximumWaitFrameReachedError in [type(error) for error in on.theirs.errors]


@pytest.mark.parametrize(
    ("can_id", "ours_sends", "ours_fails", "theirs_fails"),
    [
        (0x7E0, True, None, can_isotp.WrongSequenceNumberError),
        (0x7E8, False, isotp.WrongSequenceNumber, None),
    ],
)
def test_a_lost_consecutive_frame_is_noticed_by_the_receiver(
    can_id: int, ours_sends: bool, ours_fails: type | None, theirs_fails: type | None
) -> None:
    with table(IsoTpOptions()) as on:
        on.bus.faults = FaultInjector(on.world.rng("faults"))
        on.bus.faults.add(FaultRule(kind="drop", can_id=can_id, skip=2, count=1))
        (on.ours if ours_sends else on.theirs).send(bytes(40))
        on.world.run_for(5 * S)
        assert ours_fails in [*map(type, on.ours.failures), None]
        assert theirs_fails in [*map(type, on.theirs.errors), None]
        assert not on.ours.received + on.theirs.received


def test_lost_flow_control_ends_either_sender_after_a_second() -> None:
    with table(IsoTpOptions()) as on:
        on.bus.faults = FaultInjector(on.world.rng("faults"))
        for can_id in BITS_11:
            on.bus.faults.add(FaultRule(kind="drop", can_id=can_id, skip=1))
        on.ours.send(bytes(40))
        on.theirs.send(bytes(40))
        on.world.run_for(3 * S)
        assert isotp.FlowControlTimeout in map(type, on.ours.failures)
        assert can_isotp.FlowControlTimeoutError in map(type, on.theirs.errors)
        assert not on.theirs.busy
