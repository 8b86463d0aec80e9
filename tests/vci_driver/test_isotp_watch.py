"""The kernel's ISO-TP as far as it needs no kernel that has it: what passing frames tell, and what a socket's errors mean."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

import pytest
from fake_can_socket import VCAN
from hypothesis import given
from hypothesis import strategies as st

from vci_driver.api import ChannelUnavailable, InterfaceMissing
from vci_driver.linux_can.isotp_socket import frames_of, open_isotp, transfer_error
from vci_driver.linux_can.isotp_watch import ConversationWatch, Seen
from wire.errors import CarrierTimeout, RemoteTimeout
from wire.frame import Frame
from wire.isotp_door import (
    BufferOverflow,
    ConsecutiveFrameTimeout,
    FlowControlTimeout,
    InvalidFlowStatus,
    IsoTpOptions,
    Sent,
    TransmitTimeout,
    WrongSequenceNumber,
)
from wire.isotp_stack import IsoTpStack

TX_DL = st.sampled_from((8, 12, 16, 20, 24, 32, 48, 64))


def frames(payload: bytes, tx_dl: int) -> list[Frame]:
    """What our own ISO-TP makes of a message."""
    stack = IsoTpStack()
    channel = stack.add(0, tx_id=0x714, rx_id=0x77E, options=IsoTpOptions(tx_dl=tx_dl, padding=0xAA))
    stack.send(channel, payload, 0)
    out = []
    while not any(isinstance(event, Sent) for event in stack.events):
        if stack.outputs:
            out.append(stack.outputs.popleft()[1])
            stack.frame_sent(0, 0)
        else:
            stack.receive(0, Frame(0x77E, b"\x30\x00\x00"), 0)
    return out


@given(st.integers(1, 5000), TX_DL)
def test_a_message_has_as_many_frames_as_our_own_iso_tp_makes_of_it(length: int, tx_dl: int) -> None:
    assert frames_of(length, IsoTpOptions(tx_dl=tx_dl)) == len(frames(bytes(length), tx_dl))


@given(st.integers(1, 600), TX_DL)
def test_a_request_is_out_with_its_last_frame_and_an_answer_begins_with_its_first(length: int, tx_dl: int) -> None:
    watch = ConversationWatch()
    message = frames(bytes(length), tx_dl)
    watch.expect(len(message))
    seen = [watch.sent(frame) for frame in message]
    assert seen == [Seen.NOTHING] * (len(message) - 1) + [Seen.REQUEST_OUT]
    assert watch.sent(message[-1]) is Seen.NOTHING
    heard = [watch.heard(frame) for frame in message]
    begun = [] if len(message) == 1 else [Seen.ANSWER_BEGUN]
    assert heard == begun + [Seen.NOTHING] * (len(message) - len(begun))
    assert watch.left_bytes == 0
    if begun:
        assert (watch.length, message[0].data.endswith(watch.head)) == (length, True)


def test_flow_control_that_we_send_is_no_part_of_our_message() -> None:
    watch = ConversationWatch()
    watch.expect(1)
    assert watch.sent(Frame(1, b"\x30\x00\x00")) is Seen.NOTHING
    assert watch.sent(Frame(1, b"")) is Seen.NOTHING
    assert watch.sent(Frame(1, b"\x01\x3e")) is Seen.REQUEST_OUT


@pytest.mark.parametrize("data", [b"\x02\x7e\x00", b"\x10\x14abcdef"])
def test_a_message_in_the_middle_of_an_answer_interrupts_it(data: bytes) -> None:
    watch = ConversationWatch()
    assert watch.heard(Frame(1, b"\x10\x14abcdef")) is Seen.ANSWER_BEGUN
    assert watch.heard(Frame(1, data)) is Seen.ANSWER_INTERRUPTED


def test_flow_control_counts_only_while_a_request_is_on_its_way() -> None:
    watch = ConversationWatch()
    assert watch.heard(Frame(1, b"\x35\x00\x00")) is Seen.NOTHING
    watch.expect(3)
    answers = [watch.heard(Frame(1, bytes((status, 0, 0)))) for status in (0x30, 0x31, 0x31, 0x32, 0x35)]
    assert answers == [Seen.NOTHING, Seen.WAIT, Seen.WAIT, Seen.NOTHING, Seen.UNKNOWN_FLOW_STATUS]
    assert watch.waits == 2
    watch.sent(Frame(1, b"\x21"))
    assert watch.waits == 0
    watch.forget()
    assert watch.heard(Frame(1, b"\x35\x00\x00")) is Seen.NOTHING


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=12))), st.integers(0, 3))
def test_no_frame_is_too_strange_to_pass_by(story: list[tuple[bool, bytes]], expected: int) -> None:
    watch = ConversationWatch()
    watch.expect(expected)
    for ours, data in story:
        (watch.sent if ours else watch.heard)(Frame(1, data))
    assert watch.frames_left >= 0 <= watch.left_bytes


@pytest.mark.parametrize(
    ("number", "frames_out", "kind", "sending"),
    [
        (errno.ECOMM, 1, FlowControlTimeout, True),
        (errno.ETIME, 4, FlowControlTimeout, True),
        (errno.ECOMM, 0, TransmitTimeout, True),
        (errno.EMSGSIZE, 1, BufferOverflow, True),
        (errno.EBADMSG, 1, InvalidFlowStatus, True),
        (errno.ETIMEDOUT, 0, ConsecutiveFrameTimeout, False),
        (errno.EILSEQ, 0, WrongSequenceNumber, False),
    ],
)
def test_a_socket_s_error_has_the_name_that_our_own_iso_tp_gives_it(
    number: int, frames_out: int, kind: type[Exception], sending: bool
) -> None:
    told = transfer_error(number, frames_out=frames_out)
    assert told is not None
    assert (type(told[0]), told[1]) == (kind, sending)
    assert isinstance(told[0], RemoteTimeout | CarrierTimeout) == (
        number in (errno.ECOMM, errno.ETIME, errno.ETIMEDOUT)
    )


def test_an_error_that_is_not_about_a_transfer_means_none() -> None:
    assert transfer_error(errno.EPERM, frames_out=0) is None


def test_an_interface_or_kernel_that_cannot_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ChannelUnavailable, match="mtu 72"):
        open_isotp(VCAN.__class__(name="vcan7", index=7, can=True, up=True, mtu=16), 1, 2, IsoTpOptions(tx_dl=64))

    def refuse(number: int) -> Callable[..., object]:
        def make(*_: object) -> object:
            raise OSError(number, "Protocol not supported")

        return make

    monkeypatch.setattr(socket, "socket", refuse(errno.EPROTONOSUPPORT))
    with pytest.raises(InterfaceMissing, match="modprobe can_isotp"):
        open_isotp(VCAN, 1, 2, IsoTpOptions())


def test_a_socket_that_cannot_be_bound_is_closed_and_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []

    class Unbound:
        def settimeout(self, value: object) -> None: ...

        def setsockopt(self, *_: object) -> None: ...

        def bind(self, address: object) -> None:
            raise OSError(errno.ENODEV, "No such device")

        def close(self) -> None:
            closed.append(True)

    monkeypatch.setattr(socket, "socket", lambda *_: Unbound())
    with pytest.raises(ChannelUnavailable, match=r"vcan7: no ISO-TP socket for 0x714: No such device"):
        open_isotp(VCAN, 0x714, 0x77E, IsoTpOptions())
    assert closed == [True]
