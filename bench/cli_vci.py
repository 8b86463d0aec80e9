"""The commands `sgw-bench vci`: which drivers and adapters there are, and whether a driver keeps the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vci_driver.contract import Result, Setup

app = typer.Typer(no_args_is_help=True, help="Look at VCI drivers and adapters, and check a driver of one's own.")

PLUG_PATIENCE_S = 30
"""A command that pulls or puts back a plug and takes longer than this hangs."""


@app.command("list")
def list_() -> None:
    """List the drivers, and the channels that can be opened now, each with its line for a bench file."""
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from bench.report.terminal import make_console  # noqa: PLC0415
    from vci_driver.registry import DRIVERS, detect, driver, driver_names  # noqa: PLC0415
    from wire.errors import CarrierFault  # noqa: PLC0415

    console = make_console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("driver", no_wrap=True)
    table.add_column("from", no_wrap=True)
    table.add_column("what it opens", overflow="fold")
    for name in driver_names():
        try:
            about = _first_line(driver(name))
        except CarrierFault as fault:
            about = f"[bold red]cannot be loaded[/]: {escape(str(fault))}"
        else:
            about = escape(about)
        table.add_row(escape(name), "sgw-bench" if name in DRIVERS else "a package", about)
    console.print(table)
    found, failed = detect()
    console.print()
    console.print("[bold]channels, as a bench file names them[/]" if found else "no channel was detected")
    for channel in found:
        console.print(f"  tester: {escape(_flow(channel.driver, channel.channel, channel.options))}", soft_wrap=True)
        console.print(f"    [dim]{escape(channel.description)}[/]", soft_wrap=True)
    for name, why in failed.items():
        console.print(f"[bold red]could not look[/] {escape(name)}: {escape(str(why))}", soft_wrap=True)


@app.command()
def check(
    driver: Annotated[str, typer.Argument(help="The driver's name: see 'sgw-bench vci list'.")],
    *,
    channel: Annotated[str, typer.Option(help="The channel to check.")] = "",
    peer: Annotated[str, typer.Option(help="A second channel on the same bus; without it much is skipped.")] = "",
    option: Annotated[list[str] | None, typer.Option(help="KEY=VALUE for both channels; the value is YAML.")] = None,
    peer_option: Annotated[list[str] | None, typer.Option(help="KEY=VALUE for the peer alone.")] = None,
    peer_driver: Annotated[str, typer.Option(help="The peer's driver, if it is another.")] = "",
    fd: Annotated[bool | None, typer.Option("--fd/--no-fd", help="Both carry CAN FD; default: they say so.")] = None,
    missing: Annotated[
        str | None, typer.Option(help="A channel that is not there; '' where every name is one.", show_default=False)
    ] = None,
    unplug: Annotated[
        str, typer.Option(help="A command that breaks the channel, such as 'ip link set can0 down'.")
    ] = "",
    replug: Annotated[str, typer.Option(help="A command that mends it.")] = "",
    virtual_time: Annotated[bool, typer.Option("--virtual-time", help="Open the channels in virtual time.")] = False,
) -> None:
    """Check a driver against the contract of raw channels, row by row.

    Nothing else may send on the bus meanwhile. Exit status: 0 all passed (skips included), 1 a row failed, 2 the call was
    wrong or the channel cannot be opened, 130 interrupted.
    """
    from vci_driver.contract import VIRTUAL, Place, Setup, Verdict, run_contract  # noqa: PLC0415
    from wire.errors import LocalMisuse  # noqa: PLC0415

    options, of_peer = _options(option or []), _options(peer_option or [])
    if driver == "virtual":
        setup = VIRTUAL
    elif not channel:
        raise LocalMisuse(f"which channel of {driver!r}? Say --channel, and --peer for a second one on its bus")
    else:
        other = Place(
            driver=peer_driver or driver, channel=peer, options=of_peer if peer_driver else {**options, **of_peer}
        )
        setup = Setup(
            one=Place(driver=driver, channel=channel, options=options),
            peer=other if peer else None,
            virtual=virtual_time,
            fd=fd,
            missing=missing,
            unplug=(lambda _: _shell(unplug)) if unplug else None,
            replug=(lambda: _shell(replug)) if replug else None,
        )
    _open_once(setup)
    results = [_told(result) for result in run_contract(setup)]
    _summary(driver, results)
    if any(result.verdict is Verdict.FAILED for result in results):
        raise typer.Exit(1)


def _open_once(setup: Setup) -> None:
    """Open and close: what cannot be opened at all is one sentence and status 2, and no row."""
    from vci_driver.contract import open_rig  # noqa: PLC0415
    from wire.errors import BenchError  # noqa: PLC0415

    try:
        with open_rig(setup):
            pass
    except BenchError:
        raise
    except Exception:  # noqa: BLE001 - a driver that raises something else has its rows say so
        return


def _told(result: Result) -> Result:
    """Print a row as soon as it is known: on hardware one may take its time."""
    from rich.markup import escape  # noqa: PLC0415

    from bench.report.terminal import make_console  # noqa: PLC0415
    from vci_driver.contract import Verdict  # noqa: PLC0415

    style = {Verdict.PASSED: "green", Verdict.FAILED: "bold red", Verdict.SKIPPED: "yellow"}[result.verdict]
    word, took = f"[{style}]{result.verdict.value:7}[/]", f"{result.took_s * 1000:6.0f} ms"
    make_console().print(f"{word} {took}  {result.check.name:20} {escape(_why(result))}", soft_wrap=True)
    return result


def _why(result: Result) -> str:
    from vci_driver.contract import Verdict  # noqa: PLC0415

    return {
        Verdict.PASSED: result.check.proves,
        Verdict.FAILED: f"{result.reason} (expected: {result.check.proves})",
        Verdict.SKIPPED: result.reason,
    }[result.verdict]


def _summary(driver: str, results: list[Result]) -> None:
    from collections import Counter  # noqa: PLC0415

    from vci_driver.contract import Verdict  # noqa: PLC0415

    counts = Counter(result.verdict for result in results)
    said = ", ".join(f"{counts[verdict]} {verdict.value}" for verdict in Verdict if counts[verdict])
    typer.echo(f"\n{driver}: {said}")


def _options(pairs: list[str]) -> dict[str, object]:
    """Read KEY=VALUE pairs; a value is a YAML scalar, so that numbers and true are what they look like."""
    import yaml  # noqa: PLC0415

    from wire.errors import LocalMisuse  # noqa: PLC0415

    options: dict[str, object] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise LocalMisuse(f"an option is KEY=VALUE, such as bitrate=500000, not {pair!r}")
        try:
            options[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            options[key] = value
    return options


def _first_line(driver: object) -> str:
    """Return the first sentence of what a driver says of itself: of its class, which is often a line, else of its module."""
    import inspect  # noqa: PLC0415

    return (inspect.getdoc(type(driver)) or "").split("\n", maxsplit=1)[0]


def _flow(driver: str, channel: str, options: Mapping[str, object]) -> str:
    """Write a channel as one line of YAML."""
    import yaml  # noqa: PLC0415

    place: dict[str, object] = {"driver": driver, "channel": channel}
    plain = {
        key: value if isinstance(value, bool | int | float | str) else str(value) for key, value in options.items()
    }
    if plain:
        place["options"] = plain
    return yaml.safe_dump(place, default_flow_style=True, sort_keys=False, width=10_000).strip()


def _shell(command: str) -> None:
    import subprocess  # noqa: PLC0415

    from wire.errors import LocalMisuse  # noqa: PLC0415

    done = subprocess.run(  # noqa: S602 - the person's own command line  # nosec B602
        command, shell=True, capture_output=True, text=True, timeout=PLUG_PATIENCE_S, check=False
    )
    if done.returncode:
        raise LocalMisuse(f"the command {command!r} ended with {done.returncode}: {done.stderr.strip()}")
