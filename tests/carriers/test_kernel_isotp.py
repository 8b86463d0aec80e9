"""Judge: the Linux kernel's ISO-TP, through isotpsend and isotprecv, against our own on a real interface.

Our ECU and our tester share one ISO-TP, so a mirrored mistake between them is invisible; the kernel shares nothing with it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import can_utils
import pytest
from vcan_pair import ChannelPair, vcan_pair

from wire.endpoint import Endpoint
from wire.isotp_door import Failed, IsoTpOptions, Received, Sent
from wire.isotp_stack import IsoTpStack

pytestmark = [pytest.mark.kernel_isotp, pytest.mark.judge("Linux's ISO-TP"), pytest.mark.realtime]
OURS, THEIRS = 0x714, 0x77E
IDS = ("-s", f"{THEIRS:X}", "-d", f"{OURS:X}")
CASES = pytest.mark.parametrize(
    ("size", "block_size", "stmin"),
    [
        pytest.param(1, 0, 0, id="one byte"),
        pytest.param(7, 0, 0, id="longest single frame"),
        pytest.param(8, 0, 0, id="shortest segmented message"),
        pytest.param(4095, 0, 0, id="longest message"),
        pytest.param(4095, 1, 0, id="longest message, block size 1"),
        pytest.param(4095, 8, 0, id="longest message, block size 8"),
        pytest.param(4095, 0, 1, id="longest message, STmin 1 ms"),
        pytest.param(4095, 32, 0xF5, id="longest message, block size 32, STmin 500 us"),
    ],
)
CLOCKS_APART_US = 50
"""The kernel stamps frames with its calendar, which may be slewed against the clock that we wait by."""
KERNEL_FD = ("-L", "72:64:1")
"""CAN FD with bit rate switch, frames of up to 64 bytes."""


class Stack(IsoTpStack):
    name = "ours"


class Table:
    """Our stack on vcan0; the kernel's end is a process of its own."""

    def __init__(self, pair: ChannelPair, options: IsoTpOptions) -> None:
        self.pair = pair
        self.stack = Stack()
        self.channel = self.stack.add(0, tx_id=OURS, rx_id=THEIRS, options=options)
        self.endpoint = Endpoint(pair.world, self.stack, [(pair.one, [THEIRS])])

    def send(self, message: bytes) -> None:
        self.stack.send(self.channel, message, self.pair.world.now_ns)
        self.endpoint.flush()

    def until(self, kind: type[Sent | Received]) -> Sent | Received:
        """Run until the stack tells this, or a failure."""
        events = self.stack.events
        assert self.pair.until(lambda: any(isinstance(event, kind | Failed) for event in events))
        failures = [event.error for event in events if isinstance(event, Failed)]
        assert not failures
        found = next(event for event in events if isinstance(event, kind))
        events.clear()
        return found


@pytest.fixture(params=["socketcan", "python_can"])
def pair(request: pytest.FixtureRequest) -> Iterator[ChannelPair]:
    with vcan_pair(request.param) as opened:
        yield opened


def message_of(size: int) -> bytes:
    return bytes(number * 7 & 0xFF for number in range(size))


@CASES
def test_what_we_send_the_kernel_receives_with_the_flow_that_it_asks_for(
    pair: ChannelPair, size: int, block_size: int, stmin: int
) -> None:
    table = Table(pair, IsoTpOptions())
    flow = ("-b", f"{block_size:X}", "-m", f"{stmin:X}")
    with can_utils.listening(pair.world, "isotprecv", *IDS, *flow, "vcan0") as kernel:
        table.send(message_of(size))
        table.until(Sent)
        assert bytes.fromhex(can_utils.ended(kernel)) == message_of(size)


@CASES
def test_what_the_kernel_sends_we_receive_with_the_flow_that_we_ask_for(
    pair: ChannelPair, size: int, block_size: int, stmin: int
) -> None:
    table = Table(pair, IsoTpOptions(block_size=block_size, stmin=stmin))
    assert kernel_sends(table, message_of(size)) == message_of(size)


@pytest.mark.parametrize("size", [62, 63, 4095])
def test_can_fd_goes_both_ways(pair: ChannelPair, size: int) -> None:
    table = Table(pair, IsoTpOptions(tx_dl=64, block_size=16))
    with can_utils.listening(pair.world, "isotprecv", *IDS, *KERNEL_FD, "vcan0") as kernel:
        table.send(message_of(size))
        table.until(Sent)
        assert bytes.fromhex(can_utils.ended(kernel)) == message_of(size)
    assert kernel_sends(table, message_of(size), *KERNEL_FD) == message_of(size)


def test_our_frames_keep_the_distance_that_the_kernel_asks_for(pair: ChannelPair) -> None:
    frames = 10
    table = Table(pair, IsoTpOptions())
    words = ("isotprecv", *IDS, "-m", "14", "vcan0")  # 20 ms
    dump = ("candump", "-L", "-n", str(frames + 1), f"vcan0,{OURS:X}:7FF")
    with (
        can_utils.listening(pair.world, *dump) as candump,
        can_utils.listening(pair.world, *words) as kernel,
    ):
        table.send(message_of(6 + 7 * frames))
        table.until(Sent)
        can_utils.ended(kernel)
        lines = can_utils.ended(candump).splitlines()
    stamps_us = [int(line[1:].split(")")[0].replace(".", "")) for line in lines]
    consecutive = stamps_us[1:]
    assert len(consecutive) == frames
    assert min(later - earlier for earlier, later in itertools.pairwise(consecutive)) >= 20_000 - CLOCKS_APART_US


def kernel_sends(table: Table, message: bytes, *words: str) -> bytes:
    """Let isotpsend send a message; return what our stack received."""
    with can_utils.sending(message.hex(" "), "isotpsend", *IDS, "-b", *words, "vcan0") as kernel:
        event = table.until(Received)
        can_utils.ended(kernel)
    assert isinstance(event, Received)
    return event.payload
