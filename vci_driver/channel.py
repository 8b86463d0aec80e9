"""The common part of raw channels: who listens, who is told, what is refused. A driver of one's own begins here.

A subclass puts frames out in `_transmit`, gives its adapter back in `_shut`, and calls `deliver`, `confirm`, `tell` and `lose`
from inside the world: from a descriptor's callback (`RealClock.register`) or, from a thread, through `World.post`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vci_driver.api import ChannelClosed, ChannelLost
from wire.errors import CarrierFault, LocalMisuse, NotOnThisCarrier
from wire.frame import Frame
from wire.world import World


class BaseChannel:
    """A `RawChannel` without an adapter. `fault` is why the channel was lost, or None."""

    fd = False
    """Whether frames of CAN FD pass; a frame that does not is refused as the caller's mistake."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.on_sent: Callable[[Frame], None] | None = None
        self.on_fault: Callable[[CarrierFault], None] | None = None
        self.on_recovered: Callable[[], None] | None = None
        self.last_rx_timestamp_ns: int | None = None
        self.fault: CarrierFault | None = None
        self.closed = False
        self.unconfirmed = 0
        self._table: dict[int, tuple[Callable[[Frame], None], ...]] = {}
        self._listen_all: tuple[Callable[[Frame], None], ...] = ()

    # ---- the owner's side

    def send(self, frame: Frame) -> None:
        """Hand a frame over. After a loss frames go nowhere; after `close` this raises `ChannelClosed`."""
        if self.closed:
            raise ChannelClosed(f"{self.name} is closed: {frame!r} cannot be sent")
        if frame.fd and not self.fd:
            raise LocalMisuse(
                f"{self.name} carries classic CAN only: {frame!r} needs a channel that is opened for CAN FD"
            )
        if self.fault is None:
            self._transmit(frame)

    def listen(self, can_ids: Iterable[int] | None, listener: Callable[[Frame], None]) -> None:
        """Receive frames with these identifiers (None: all)."""
        if can_ids is None:
            self._listen_all = (*self._listen_all, listener)
            return
        for can_id in can_ids:
            self._table[can_id] = (*self._table.get(can_id, ()), listener)

    def supply_voltage_mv(self) -> int:
        """Refuse: a driver whose adapter measures the voltage overrides this."""
        raise NotOnThisCarrier(f"{self.name} does not measure the supply voltage")

    def close(self) -> None:
        """Give the adapter back, once."""
        if not self.closed:
            self.closed = True
            self._shut()

    # ---- the driver's side, inside the world

    def deliver(self, frame: Frame, timestamp_ns: int | None = None) -> None:
        """Hand a frame that somebody else sent to those who listen."""
        if self.is_dead():
            return
        self.last_rx_timestamp_ns = timestamp_ns
        for listener in (*self._table.get(frame.can_id, ()), *self._listen_all):
            if self.is_dead():  # closed by the listener before
                return
            listener(frame)

    def confirm(self, frame: Frame) -> None:
        """Tell that a frame of one's own went out: once each, in order, and never from inside `send`."""
        if self.on_sent is not None and not self.is_dead():
            self.on_sent(frame)

    def confirm_soon(self, frame: Frame) -> None:
        """Confirm in this instant, but after `send` returned: for adapters that tell nothing better."""
        self.unconfirmed += 1
        self.world.call_soon(lambda: self._confirm_now(frame))

    def _confirm_now(self, frame: Frame) -> None:
        self.unconfirmed -= 1
        self.confirm(frame)

    def tell(self, fault: CarrierFault) -> None:
        """Tell a fault that leaves the channel in use (`FramesLost`, `OtherSender`)."""
        if self.on_fault is not None and not self.is_dead():
            self.on_fault(fault)

    def lose(self, fault: str | CarrierFault) -> None:
        """Tell, once, that the channel is lost: a text becomes a `ChannelLost`."""
        if self.is_dead():
            return
        self.fault = ChannelLost(fault) if isinstance(fault, str) else fault
        self._lost()
        if self.on_fault is not None:
            self.on_fault(self.fault)

    def is_dead(self) -> bool:
        """Whether nothing goes in or out any more: closed, or lost."""
        return self.closed or self.fault is not None

    def _transmit(self, frame: Frame) -> None:
        raise NotImplementedError

    def _shut(self) -> None:
        """Give the adapter back."""

    def _lost(self) -> None:
        """Stop reading: the adapter is gone."""
