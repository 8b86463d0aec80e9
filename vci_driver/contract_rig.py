"""What a check of the contract stands on: two channels on one bus, opened through the registry in one world.

`Setup` says what to open, and is all that a driver's author gives; `Rig` is it opened, for one check. A check that finds the
contract broken raises `ContractBroken` with a sentence, one that cannot be done on this carrier `CannotCheck` with the reason.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from vci_driver.api import ChannelLost, FoundChannel, RawChannel
from vci_driver.registry import open_channel
from wire.can_bus import CanBus
from wire.clock import RealClock
from wire.errors import CarrierFault
from wire.frame import Frame
from wire.world import World

PATIENCE_NS = 10_000_000_000
"""How long a check waits at most for what must come; what is there ends the wait at once."""
QUIET_NS = 30_000_000
"""How long a check waits for what must not come."""


class ContractBroken(Exception):
    """The channel did not do what the contract says: the text tells what was expected and what came."""


class CannotCheck(Exception):
    """This carrier cannot show it: the text is the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One channel to open: what `open_channel` takes."""

    driver: str
    channel: str
    options: Mapping[str, object] = field(default_factory=dict)


def no_options(_: World) -> Mapping[str, object]:
    """Return no options."""
    return {}


def virtual_bus(world: World) -> Mapping[str, object]:
    """Return the option of the virtual driver: a bus of its own in this world."""
    return {"bus": CanBus(world, "obd", fd=True)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is checked. `one` is the channel under test, `peer` a second one on the same bus.

    `fd`: whether both carry CAN FD; None asks the channels. `missing`: a channel that is not there; None: `one`'s with an ending;
    empty: here every name is a channel. `unplug` breaks the channel under test, `replug` mends it for the next check.
    `in_world`: options that need the world that is opened in.
    """

    one: Place
    peer: Place | None = None
    virtual: bool = False
    fd: bool | None = None
    missing: str | None = None
    unplug: Callable[[RawChannel], object] | None = None
    replug: Callable[[], object] | None = None
    in_world: Callable[[World], Mapping[str, object]] = no_options


VIRTUAL = Setup(
    one=Place(driver="virtual", channel="obd", options={"name": "one"}),
    peer=Place(driver="virtual", channel="obd", options={"name": "peer"}),
    virtual=True,
    in_world=virtual_bus,
)
"""The shipped virtual driver on a bus made for each check."""


class Rig:
    """A setup, opened. `heard` and `sent`: what the peer hears of everything (after `listen_to_all`), what `one` got confirmed.

    `faults` are those that `one` told, `peer_faults` the other's.
    """

    def __init__(self, setup: Setup, world: World) -> None:
        self.setup = setup
        self.world = world
        self.heard: list[Frame] = []
        self.sent: list[Frame] = []
        self.faults: list[CarrierFault] = []
        self.peer_faults: list[CarrierFault] = []
        self.may_fault = False
        self._options = setup.in_world(world)
        self._peer: RawChannel | None = None
        self._open: list[RawChannel] = []
        try:
            self.one = self.open_one()
            if setup.peer is not None:
                self._peer = self._open_place(setup.peer)
                self._peer.on_fault = self.peer_faults.append
        except BaseException:
            self.close()
            raise

    # ---- channels

    @property
    def peer(self) -> RawChannel:
        """The second channel; skips the check where there is none, or none that hears."""
        self.need_hearing()
        assert self._peer is not None
        return self._peer

    def open_one(self) -> RawChannel:
        """Open the channel under test (again)."""
        channel = self._open_place(self.setup.one)
        channel.on_sent = self.sent.append
        channel.on_fault = self.faults.append
        return channel

    def open_with(self, channel: str, more: Mapping[str, object]) -> RawChannel:
        """Open another channel of the driver under test, or with more options."""
        one = self.setup.one
        return self._open_place(Place(driver=one.driver, channel=channel, options={**one.options, **more}))

    def open_found(self, found: FoundChannel) -> RawChannel:
        """Open what `detect` found."""
        return self._open_place(Place(driver=found.driver, channel=found.channel, options=found.options))

    def _open_place(self, place: Place) -> RawChannel:
        opened = open_channel(place.driver, place.channel, {**place.options, **self._options}, self.world)
        self._open.append(opened)
        return opened

    def close(self) -> None:
        """Close whatever is open, the newest first; a channel that was lost may fail to say good-bye."""
        for channel in reversed(self._open):
            with contextlib.suppress(ChannelLost):
                channel.close()

    # ---- what this carrier can do

    def need_hearing(self) -> None:
        """Skip unless a second channel hears what `one` sends."""
        one_way = getattr(self.one, "one_way", None)
        if one_way:
            raise CannotCheck(str(one_way))
        if self._peer is None:
            raise CannotCheck("no second channel on the bus was named: --peer")

    def need_acknowledge(self) -> None:
        """Skip where nobody acknowledges what is sent."""
        if not getattr(self.one, "one_way", None):
            self.need_hearing()

    def need_fd(self) -> None:
        """Skip unless both channels carry CAN FD."""
        self.need_hearing()
        fd = self.carries_fd()
        if fd is None:
            raise CannotCheck("the channel does not say whether it carries CAN FD (attribute fd): --fd or --no-fd")
        if not fd:
            raise CannotCheck("classic CAN only")

    def carries_fd(self) -> bool | None:
        """Return whether CAN FD passes, None if nobody says."""
        if self.setup.fd is not None:
            return self.setup.fd
        said = [getattr(channel, "fd", None) for channel in (self.one, self._peer) if channel is not None]
        return None if None in said else all(said)

    # ---- doing and waiting

    def listen_to_all(self) -> None:
        """Let the peer note in `heard` what it hears."""
        self.peer.listen(None, self.heard.append)

    def until(self, done: Callable[[], bool], missing: str) -> None:
        """Run until `done()`; it is broken, in the words of `missing`, when patience ends."""
        if not self.world.run_until(done, PATIENCE_NS):
            told = "".join(f"; it told: {fault}" for fault in (*self.faults, *self.peer_faults))
            raise ContractBroken(f"{missing} within {PATIENCE_NS / 1e9:g} s{told}")

    def quiet(self) -> None:
        """Let some time pass in which nothing is to happen."""
        self.world.run_for(QUIET_NS)

    def send_each(self, frames: Iterable[Frame]) -> None:
        """Send from `one`, each frame after the last one was confirmed."""
        for count, frame in enumerate(frames, start=len(self.sent) + 1):
            self.one.send(frame)
            self.until(lambda count=count: len(self.sent) >= count, f"{frame!r} was not confirmed")  # type: ignore[misc]


def expect(holds: bool, text: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Break the contract, in these words, unless it holds."""
    if not holds:
        raise ContractBroken(text)


@contextlib.contextmanager
def open_rig(setup: Setup) -> Iterator[Rig]:
    """Open a setup in a world of its own, and close it all again."""
    clock = None if setup.virtual else RealClock()
    try:
        rig = Rig(setup, World(clock=clock))
        try:
            yield rig
        finally:
            rig.close()
    finally:
        if clock is not None:
            clock.close()
