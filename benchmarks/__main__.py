"""`make benchmark`: ours and the peer in one run, as ratios. Ours has trace digest and witness on.

Rates on a shared machine move by tens of percent from minute to minute; the ratio of two rows of one run does not.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import ours, peer
from benchmarks.measure import Rate, seconds

ROOT = Path(__file__).resolve().parent.parent
UNITS = 1000


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


def _exchange_rows() -> list[Row]:
    by_hand, threads = peer.pumped_by_hand(7), peer.with_its_threads(7)
    ours_one = ours.on_one_bus(4)
    one_unit = ours_one.per_s
    many_units = ours.on_one_bus(4, units=UNITS).per_s
    rows = [
        _rate("(a) single frame, one bus", ours_one, 50_000, by_hand, "can-isotp, by hand"),
        _rate("(a) single frame, one bus", ours_one, 50_000, threads, "can-isotp, its threads"),
        _rate("(a) single frame, through the gateway", ours.through_gateway(), 18_000),
        _rate("(a) through udsoncan", ours.through_udsoncan(), 11_000, peer.through_udsoncan(7), "udsoncan, can-isotp"),
        _rate("(b) 200-byte answers", ours.on_one_bus(200), 6_000, peer.pumped_by_hand(200), "can-isotp, by hand"),
        _rate("(c) 4095-byte answers", ours.on_one_bus(4095), 300, peer.pumped_by_hand(4095), "can-isotp, by hand"),
    ]
    cost = Row(
        what=f"(e) cost a request, {UNITS} units against 1",
        measured=one_unit / many_units,
        target=1.3,
        unit="times",
        less=True,
    )
    return [*rows, cost]


def _chain_rows() -> list[Row]:
    return [
        _rate("(d) login to unlock, SFD", ours.chains("vag-golf", "cluster"), 300),
        _rate("(d) login to unlock, certificate", ours.chains("mb-eclass", "gateway"), 100),
        Row(what="90 minutes, bus silent", measured=ours.expiry(traffic=False) * 1e3, target=20, unit="ms", less=True),
        Row(
            what="90 minutes, tester present and traffic",
            measured=ours.expiry(traffic=True) * 1e3,
            target=1000,
            unit="ms",
            less=True,
        ),
    ]


def _start_rows() -> list[Row]:
    peers = _start("-c", "import udsoncan, can, isotp") * 1e3
    imports = _start("-c", "import bench") * 1e3
    command = _start("-m", "bench.cli", "--help") * 1e3
    name = "import of udsoncan, can, isotp"
    return [
        Row(what="import bench", measured=imports, target=100, unit="ms", peer=peers, peer_name=name, less=True),
        Row(what="sgw-bench --help", measured=command, target=250, unit="ms", peer=peers, peer_name=name, less=True),
    ]


def _rate(what: str, measured: Rate, target: float, other: Rate | None = None, name: str = "") -> Row:
    other_s = None if other is None else other.per_s
    return Row(what=what, measured=measured.per_s, target=target, unit="/s", peer=other_s, peer_name=name)


def _figure(value: float, unit: str) -> str:
    digits = 0 if value >= 100 else 2
    return f"{value:,.{digits}f} {unit}"


def main() -> None:
    """Measure and print."""
    console = Console(width=None if sys.stdout.isatty() else 130)
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
