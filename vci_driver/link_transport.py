"""What carries the tester's messages, as far as its link sees it: the simulator's own ISO-TP, or the operating system's."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from wire.errors import CarrierFault
from wire.isotp import Channel
from wire.isotp_door import Event, IsoTpOptions


class Transport(Protocol):
    """Messages for addressed pairs: the part of `wire.isotp_stack.IsoTpStack` that the link uses.

    A transport that stands on carriers of its own tells what happens through `attach`; `channel.tag` belongs to the link.
    """

    events: deque[Event]

    def add(self, port: int, *, tx_id: int | None, rx_id: int | None, options: IsoTpOptions) -> Channel:
        """Add a pair of identifiers. `rx_id` None: only sends, and only single frames."""

    def send(self, channel: Channel, payload: bytes, now_ns: int) -> None:
        """Send a message; `Sent` or `Failed` follows."""

    def abort(self, channel: Channel, now_ns: int) -> None:
        """Give up the message being sent."""

    def drop(self) -> None:
        """Forget everything in silence."""


class AttachedTransport(Transport, Protocol):
    """A transport that needs no carriers from the link."""

    def attach(self, on_events: Callable[[], None], on_fault: Callable[[CarrierFault], None]) -> None:
        """Have `on_events` called when something stands in `events`, `on_fault` when the carrier fails."""
