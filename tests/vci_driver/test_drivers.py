"""The contract of every raw channel: the same tests on the virtual bus, on python-can's, and on UDP multicast."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from channel_pair import ChannelPair, open_pair

from vci_driver.api import ChannelClosed
from wire.clock import stopwatch
from wire.endpoint import Endpoint
from wire.errors import NotOnThisCarrier
from wire.frame import EXTENDED, Frame
from wire.isotp_door import IsoTpOptions, Received
from wire.isotp_stack import IsoTpStack

KINDS = [
    "virtual",
    pytest.param("python-can virtual", marks=pytest.mark.realtime),
    pytest.param("udp multicast", marks=pytest.mark.realtime),
    pytest.param("vcan", marks=[pytest.mark.realtime, pytest.mark.vcan]),
]
FRAME = Frame(0x714, b"\x02\x3e\x00")


@pytest.fixture(params=KINDS)
def pair(request: pytest.FixtureRequest) -> Iterator[ChannelPair]:
    with open_pair(request.param) as opened:
        yield opened


@pytest.mark.parametrize(
    "frame",
    [
        Frame(0x000, b""),
        Frame(0x7FF, bytes(range(8))),
        Frame(EXTENDED | 0x18DA10F1, b"\x01\x02"),
        Frame(EXTENDED | 0x7FF, b"\x01"),
        Frame(0x123, bytes(range(64)), fd=True, brs=True),
        Frame(0x123, bytes(12), fd=True),
        Frame(0x123, b"\x01", fd=True, brs=True),
    ],
    ids=repr,
)
def test_a_frame_arrives_as_it_was_sent(pair: ChannelPair, frame: Frame) -> None:
    pair.listen_to_all()
    pair.one.send(frame)
    assert pair.until(lambda: bool(pair.heard))
    assert pair.heard == [frame]


def test_frames_arrive_in_the_order_of_their_sending(pair: ChannelPair) -> None:
    pair.listen_to_all()
    frames = [Frame(0x100, bytes((number,))) for number in range(50)]
    pair.send_each(frames)
    assert pair.until(lambda: len(pair.heard) == 50)
    assert pair.heard == pair.sent == frames


def test_a_listener_hears_the_identifiers_it_named_and_no_others(pair: ChannelPair) -> None:
    first, second, both = [], [], []
    pair.two.listen([0x714], first.append)
    pair.two.listen(iter((0x715, EXTENDED | 0x714)), second.append)
    pair.two.listen([0x714, 0x715], both.append)
    pair.listen_to_all()
    frames = [Frame(can_id, b"") for can_id in (0x714, 0x715, EXTENDED | 0x714, 0x700)]
    pair.send_each(frames)
    assert pair.until(lambda: len(pair.heard) == 4)
    assert first == frames[:1]
    assert second == frames[1:3]
    assert both == frames[:2]


def test_each_frame_is_confirmed_once_and_the_sender_does_not_hear_itself(pair: ChannelPair) -> None:
    own = []
    pair.one.listen(None, own.append)
    pair.one.send(FRAME)
    assert pair.until(lambda: bool(pair.sent))
    pair.quiet()
    assert pair.sent == [FRAME]
    assert own == []


def test_what_others_send_is_not_taken_for_a_confirmation(pair: ChannelPair) -> None:
    heard = []
    pair.one.listen(None, heard.append)
    pair.two.send(FRAME)
    assert pair.until(lambda: bool(heard))
    pair.quiet()
    assert pair.sent == []


def test_a_frame_without_anyone_to_tell_is_sent_all_the_same(pair: ChannelPair) -> None:
    pair.listen_to_all()
    pair.one.on_sent = None
    pair.one.send(FRAME)
    assert pair.until(lambda: bool(pair.heard))


def test_a_listener_may_answer_from_inside(pair: ChannelPair) -> None:
    answers = []
    pair.one.listen([0x77E], answers.append)
    pair.two.listen([0x714], lambda _: pair.two.send(Frame(0x77E, b"\x02\x7e\x00")))
    pair.one.send(FRAME)
    assert pair.until(lambda: bool(answers))
    assert answers == [Frame(0x77E, b"\x02\x7e\x00")]


def test_a_closed_channel_refuses_to_send_and_says_its_name(pair: ChannelPair) -> None:
    pair.one.close()
    with pytest.raises(ChannelClosed) as refused:
        pair.one.send(FRAME)
    assert pair.one.name in str(refused.value)


def test_closing_twice_does_nothing_and_neither_close_hangs(pair: ChannelPair) -> None:
    passed = stopwatch()
    pair.one.close()
    pair.one.close()
    assert passed() < 3


def test_a_closed_channel_hears_nothing_and_the_others_go_on(pair: ChannelPair) -> None:
    late = []
    pair.one.listen(None, late.append)
    pair.listen_to_all()
    third = pair.open("three")
    pair.one.close()
    third.send(FRAME)
    assert pair.until(lambda: bool(pair.heard))
    pair.quiet()
    assert late == []
    third.close()


def test_a_frame_that_is_under_way_when_its_channel_is_closed_is_not_confirmed_any_more(pair: ChannelPair) -> None:
    pair.one.send(FRAME)
    pair.one.close()
    pair.quiet()
    assert pair.sent == []


def test_a_channel_that_was_closed_can_be_opened_anew(pair: ChannelPair) -> None:
    pair.one.close()
    again = pair.open("one")
    pair.listen_to_all()
    again.send(FRAME)
    assert pair.until(lambda: bool(pair.heard))
    again.close()


def test_a_voltage_that_nobody_measures_is_not_on_this_carrier(pair: ChannelPair) -> None:
    with pytest.raises(NotOnThisCarrier, match=r"voltage|measure"):
        pair.one.supply_voltage_mv()


def test_a_channel_names_its_driver_or_interface_and_its_channel(pair: ChannelPair) -> None:
    interface = {
        "virtual": "virtual:obd",
        "python-can virtual": "virtual:pair-",
        "udp multicast": "udp_multicast:239",
        "vcan": "socketcan:vcan0",
    }
    assert pair.one.name.startswith(interface[pair.kind])
    assert pair.one.last_rx_timestamp_ns is None or isinstance(pair.one.last_rx_timestamp_ns, int)


class _Stack(IsoTpStack):
    name = "stack"


@pytest.mark.parametrize("tx_dl", [8, 64])
def test_a_message_of_4095_bytes_goes_there_and_back(pair: ChannelPair, tx_dl: int) -> None:
    ends = []
    for carrier, tx_id, rx_id in ((pair.one, 0x714, 0x77E), (pair.two, 0x77E, 0x714)):
        stack = _Stack()
        channel = stack.add(0, tx_id=tx_id, rx_id=rx_id, options=IsoTpOptions(block_size=32, tx_dl=tx_dl))
        ends.append((stack, channel, Endpoint(pair.world, stack, [(carrier, [rx_id])])))
    message = bytes(number & 0xFF for number in range(4095))
    for sender, receiver in (ends, ends[::-1]):
        stack, channel, endpoint = sender
        stack.send(channel, message, pair.world.now_ns)
        endpoint.flush()
        assert pair.until(lambda stack=receiver[0]: _received(stack) != [])
        assert _received(receiver[0]) == [message]


def _received(stack: IsoTpStack) -> list[bytes]:
    return [event.payload for event in stack.events if isinstance(event, Received)]
