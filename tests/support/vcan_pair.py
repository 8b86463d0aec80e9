"""Two open channels on vcan0, for tests in which foreign programs are the witnesses."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from channel_pair import real_world

from vci_driver.api import RawChannel
from vci_driver.registry import open_channel
from wire.frame import Frame
from wire.world import World

PATIENCE_NS = 10_000_000_000
"""How long a test waits at most for what must come; what is there ends the wait at once."""
QUIET_NS = 30_000_000
"""How long a test waits for what must not come."""
OPTIONS = {"socketcan": {}, "python_can": {"interface": "socketcan", "fd": True}}


class ChannelPair:
    """`one` and `two` on one bus; `heard` and `sent` note what `two` hears of everything, and what `one` got confirmed."""

    def __init__(self, world: World, driver: str, channel: str = "vcan0") -> None:
        self.world = world
        self.one: RawChannel = open_channel(driver, channel, OPTIONS[driver], world)
        self.two: RawChannel = open_channel(driver, channel, OPTIONS[driver], world)
        self.sent: list[Frame] = []
        self.heard: list[Frame] = []
        self.one.on_sent = self.sent.append

    def listen_to_all(self) -> None:
        self.two.listen(None, self.heard.append)

    def until(self, done: Callable[[], bool]) -> bool:
        """Run until `done()` or the end of all patience."""
        return self.world.run_until(done, PATIENCE_NS)

    def send_each(self, frames: list[Frame]) -> None:
        """Send from `one`, each frame after the last one was confirmed."""
        for count, frame in enumerate(frames, start=len(self.sent) + 1):
            self.one.send(frame)
            assert self.until(lambda count=count: len(self.sent) >= count)

    def quiet(self) -> None:
        """Let some time pass in which nothing is to happen."""
        self.world.run_for(QUIET_NS)


@contextlib.contextmanager
def vcan_pair(driver: str) -> Iterator[ChannelPair]:
    """Open two channels of a driver (`socketcan`, `python_can`) on vcan0."""
    with real_world() as world:
        pair = ChannelPair(world, driver)
        with contextlib.closing(pair.two), contextlib.closing(pair.one):
            yield pair
