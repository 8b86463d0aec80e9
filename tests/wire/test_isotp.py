"""ISO-TP: every payload arrives or somebody says why; odd frames never raise."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from isotp_pair import pair

from wire import isotp_door as isotp
from wire.errors import LocalMisuse
from wire.faults import FaultInjector, FaultRule
from wire.frame import Frame
from wire.isotp_door import FirstFrame, IsoTpOptions, Received, Segment, Sent
from wire.isotp_pdu import decode_stmin, encode_stmin
from wire.isotp_stack import IsoTpStack

S = 10**9
options = st.builds(
    IsoTpOptions,
    block_size=st.integers(0, 10),
    stmin=st.sampled_from([0, 1, 5, 0xF1, 0xF9]),
    padding=st.sampled_from([None, 0x00, 0xCC]),
    tx_dl=st.sampled_from([8, 16, 64]),
    rx_buffer_bytes=st.just(70_000),
    wait_frames=st.integers(0, 2),
)


@given(options, options, st.binary(min_size=1, max_size=600), st.binary(min_size=1, max_size=600))
def test_any_payload_arrives_whole_in_both_directions_at_once(
    a: IsoTpOptions, b: IsoTpOptions, there: bytes, back: bytes
) -> None:
    world, _, one, two = pair(a, b, fd=True)
    one.send(there)
    two.send(back)
    world.run_for(100 * S)
    assert two.received == [there]
    assert one.received == [back]
    assert not one.failures + two.failures


@pytest.mark.parametrize("size", [4095, 4096, 70_000])
def test_long_messages_use_the_32_bit_length(size: int) -> None:
    world, _, one, two = pair(two=IsoTpOptions(rx_buffer_bytes=70_000))
    one.send(bytes(size))
    world.run_for(100 * S)
    assert [len(payload) for payload in two.received] == [size]


@given(
    st.sampled_from(["drop", "duplicate", "error"]),
    st.floats(0.01, 0.3),
    st.binary(min_size=1, max_size=300),
    st.integers(0, 99),
)
def test_under_faults_a_message_arrives_intact_or_one_side_says_why(
    kind: str, probability: float, payload: bytes, seed: int
) -> None:
    world, bus, one, two = pair(IsoTpOptions(block_size=4), IsoTpOptions(block_size=4))
    world.seed = seed
    bus.faults = FaultInjector(world.rng("faults"))
    bus.faults.add(FaultRule(kind=kind, probability=probability))
    one.send(payload)
    world.run_for(60 * S)
    assert all(received == payload for received in two.received)
    lost_single = len(payload) <= 7 and kind == "drop"
    assert two.received or one.failures or two.failures or lost_single or one.port.off or two.port.off


def test_separation_time_codes_are_a_pair_and_reserved_ones_mean_127_ms() -> None:
    assert [decode_stmin(byte) for byte in (0x00, 0x7F, 0xF1, 0xF9)] == [0, 127_000_000, 100_000, 900_000]
    assert all(decode_stmin(byte) == 127_000_000 for byte in [*range(0x80, 0xF1), *range(0xFA, 0x100)])
    for byte in [*range(0x80), *range(0xF1, 0xFA)]:
        assert encode_stmin(decode_stmin(byte)) == byte


def test_the_sender_keeps_the_separation_time_from_frame_to_frame() -> None:
    world, bus, one, _ = pair(two=IsoTpOptions(stmin=5))
    times = []
    bus.tap(lambda now_ns, _bus, frame, _sender: times.append(now_ns) if frame.data[0] >> 4 == 2 else None)
    one.send(bytes(40))
    world.run_for(S)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert all(gap >= 5_000_000 for gap in gaps)
    assert max(gaps) < 5_500_000


class Lone:
    """One stack fed by hand."""

    def __init__(self, **kwargs: object) -> None:
        self.stack = IsoTpStack()
        self.channel = self.stack.add(0, tx_id=0x700, rx_id=0x708, options=IsoTpOptions(**kwargs))
        self.now_ns = 0

    def hear(self, text: str) -> None:
        self.stack.receive(0, Frame(0x708, bytes.fromhex(text)), self.now_ns)

    def drain(self) -> list[bytes]:
        """Let all frames go out; return their data."""
        out = []
        while self.stack.outputs:
            out.append(self.stack.outputs.popleft()[1].data)
            self.stack.frame_sent(0, self.now_ns)
        return out

    def pass_time(self, duration_ns: int) -> None:
        end_ns = self.now_ns + duration_ns
        while (due := self.stack.next_deadline()) is not None and due <= end_ns:
            self.now_ns = max(self.now_ns, due)
            self.stack.handle_timer(self.now_ns)
        self.now_ns = end_ns

    def events(self, kind: type) -> list:
        return [event for event in self.stack.events if isinstance(event, kind)]

    def errors(self) -> list[type]:
        return [type(event.error) for event in self.events(isotp.Failed)]


def test_receiving_faults_are_told_apart() -> None:
    lone = Lone()
    lone.hear("10 14 01 02 03 04 05 06")
    assert lone.drain() == [bytes.fromhex("30 00 00")]
    lone.hear("22 07 08 09 0A 0B 0C 0D")
    assert lone.errors() == [isotp.WrongSequenceNumber]
    lone.hear("21 07 08 09 0A 0B 0C 0D")  # idle again: ignored
    lone.hear("10 14 01 02 03 04 05 06")
    lone.drain()
    lone.hear("02 3E 00")
    assert lone.errors()[1:] == [isotp.UnexpectedPdu]
    assert [event.payload for event in lone.events(Received)] == [b"\x3e\x00"]
    lone.hear("10 14 01 02 03 04 05 06")
    lone.drain()
    lone.pass_time(S)
    assert lone.errors()[2:] == [isotp.ConsecutiveFrameTimeout]


def test_a_message_too_long_for_the_buffer_gets_overflow() -> None:
    lone = Lone(rx_buffer_bytes=100)
    lone.hear("10 65 01 02 03 04 05 06")
    assert lone.drain() == [bytes.fromhex("32 00 00")]
    assert lone.errors() == [isotp.BufferOverflow]


@pytest.mark.parametrize(
    "frame",
    ["", "00", "08 01", "07 01 02", "10 07 01 02 03 04 05 06", "10 00 00 00 0F FF 01 02", "10 14 01", "21", "30 00"],
)
def test_malformed_frames_are_ignored(frame: str) -> None:
    lone = Lone()
    lone.hear(frame)
    assert not lone.stack.events
    assert not lone.stack.outputs


def test_sending_faults_are_told_apart() -> None:
    for answer, error in (("32 00 00", isotp.BufferOverflow), ("35 00 00", isotp.InvalidFlowStatus)):
        lone = Lone()
        lone.stack.send(lone.channel, bytes(20), 0)
        lone.drain()
        lone.hear(answer)
        assert lone.errors() == [error]
    lone = Lone()
    lone.stack.send(lone.channel, bytes(20), 0)
    lone.drain()
    lone.pass_time(S)
    assert lone.errors() == [isotp.FlowControlTimeout]
    lone = Lone()
    lone.stack.send(lone.channel, bytes(20), 0)
    lone.pass_time(S)
    assert lone.errors() == [isotp.TransmitTimeout]


def test_a_flood_of_wait_frames_ends() -> None:
    lone = Lone(max_wait_frames=3)
    lone.stack.send(lone.channel, bytes(20), 0)
    lone.drain()
    for _ in range(3):
        lone.hear("31 00 00")
    assert not lone.errors()
    lone.hear("31 00 00")
    assert lone.errors() == [isotp.TooManyWaits]


def test_functional_channels_take_single_frames_only() -> None:
    stack = IsoTpStack()
    stack.add(0, tx_id=None, rx_id=0x7DF, functional=True)
    stack.receive(0, Frame(0x7DF, bytes.fromhex("10 14 01 02 03 04 05 06")), 0)
    stack.receive(0, Frame(0x7DF, bytes.fromhex("02 3E 00")), 0)
    assert [event.payload for event in stack.events] == [b"\x3e\x00"]
    assert not stack.outputs


def test_a_streamed_message_goes_out_as_its_bytes_come() -> None:
    lone = Lone()
    lone.stack.begin_send(lone.channel, 20, bytes(range(6)), 0)
    assert lone.drain() == [bytes.fromhex("10 14 00 01 02 03 04 05")]
    lone.hear("30 00 00")
    assert not lone.drain()
    lone.stack.feed(lone.channel, bytes(range(6, 10)), 0)
    assert not lone.drain()
    lone.stack.feed(lone.channel, bytes(range(10, 20)), 0)
    assert [data[0] for data in lone.drain()] == [0x21, 0x22]
    assert lone.events(Sent)


def test_a_stream_is_received_piece_by_piece() -> None:
    world, _, one, two = pair(stream=True)
    one.send(bytes(range(20)))
    world.run_for(S)
    events = list(two.stack.events)
    assert isinstance(events[0], FirstFrame)
    pieces = [event for event in events if isinstance(event, Segment)]
    assert events[0].head + b"".join(piece.data for piece in pieces) == bytes(range(20))
    assert [piece.last for piece in pieces] == [False, True]


def test_what_cannot_be_sent_is_refused() -> None:
    lone = Lone()
    with pytest.raises(LocalMisuse):
        lone.stack.send(lone.channel, b"", 0)
    for bad in ({"tx_dl": 9}, {"stmin": 256}, {"rx_buffer_bytes": 1}):
        with pytest.raises(LocalMisuse):
            IsoTpOptions(**bad)
    with pytest.raises(LocalMisuse):
        lone.stack.add(0, tx_id=0x1, rx_id=0x708)


@given(st.lists(st.binary(max_size=64), max_size=60), st.booleans())
def test_random_frames_never_raise(frames: list[bytes], sending: bool) -> None:
    lone = Lone()
    if sending:
        lone.stack.send(lone.channel, bytes(100), 0)
    for number, data in enumerate(frames):
        lone.stack.receive(0, Frame(0x708, data), number)
        lone.drain()


def test_a_flow_control_that_does_not_get_out_is_our_timeout_and_named_so() -> None:
    lone = Lone(n_ar_ns=300_000_000)
    lone.hear("10 14 01 02 03 04 05 06")
    lone.pass_time(299_000_000)
    assert lone.errors() == []
    lone.pass_time(1_000_000)
    (failed,) = lone.events(isotp.Failed)
    assert isinstance(failed.error, isotp.TransmitTimeout)
    assert not failed.sending
    assert "300 ms (N_Ar)" in str(failed.error)


def test_a_wait_frame_that_does_not_get_out_is_n_ar_too() -> None:
    lone = Lone(n_ar_ns=300_000_000, wait_frames=2)
    lone.hear("10 14 01 02 03 04 05 06")
    lone.pass_time(300_000_000)
    assert lone.errors() == [isotp.TransmitTimeout]


def test_once_the_flow_control_is_out_n_cr_counts() -> None:
    lone = Lone(n_ar_ns=300_000_000, n_cr_ns=500_000_000)
    lone.hear("10 14 01 02 03 04 05 06")
    lone.pass_time(299_000_000)
    lone.drain()
    lone.pass_time(499_000_000)
    assert lone.errors() == []
    lone.pass_time(1_000_000)
    assert lone.errors() == [isotp.ConsecutiveFrameTimeout]


def test_what_waits_of_a_failed_message_does_not_go_out_when_the_bus_comes_back() -> None:
    lone = Lone()
    other = lone.stack.add(0, tx_id=0x701, rx_id=0x709, options=IsoTpOptions(n_as_ns=2 * S))
    lone.stack.send(other, b"\x01", 0)
    lone.stack.send(lone.channel, b"\x02", 0)
    lone.pass_time(S)
    assert lone.errors() == [isotp.TransmitTimeout]
    lone.stack.send(lone.channel, b"\x03", lone.now_ns)
    assert lone.drain() == [b"\x01\x01", b"\x01\x03"]
    assert len(lone.events(Sent)) == 2


def test_a_flow_control_that_waited_too_long_does_not_go_out_later() -> None:
    lone = Lone(n_ar_ns=300_000_000)
    other = lone.stack.add(0, tx_id=0x701, rx_id=0x709)
    lone.stack.send(other, b"\x01", 0)
    lone.hear("10 14 01 02 03 04 05 06")
    lone.pass_time(300_000_000)
    assert lone.errors() == [isotp.TransmitTimeout]
    assert lone.drain() == [b"\x01\x01"]


def test_a_flow_control_that_is_read_before_the_first_frame_is_confirmed_waits_for_that() -> None:
    """A socket may hand over the answer before the adapter's word that the question went out: no frame may overtake another."""
    stack = IsoTpStack()
    channel = stack.add(0, tx_id=0x714, rx_id=0x77E)
    stack.send(channel, bytes(range(30)), 0)
    sent = [stack.outputs.popleft()[1].data]
    stack.receive(0, Frame(0x77E, b"\x30\x00\x00"), 1)
    assert not stack.outputs
    for now_ns in range(2, 10):
        stack.frame_sent(0, now_ns)
        while stack.outputs:
            sent.append(stack.outputs.popleft()[1].data)
    assert [data[0] for data in sent] == [0x10, 0x21, 0x22, 0x23, 0x24]
