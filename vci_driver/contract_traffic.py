"""Checks of what passes: frames, their confirmation, callbacks, and ISO-TP over it all. The table is in `contract_checks`."""

from __future__ import annotations

from functools import partial

from vci_driver.api import FramesLost
from vci_driver.contract_rig import CannotCheck, ContractBroken, Rig, expect
from wire.clock import NS_PER_S
from wire.endpoint import Endpoint
from wire.errors import LocalMisuse, NotOnThisCarrier
from wire.frame import EXTENDED, Frame
from wire.isotp_door import Failed, IsoTpOptions, Received
from wire.isotp_stack import IsoTpStack

FRAME = Frame(0x714, b"\x02\x3e\x00")
CLASSIC = (
    Frame(0x000, b""),
    Frame(0x7FF, bytes(range(8))),
    Frame(EXTENDED | 0x18DA10F1, b"\x01\x02"),
    Frame(EXTENDED | 0x7FF, b"\x01"),
    Frame(EXTENDED | 0x1FFFFFFF, bytes(8)),
)
FD = (
    Frame(0x123, bytes(range(64)), fd=True, brs=True),
    Frame(0x123, bytes(12), fd=True),
    Frame(0x123, b"\x01", fd=True, brs=True),
    Frame(EXTENDED | 0x18DA10F1, bytes(range(48)), fd=True, brs=True),
)
ORDERED = 50
BURST = 600
"""More frames than a socket's default buffer holds (some 278): what does not fit must be told."""
MESSAGE = bytes(number & 0xFF for number in range(4095))
PATIENT_NS = 10 * NS_PER_S
# ---- frames


def _arrive(rig: Rig, frames: tuple[Frame, ...]) -> None:
    rig.listen_to_all()
    for count, frame in enumerate(frames, start=1):
        rig.one.send(frame)
        rig.until(lambda count=count: len(rig.heard) >= count, f"{frame!r} did not arrive")  # type: ignore[misc]
        came = rig.heard[-1]
        same = came == frame and type(came.data) is bytes
        expect(same, f"{frame!r} (brs={frame.brs}) arrived as {came!r} (brs={came.brs}, {type(came.data).__name__})")


def classic_frames(rig: Rig) -> None:
    """Classic frames of both kinds of identifier arrive as they were sent."""
    _arrive(rig, CLASSIC)


def fd_frames(rig: Rig) -> None:
    """CAN FD frames arrive with their length and bit-rate switch."""
    rig.need_fd()
    _arrive(rig, FD)


def fd_refused(rig: Rig) -> None:
    """A classic channel refuses a CAN FD frame and goes on working."""
    if rig.carries_fd() is not False:
        raise CannotCheck("the channel carries CAN FD, or does not say that it does not")
    try:
        rig.one.send(FD[0])
    except (LocalMisuse, NotOnThisCarrier):
        pass
    else:
        raise ContractBroken("a CAN FD frame was taken by a channel that carries classic CAN only")
    rig.listen_to_all()
    rig.one.send(FRAME)
    rig.until(lambda: bool(rig.heard), "after a refused CAN FD frame a classic one did not arrive")


def order(rig: Rig) -> None:
    """Frames arrive, and are confirmed, in the order of their sending."""
    rig.listen_to_all()
    frames = [Frame(0x100, bytes((number,))) for number in range(ORDERED)]
    rig.send_each(frames)
    rig.until(lambda: len(rig.heard) >= ORDERED, f"{ORDERED} frames were sent and confirmed, and did not all arrive")
    _same(rig.heard, frames, "arrived")
    _same(rig.sent, frames, "were confirmed")


def _same(came: list[Frame], sent: list[Frame], verb: str) -> None:
    if came == sent:
        return
    for number, (one, other) in enumerate(zip(came, sent, strict=False)):
        if one != other:
            raise ContractBroken(f"frames {verb} in another order than they were sent: {one!r} as number {number}")
    raise ContractBroken(f"{len(sent)} frames were sent, {len(came)} {verb}")


def filters(rig: Rig) -> None:
    """A listener hears the identifiers it named, and no others."""
    first: list[Frame] = []
    second: list[Frame] = []
    both: list[Frame] = []
    rig.peer.listen([0x714], first.append)
    rig.peer.listen(iter((0x715, EXTENDED | 0x714)), second.append)
    rig.peer.listen([0x714, 0x715], both.append)
    rig.listen_to_all()
    frames = [Frame(can_id, b"") for can_id in (0x714, 0x715, EXTENDED | 0x714, 0x700)]
    rig.send_each(frames)
    rig.until(lambda: len(rig.heard) >= len(frames), "a listener to everything did not hear all four frames")
    for heard, wanted, who in (
        (first, frames[:1], "the listener to 714"),
        (second, frames[1:3], "the listener to 715 and 00000714"),
        (both, frames[:2], "the listener to 714 and 715"),
    ):
        expect(heard == wanted, f"{who} heard {heard}, not {wanted}")


def burst(rig: Rig) -> None:
    """Frames that are sent 600 at once arrive whole, or FramesLost is told."""
    frames = [Frame(0x200 + number % 8, number.to_bytes(4, "big")) for number in range(BURST)]
    rig.listen_to_all()
    rig.may_fault = True
    for frame in frames:
        rig.one.send(frame)
    rig.world.run_until(lambda: len(rig.heard) >= BURST or _lost(rig), PATIENT_NS)
    if _lost(rig):
        rig.quiet()
        return
    told = (*rig.faults, *rig.peer_faults)
    expect(not told, f"a burst of {BURST} frames was told as {told[0] if told else None}")
    expect(len(rig.heard) >= BURST, f"of {BURST} frames {len(rig.heard)} arrived, and no FramesLost was told")
    # identifiers arbitrate on a real bus: order holds within each
    for can_id in range(0x200, 0x208):
        got, wanted = ([frame for frame in some if frame.can_id == can_id] for some in (rig.heard, frames))
        _same(got, wanted, "arrived")
    rig.until(lambda: len(rig.sent) >= BURST, f"of {BURST} frames that arrived not all were confirmed")


def _lost(rig: Rig) -> bool:
    return any(isinstance(fault, FramesLost) for fault in (*rig.faults, *rig.peer_faults))


# ---- confirmation


def confirmed_once(rig: Rig) -> None:
    """Each frame is confirmed once, and its sender does not hear it."""
    rig.need_acknowledge()
    own: list[Frame] = []
    rig.one.listen(None, own.append)
    rig.one.send(FRAME)
    rig.until(lambda: bool(rig.sent), f"{FRAME!r} was not confirmed")
    rig.quiet()
    expect(len(rig.sent) == 1, f"one frame was sent, and confirmed {len(rig.sent)} times")
    expect(rig.sent[0] == FRAME, f"{FRAME!r} was confirmed as {rig.sent[0]!r}")
    if not getattr(rig.one, "one_way", None):
        expect(not own, f"the sender heard its own frame: {own}")


def confirmed_after_send(rig: Rig) -> None:
    """A confirmation never comes from inside send."""
    rig.need_acknowledge()
    inside = True
    early: list[Frame] = []

    def note(frame: Frame) -> None:
        rig.sent.append(frame)
        if inside:
            early.append(frame)

    rig.one.on_sent = note
    rig.one.send(FRAME)
    inside = False
    expect(not early, "on_sent was called from inside send: it belongs to a later moment of the world")
    rig.until(lambda: bool(rig.sent), f"{FRAME!r} was not confirmed")


def confirmed_before_answer(rig: Rig) -> None:
    """A request is confirmed before its answer is heard."""
    story: list[str] = []
    rig.one.on_sent = lambda _: story.append("confirmed")
    rig.one.listen([0x77E], lambda _: story.append("answered"))
    rig.peer.listen([0x714], lambda _: rig.peer.send(Frame(0x77E, b"\x02\x7e\x00")))
    for _ in range(10):
        story.clear()
        rig.one.send(FRAME)
        rig.until(lambda: len(story) >= 2, f"a request and its answer: there was only {story}")
        expect(
            story[0] == "confirmed",
            "the answer was heard before the request was confirmed: P2 would begin after its end",
        )


def foreign_frames(rig: Rig) -> None:
    """What others send is no confirmation, even if it is the same frame."""
    heard: list[Frame] = []
    rig.one.listen(None, heard.append)
    rig.peer.send(FRAME)
    rig.until(lambda: bool(heard), f"{FRAME!r} of the peer did not arrive")
    rig.quiet()
    expect(not rig.sent, "a frame that the peer sent was taken for the confirmation of one's own")


def nobody_to_tell(rig: Rig) -> None:
    """A frame goes out with nobody to tell of it."""
    rig.listen_to_all()
    rig.one.on_sent = None
    rig.one.on_fault = None
    rig.one.send(FRAME)
    rig.until(lambda: bool(rig.heard), "without on_sent a frame did not go out")


# ---- callbacks


def answer_inside(rig: Rig) -> None:
    """A listener may answer from inside its callback."""
    answer = Frame(0x77E, b"\x02\x7e\x00")
    answers: list[Frame] = []
    rig.one.listen([0x77E], answers.append)
    rig.peer.listen([0x714], lambda _: rig.peer.send(answer))
    rig.one.send(FRAME)
    rig.until(lambda: bool(answers), "what a listener sent from inside its callback did not arrive")
    rig.quiet()
    expect(answers == [answer], f"the answer came as {answers}, not as [{answer!r}]")


def close_inside(rig: Rig) -> None:
    """A listener may close the channel from inside its callback."""
    heard: list[Frame] = []

    def close(frame: Frame) -> None:
        heard.append(frame)
        rig.one.close()

    rig.one.listen([0x714], close)
    rig.peer.send(FRAME)
    rig.until(lambda: bool(heard), f"{FRAME!r} of the peer did not arrive")
    rig.quiet()


# ---- ISO-TP over it


class _Stack(IsoTpStack):
    name = "stack"


def isotp_classic(rig: Rig) -> None:
    """ISO-TP carries 4095 bytes each way, with flow control."""
    _there_and_back(rig, tx_dl=8)


def isotp_fd(rig: Rig) -> None:
    """ISO-TP does so in CAN FD frames of 64 bytes."""
    rig.need_fd()
    _there_and_back(rig, tx_dl=64)


def _there_and_back(rig: Rig, *, tx_dl: int) -> None:
    ends = []
    options = IsoTpOptions(
        block_size=32, tx_dl=tx_dl, n_as_ns=PATIENT_NS, n_ar_ns=PATIENT_NS, n_bs_ns=PATIENT_NS, n_cr_ns=PATIENT_NS
    )
    for carrier, tx_id, rx_id in ((rig.one, 0x714, 0x77E), (rig.peer, 0x77E, 0x714)):
        stack = _Stack()
        channel = stack.add(0, tx_id=tx_id, rx_id=rx_id, options=options)
        ends.append((stack, channel, Endpoint(rig.world, stack, [(carrier, [rx_id])])))
    for (stack, channel, endpoint), (hearing, _, _) in (ends, ends[::-1]):
        stack.send(channel, MESSAGE, rig.world.now_ns)
        endpoint.flush()
        rig.until(partial(_ended, stack, hearing), f"a message of {len(MESSAGE)} bytes did not arrive")
        failed = [str(event.error) for event in (*stack.events, *hearing.events) if isinstance(event, Failed)]
        expect(not failed, f"a message of {len(MESSAGE)} bytes did not arrive: {'; '.join(failed)}")
        expect(
            [e.payload for e in hearing.events if isinstance(e, Received)] == [MESSAGE], "the message arrived changed"
        )


def _ended(sending: IsoTpStack, hearing: IsoTpStack) -> bool:
    return any(isinstance(event, Received | Failed) for event in hearing.events) or any(
        isinstance(event, Failed) for event in sending.events
    )
