"""The virtual adapter: a port of a `wire.can_bus.CanBus`, with a plug that can be pulled out.

Options: `bus` (the `CanBus`, required), `name` (the port's name, default `tester`), `supply_mv` (called for the supply
voltage in millivolts). The channel is the bus's name, which is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from vci_driver.api import ChannelClosed, ChannelLost, ChannelUnavailable, FoundChannel, RawChannel
from wire.can_bus import BusPort, CanBus
from wire.errors import CarrierFault, LocalMisuse, NotOnThisCarrier
from wire.frame import Frame
from wire.world import World

OPTIONS = frozenset({"bus", "name", "supply_mv"})


class VirtualChannel:
    """A raw channel on a virtual bus, or on one whose wire is elsewhere (`name`: of what carries it)."""

    __slots__ = ("_closed", "_port", "_supply_mv", "last_rx_timestamp_ns", "name", "on_fault", "on_recovered", "send")

    def __init__(self, port: BusPort, supply_mv: Callable[[], int] | None = None, *, name: str | None = None) -> None:
        self.name = name or f"virtual:{port.bus.name}"
        self.on_fault: Callable[[CarrierFault], None] | None = None
        self.on_recovered: Callable[[], None] | None = None
        self.last_rx_timestamp_ns: int | None = None
        self.send: Callable[[Frame], None] = port.send  # the port's own method: nothing stands in the hot path
        self._port = port
        self._supply_mv = supply_mv
        self._closed = False
        port.on_bus_off = self._on_bus_off

    @property
    def on_sent(self) -> Callable[[Frame], None] | None:
        """Called for each frame of one's own that went out."""
        return self._port.on_sent

    @on_sent.setter
    def on_sent(self, callback: Callable[[Frame], None] | None) -> None:
        self._port.on_sent = callback

    @property
    def port(self) -> BusPort:
        """The port on the bus (its name is what taps report as the sender)."""
        return self._port

    @property
    def fd(self) -> bool:
        """Whether the bus carries frames of CAN FD."""
        return self._port.bus.fd

    def listen(self, can_ids: Iterable[int] | None, listener: Callable[[Frame], None]) -> None:
        """Receive frames with these identifiers (None: all)."""
        self._port.listen(can_ids, listener)

    def supply_voltage_mv(self) -> int:
        """Return what the vehicle's model says its supply is."""
        if self._supply_mv is None:
            raise NotOnThisCarrier(f"{self.name} was opened without a vehicle to measure: pass supply_mv")
        return self._supply_mv()

    def unplug(self) -> None:
        """Pull the plug: nothing is sent or heard any more, `on_fault` is told."""
        self._port.switch_off()
        self._lose(f"{self.name}: the adapter was pulled out")

    def replug(self) -> None:
        """Put the plug back; what was queued is gone."""
        self._port.restart()

    def close(self) -> None:
        """Leave the bus."""
        if not self._closed:
            self._closed = True
            self._port.close()
            self.send = self._send_closed

    def carrier_failed(self, fault: CarrierFault) -> None:
        """Pass on what goes wrong with the carrier of the bus."""
        if self.on_fault is not None:
            self.on_fault(fault)

    def carrier_recovered(self) -> None:
        """Pass on that it works again."""
        if self.on_recovered is not None:
            self.on_recovered()

    def _on_bus_off(self) -> None:
        self._lose(f"{self.name}: bus-off, the controller counted too many errors and left the bus")

    def _lose(self, text: str) -> None:
        if self.on_fault is not None:
            self.on_fault(ChannelLost(text))

    def _send_closed(self, frame: Frame) -> None:
        raise ChannelClosed(f"{self.name} is closed: {frame!r} cannot be sent")


class VirtualDriver:
    """Opens ports on virtual buses."""

    name = "virtual"

    def open(self, channel: str, options: Mapping[str, object], world: World) -> RawChannel:
        """Attach a new port to the bus in the options."""
        unknown = sorted(set(options) - OPTIONS)
        if unknown:
            raise LocalMisuse(f"the virtual driver has no option {unknown[0]!r}; it has {', '.join(sorted(OPTIONS))}")
        bus = options.get("bus")
        if not isinstance(bus, CanBus):
            raise ChannelUnavailable(f"virtual channel {channel!r} needs the option bus=CanBus(...), not {bus!r}")
        if bus.name != channel:
            raise ChannelUnavailable(f"virtual channel {channel!r} does not exist: the bus passed is {bus.name!r}")
        if bus.world is not world:
            raise LocalMisuse(f"bus {channel!r} stands in another world")
        supply_mv = options.get("supply_mv")
        if supply_mv is not None and not callable(supply_mv):
            raise LocalMisuse("the option supply_mv is a function that returns millivolts")
        return VirtualChannel(bus.attach(str(options.get("name", "tester"))), supply_mv)

    def detect(self) -> tuple[FoundChannel, ...]:
        """Find nothing: a virtual bus exists only in the program that made it."""
        return ()
