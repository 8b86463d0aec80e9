"""The link of a tester in real time: its world may be run by a keeper between two calls, so each call holds it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from vci_driver.link import DiagnosticLink
from vci_driver.link_peer import Peer, Unasked


class LiveLink(DiagnosticLink):
    """A `DiagnosticLink` whose entrances hold the world (`World.hold`): nobody else runs it meanwhile."""

    def request(self, target: str, payload: bytes) -> bytes:
        """See `DiagnosticLink`."""
        with self.world.hold:
            return super().request(target, payload)

    def begin(self, target: str, payload: bytes) -> Peer:
        """See `DiagnosticLink`."""
        with self.world.hold:
            return super().begin(target, payload)

    def wait(self, peer: Peer) -> bytes:
        """See `DiagnosticLink`."""
        with self.world.hold:
            return super().wait(peer)

    def wait_until_sent(self, peer: Peer) -> None:
        """See `DiagnosticLink`."""
        with self.world.hold:
            super().wait_until_sent(peer)

    def send_functional(self, payload: bytes, *, wait: bool = True) -> list[tuple[str, bytes]]:
        """See `DiagnosticLink`."""
        with self.world.hold:
            return super().send_functional(payload, wait=wait)

    def keep_alive(self, *, on: bool = True, targets: Sequence[str] | None = None) -> None:
        """See `DiagnosticLink`."""
        with self.world.hold:
            super().keep_alive(on=on, targets=targets)

    def hold_session(self, target: str) -> None:
        """See `DiagnosticLink`."""
        with self.world.hold:
            super().hold_session(target)

    def listen_unasked(self, target: str) -> deque[Unasked]:
        """See `DiagnosticLink`."""
        with self.world.hold:
            return super().listen_unasked(target)

    def recover(self) -> None:
        """See `DiagnosticLink`."""
        with self.world.hold:
            super().recover()
