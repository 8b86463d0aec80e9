"""`make benchmark`: ours and the peer in one run, as ratios. Ours has trace digest and witness on.

Rates on a shared machine move by tens of percent from minute to minute; the ratio of two rows of one run does not.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import ours, peer
from benchmarks.measure import Act, in_turns, seconds

ROOT = Path(__file__).resolve().parent.parent
UNITS = 1000
SHORT_LEN = 4
"""Bytes of an answer that fits one frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. `target` and what was measured are in `unit`; `less` means: smaller is better."""

    what: str
    measured: float
    target: float
    unit: str
    peer: float | None = None
    peer_name: str = ""
    less: bool = False

    @property
    def reached(self) -> bool:
        """Whether the figure is at its target."""
        return self.measured <= self.target if self.less else self.measured >= self.target

    @property
    def ratio(self) -> str:
        """Return how many times the peer, or nothing where there is none."""
        return "" if self.peer is None else f"{self.measured / self.peer:.2f} x"


def _start(*arguments: str) -> float:
    """Return the median seconds of a fresh interpreter that does this, less one that does nothing."""

    def run(*command: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, *command], cwd=ROOT, check=True, capture_output=True)

    return seconds(run(*arguments), rounds=9) - seconds(run("-c", "pass"), rounds=9)


def _exchange_rows() -> Iterator[Row]:
    hand = "can-isotp, by hand"
    one_bus = "(a) single frame, one bus"
    short, many = ours.on_one_bus(SHORT_LEN), ours.on_one_bus(SHORT_LEN, units=UNITS)
    yield _against(one_bus, short, 50_000, peer.pumped_by_hand(SHORT_LEN), hand)
    yield _around(one_bus, short, 50_000, peer.with_its_threads(SHORT_LEN), "can-isotp, its threads")
    yield _alone("(a) single frame, through the gateway", ours.through_gateway(), 18_000)
    theirs = peer.through_udsoncan(SHORT_LEN)
    yield _around("(a) through udsoncan", ours.through_udsoncan(), 11_000, theirs, "udsoncan, can-isotp")
    yield _against("(b) 200-byte answers", ours.on_one_bus(200), 6_000, peer.pumped_by_hand(200), hand)
    yield _against("(c) 4095-byte answers", ours.on_one_bus(4095), 300, peer.pumped_by_hand(4095), hand)
    one_s, many_s = in_turns(short, many)
    what = f"(e) cost a request, {UNITS} units against 1"
    yield Row(what=what, measured=one_s / many_s, target=1.3, unit="times", less=True)


def _chain_rows() -> Iterator[Row]:
    yield _alone("(d) login to unlock, SFD", ours.chains("vag-golf", "cluster"), 300)
    yield _alone("(d) login to unlock, certificate", ours.chains("mb-eclass", "gateway"), 100)
    for what, traffic, target in (("bus silent", False, 20), ("tester present and traffic", True, 1000)):
        measured = ours.expiry(traffic=traffic) * 1e3
        yield Row(what=f"90 minutes, {what}", measured=measured, target=target, unit="ms", less=True)


def _start_rows() -> Iterator[Row]:
    peers = _start("-c", "import udsoncan, can, isotp") * 1e3
    name = "import udsoncan, can, isotp"
    for what, words, target in (
        ("import bench", ("-c", "import bench"), 100),
        ("sgw-bench --help", ("-m", "bench.cli", "--help"), 250),
    ):
        measured = _start(*words) * 1e3
        yield Row(what=what, measured=measured, target=target, unit="ms", peer=peers, peer_name=name, less=True)


def _alone(what: str, act: Act, target: float) -> Row:
    return Row(what=what, measured=in_turns(act)[0], target=target, unit="/s")


def _against(what: str, act: Act, target: float, other: AbstractContextManager[Act], name: str) -> Row:
    """Measure in turns with a peer."""
    with other as theirs:
        measured, peer_s = in_turns(act, theirs)
    return Row(what=what, measured=measured, target=target, unit="/s", peer=peer_s, peer_name=name)


def _around(what: str, act: Act, target: float, other: AbstractContextManager[Act], name: str) -> Row:
    """Measure before and after a peer whose threads, idle or not, would slow down whatever else is measured meanwhile."""
    (before,) = in_turns(act)
    with other as theirs:
        (peer_s,) = in_turns(theirs)
    (after,) = in_turns(act)
    measured = (before + after) / 2
    return Row(what=what, measured=measured, target=target, unit="/s", peer=peer_s, peer_name=name)


def _figure(value: float, unit: str) -> str:
    digits = 0 if value >= 100 else 2
    return f"{value:,.{digits}f} {unit}"


def main() -> None:
    """Measure and print."""
    console = Console(width=None if sys.stdout.isatty() else 150)
    table = Table(title=f"Python {platform.python_version()}, {platform.machine()}, trace digest and witness on")
    for heading in ("", "ours", "to reach", "", "peer", "ours / peer"):
        table.add_column(heading, justify="left" if heading == "" else "right")
    with console.status("measuring") as status:
        for group in (_exchange_rows, _chain_rows, _start_rows):
            status.update(f"measuring {group.__name__.strip('_').replace('_', ' ')}")
            for row in group():
                other = "" if row.peer is None else f"{_figure(row.peer, row.unit)} ({row.peer_name})"
                table.add_row(
                    row.what,
                    _figure(row.measured, row.unit),
                    ("at most " if row.less else "") + _figure(row.target, row.unit),
                    "reached" if row.reached else "[bold red]not reached[/]",
                    other,
                    row.ratio,
                )
    console.print(table)


if __name__ == "__main__":
    main()
