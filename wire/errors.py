"""One tree of errors, split by blame: ours (local misuse, bad configuration), the peer's (remote fault), the carrier's.

Timeouts are also `TimeoutError`. Every message says what went wrong, where, and what to do.
"""

from __future__ import annotations


class BenchError(Exception):
    """Root of every error that the bench raises on purpose."""


class LocalMisuse(BenchError):
    """The caller broke a rule of our own interface: a mistake in test or bench code, not on the wire."""


class WorldStopped(BenchError):
    """A callback raised; the world stands still and every later call raises this again.

    `node`, `now_ns` and `seed` say where, when and how to replay; `__cause__` holds the first error.
    """

    def __init__(self, node: str, now_ns: int, seed: int, cause: BaseException) -> None:
        super().__init__(
            f"the world stopped at {now_ns} ns in {node!r} with seed {seed}: {type(cause).__name__}: {cause}"
        )
        self.node = node
        self.now_ns = now_ns
        self.seed = seed


class NotOnThisCarrier(BenchError):
    """This carrier cannot do what was asked (jump 90 minutes on real hardware, say): skip with the reason, never pass."""


class ConfigError(BenchError):
    """A file that a person wrote is wrong: `path`, `line` (1-based, or None), `key` and what to do about it."""

    def __init__(self, problem: str, *, path: str = "", line: int | None = None, key: str = "") -> None:
        where = path + (f":{line}" if line is not None else "")
        parts = [part for part in (where, key) if part]
        super().__init__(": ".join([*parts, problem]))
        self.problem = problem
        self.path = path
        self.line = line
        self.key = key


class RemoteFault(BenchError):
    """The peer broke the protocol, or refused to go on."""


class RemoteTimeout(RemoteFault, TimeoutError):
    """The peer did not answer in the time the standard gives it."""


class CarrierFault(BenchError):
    """The bus or the adapter failed: bus-off, unplugged, buffer overflow, channel that does not exist."""


class CarrierTimeout(CarrierFault, TimeoutError):
    """A frame could not be put on the bus in time (N_As, N_Ar)."""
