"""Which descriptors are readable: the part of a real clock's wait that is the operating system's.

On Linux `epoll` itself, without what the standard library makes of its answers; elsewhere the standard library's choice.
"""

from __future__ import annotations

import select
import selectors
import socket
from collections.abc import Callable, Sequence
from typing import Protocol

Callback = Callable[[], None]
Descriptor = int | socket.socket
SELECT_FD_MAX = 1024
"""`select` knows no descriptor from this number on (FD_SETSIZE)."""


class Descriptors(Protocol):
    """Descriptors to wait for, each with what is to be called when it is readable."""

    fine: tuple[int] | None
    """What `select`, which counts in microseconds, can wait for in its stead; None where there is no such descriptor."""

    def register(self, fd: Descriptor, on_readable: Callback) -> None:
        """Wait for this one too."""

    def unregister(self, fd: Descriptor) -> None:
        """Forget it; one that is closed already as well."""

    def ready(self, timeout_s: float | None) -> Sequence[Callback]:
        """Wait for at most so long (None: for ever); return what the readable ones are to have called."""

    def close(self) -> None:
        """Give back what was opened."""


class EpollDescriptors:
    """`epoll`, level-triggered."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callback] = {}
        fd = self._epoll.fileno()
        self.fine: tuple[int] | None = (fd,) if fd < SELECT_FD_MAX else None

    def register(self, fd: Descriptor, on_readable: Callback) -> None:
        """See `Descriptors`."""
        number = fd if isinstance(fd, int) else fd.fileno()
        self._epoll.register(number, select.EPOLLIN)
        self._callbacks[number] = on_readable

    def unregister(self, fd: Descriptor) -> None:
        """See `Descriptors`. Raises `KeyError` for one that was not registered."""
        number = fd if isinstance(fd, int) else fd.fileno()
        del self._callbacks[number]
        self._epoll.unregister(number)

    def ready(self, timeout_s: float | None) -> Sequence[Callback]:
        """See `Descriptors`."""
        callbacks = self._callbacks
        return [callbacks[number] for number, _ in self._epoll.poll(timeout_s) if number in callbacks]

    def close(self) -> None:
        """See `Descriptors`."""
        self._epoll.close()


class SelectorDescriptors:
    """Whatever `selectors` has for this system. On Windows that is `select`, which takes sockets only."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.fine: tuple[int] | None = None

    def register(self, fd: Descriptor, on_readable: Callback) -> None:
        """See `Descriptors`."""
        self._selector.register(fd, selectors.EVENT_READ, on_readable)

    def unregister(self, fd: Descriptor) -> None:
        """See `Descriptors`. Raises `KeyError` for one that was not registered."""
        self._selector.unregister(fd)

    def ready(self, timeout_s: float | None) -> Sequence[Callback]:
        """See `Descriptors`."""
        return [key.data for key, _ in self._selector.select(timeout_s)]

    def close(self) -> None:
        """See `Descriptors`."""
        self._selector.close()


def make_descriptors() -> Descriptors:
    """Return the quickest that this system has."""
    return EpollDescriptors() if hasattr(select, "epoll") else SelectorDescriptors()
