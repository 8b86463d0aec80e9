"""The live view of a served car in the terminal: a client of its control socket like any other, in a process of its own.

Drawing takes milliseconds, which no control unit has: so the car never draws.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bench.live.client import ControlClient, ServerLost
from bench.report.terminal import format_duration

LOOK_S = 0.25
LOG_LINES = 6
LOCK_STYLE = {"open": "bold green", "locked": "red"}
FILTER_STYLE = {"armed": "red", "locked": "red", "disarmed": "bold green", "open": "bold green"}
State = Mapping[str, Any]


def watch(client: ControlClient, console: Console, log: Callable[[], Sequence[str]] = lambda: ()) -> None:
    """Show the car until it ends (returns) or Ctrl-C (raises `KeyboardInterrupt`)."""
    pause = threading.Event()
    with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
        while True:
            try:
                state = cast("State", client.line("state"))
            except ServerLost:
                return
            live.update(draw(state, log()), refresh=True)
            pause.wait(LOOK_S)


def draw(state: State, log: Iterable[str] = ()) -> RenderableType:
    """Return the picture of one state."""
    parts: list[RenderableType] = [_head(state), _units(state), _buses(state), _requests(state)]
    troubles = [*(f"witness: {text}" for text in state["violations"]), *state["faults"][-3:]]
    if troubles:
        parts.append(
            Panel(Text("\n".join(troubles), style="red"), title="trouble", title_align="left", border_style="red")
        )
    lines = list(log)[-LOG_LINES:]
    if lines:
        parts.append(
            Panel(
                Text("\n".join(lines), style="dim", overflow="ellipsis", no_wrap=True), title="log", title_align="left"
            )
        )
    return Group(*parts)


def _head(state: State) -> RenderableType:
    words = [
        f"gateway [{FILTER_STYLE[state['filter']]}]{state['filter']}[/]",
        f"bonnet {state['bonnet']}",
        f"ignition {'on' if state['ignition'] else 'off'}",
        f"{state['supply_mv'] / 1000:.1f} V",
        f"{state['odometer_km']:,} km",
        f"{state['speed_kmh']} km/h",
    ]
    if state["asleep"]:
        words.append("[yellow]asleep[/]")
    words.append("[green]tester at the socket[/]" if state["tester"] else "[dim]nobody at the socket[/]")
    memory = "" if state["memory_kib"] is None else f"  {state['memory_kib'] / 1024:.0f} MiB"
    late = f"{state['overruns']} deadlines late (worst {state['worst_overrun_ms']} ms)"
    guests = f"  {state['guests']} guests" if state["guests"] else ""
    trace = state["trace"]
    recorded = f"  recording {trace['frames']:,} frames" if trace else ""
    up = format_duration(int(state["up_s"] * 1e9))
    foot = f"[dim]up {up}  {state['request_count']:,} requests  {late}{memory}{guests}{recorded}[/]"
    title = f"{escape(state['title'])}  {state['vin']}  [dim]bench {escape(state['bench'])}[/]"
    return Panel(
        Text.from_markup("   ".join(words) + "\n" + foot), title=title, title_align="left", border_style="blue"
    )


def _units(state: State) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bold", expand=False)
    for heading in ("unit", "lock", "left", "session", "level"):
        table.add_column(heading)
    for unit in state["units"]:
        lock = "" if unit["lock"] is None else f"[{LOCK_STYLE[unit['lock']]}]{unit['lock']}[/]"
        left = "" if unit["minutes_left"] is None else f"{unit['minutes_left']} min"
        session = unit["session"].removesuffix("Session") if unit["reachable"] else "[dim]not reachable[/]"
        if unit["busy"]:
            session += " [yellow]busy[/]"
        level = "" if unit["level"] is None else f"{unit['level']:02X}"
        table.add_row(escape(unit["name"]), lock, left, session, level)
    return table


def _buses(state: State) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("bus")
    table.add_column("load", justify="right")
    table.add_column("", width=20)
    table.add_column("frames/s", justify="right")
    table.add_column("frames", justify="right")
    for bus in state["buses"]:
        filled = min(20, round(20 * bus["load"]))
        bar = f"[blue]{'█' * filled}[/][dim]{'░' * (20 - filled)}[/]"
        table.add_row(
            escape(bus["name"]), f"{100 * bus['load']:.1f} %", bar, f"{bus['frames_per_s']:,.0f}", f"{bus['frames']:,}"
        )
    return table


def _requests(state: State) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("last requests", "to", "asked", "answered"):
        table.add_column(heading, no_wrap=True, overflow="ellipsis")
    for line in state["requests"]:
        ago = format_duration(int(line["ago_s"] * 1e9)) if line["ago_s"] >= 1 else "now"
        times = f" x{line['repeats']}" if line["repeats"] > 1 else ""
        style = "red" if line["answer"].startswith("7F") else ""
        answer = Text(line["answer"] or "-", style=style)
        table.add_row(f"{ago} ago" if ago != "now" else ago, escape(line["unit"]), f"{line['request']}{times}", answer)
    return table
