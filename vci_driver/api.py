"""What a VCI driver offers: a raw CAN channel that is a `wire.endpoint.Carrier`, and what hardware adds to one.

A driver opens channels; a channel sends, listens, confirms, and can be closed, lost, or asked for the supply voltage.
What a carrier cannot do raises `NotOnThisCarrier`; what the hardware fails to do is a `CarrierFault` by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from wire.errors import CarrierFault
from wire.frame import Frame
from wire.world import World


class InterfaceMissing(CarrierFault):
    """The software for this kind of adapter is not there: no such interface, its library or its driver is not installed."""


class ChannelUnavailable(CarrierFault):
    """The channel cannot be opened: it does not exist, is down, in use by another program, or not permitted."""


class ChannelLost(CarrierFault):
    """An open channel stopped working: adapter pulled out, interface down, bus-off."""


class FramesLost(CarrierFault):
    """Frames came faster than they were read, and the system or the adapter dropped some: `count` of them, 0 if not told."""

    def __init__(self, text: str, count: int = 0) -> None:
        super().__init__(text)
        self.count = count


class OtherSender(CarrierFault):
    """Another program or device sends with an identifier that this channel sends with."""


class ChannelClosed(CarrierFault):
    """The channel was closed by its owner and used afterwards."""


class RawChannel(Protocol):
    """One place on one CAN bus, ready to send and receive. Everything happens in the world that it was opened in.

    `on_sent(frame)` confirms that a frame went out. `on_fault` is told what goes wrong, so that a pulled plug is an event and
    never an exception inside the world: `ChannelLost` once when the channel is lost, from when on `send` does nothing; any
    other fault (`FramesLost`, `OtherSender`) leaves it in use. `on_recovered` is told when a lost channel works again, where
    the carrier can find out. `last_rx_timestamp_ns` is the system's or the adapter's own stamp of the last frame, in its own
    time base; None where it has none.

    What a channel cannot do it may say in attributes that the contract (`vci_driver.contract`) reads: `fd`, whether it carries
    frames of CAN FD; `one_way`, in words, why no second channel hears what is sent on it; `unplug()` pulls its plug in tests.
    """

    name: str
    on_sent: Callable[[Frame], None] | None
    on_fault: Callable[[CarrierFault], None] | None
    on_recovered: Callable[[], None] | None

    @property
    def last_rx_timestamp_ns(self) -> int | None:
        """The stamp of the last frame that was received."""

    def send(self, frame: Frame) -> None:
        """Put a frame on the bus. Raises `ChannelClosed` after `close`."""

    def listen(self, can_ids: Iterable[int] | None, listener: Callable[[Frame], None]) -> None:
        """Receive frames with these identifiers (None: all) that others send."""

    def supply_voltage_mv(self) -> int:
        """Return the voltage at the vehicle's socket in millivolts; raise `NotOnThisCarrier` where nobody measures it."""

    def close(self) -> None:
        """Leave the bus; closing twice does nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundChannel:
    """A channel that is there to be opened: `driver` and `channel` as `open` takes them, with the options it needs."""

    driver: str
    channel: str
    description: str
    options: Mapping[str, object] = field(default_factory=dict)


class Driver(Protocol):
    """Opens channels of one kind of adapter."""

    name: str

    def open(self, channel: str, options: Mapping[str, object], world: World) -> RawChannel:
        """Open a channel. Raises `InterfaceMissing`, `ChannelUnavailable`, or `LocalMisuse` for options it does not know."""

    def detect(self) -> tuple[FoundChannel, ...]:
        """Return the channels that could be opened now."""
