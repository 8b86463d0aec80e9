"""The commands around a served car: `serve`, `watch`, `control`."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bench.live.client import ControlClient

BenchOption = Annotated[
    str, typer.Option("--bench", help="A ready bench file by name (vcan, udp ...) or a file of your own.")
]
ControlOption = Annotated[
    Path | None, typer.Option("--control", help="The control socket; by default as the bench file says.")
]


def serve(
    *,
    bench: BenchOption = "vcan",
    vehicle: Annotated[str | None, typer.Option(help="Another vehicle than the bench file's, by name or file.")] = None,
    control: ControlOption = None,
    keys: Annotated[
        str | None, typer.Option(help="Where the car reads the back end's public keys: a file or a URL.")
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(help="Record every bus into this folder, the newest files only.")
    ] = None,
    trace_format: Annotated[str, typer.Option(help="candump, asc, blf, pcapng; several with commas.")] = "candump",
    trace_file_bytes: Annotated[
        int, typer.Option(min=65_536, help="A trace file's size before the next one begins.")
    ] = 67_108_864,
    trace_files: Annotated[int, typer.Option(min=1, help="How many trace files of each format are kept.")] = 16,
    plain: Annotated[
        bool, typer.Option("--plain", help="No live view: one line of log for what is worth knowing.")
    ] = False,
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True)] = False,
) -> None:
    """Serve the simulated car on real carriers, for testers of any make, until Ctrl-C or SIGTERM.

    In a terminal a live view shows the gateway, locks, requests and buses; `--plain` and a pipe get a log.
    """
    import sys  # noqa: PLC0415

    from bench.bench_file import load_bench  # noqa: PLC0415
    from bench.live.recording import Recording  # noqa: PLC0415
    from bench.live.serve import ServeOptions, check_served  # noqa: PLC0415
    from bench.live.serve import serve as serve_until_end  # noqa: PLC0415
    from wire.trace_files import read_formats  # noqa: PLC0415

    spec = load_bench(bench)
    check_served(spec)
    recording = None
    if trace is not None:
        recording = Recording(
            folder=trace,
            formats=read_formats(trace_format),
            max_file_bytes=trace_file_bytes,
            max_files=trace_files,
        )
    options = ServeOptions(vehicle=vehicle, control=control, keys=keys, recording=recording, with_parent=with_parent)
    if plain or with_parent or not sys.stdout.isatty():
        serve_until_end(spec, options)
    else:
        from bench.live.places import control_path  # noqa: PLC0415

        _serve_with_view(control or control_path(spec))


def _serve_with_view(control: Path) -> None:
    """Run the same command as a child without a view, and watch it through its control socket."""
    import subprocess  # noqa: PLC0415
    import sys  # noqa: PLC0415
    import threading  # noqa: PLC0415

    from rich.console import Console  # noqa: PLC0415

    from bench.live.client import ControlClient  # noqa: PLC0415
    from bench.live.view import LOG_LINES, watch  # noqa: PLC0415

    command = [sys.executable, "-m", "bench.cli", *sys.argv[1:], "--plain", "--with-parent"]
    child = subprocess.Popen(  # noqa: S603 - our own command  # nosec B603
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    said: deque[str] = deque(maxlen=LOG_LINES)
    stderr = child.stderr
    reader = threading.Thread(target=lambda: said.extend(line.rstrip() for line in stderr), daemon=True)
    reader.start()
    if child.stdout.readline() == "ready\n":
        client = ControlClient(control)
        try:
            watch(client, Console(), lambda: list(said))
        except KeyboardInterrupt:
            pass
        finally:
            client.close()
            child.stdin.close()
    status = child.wait()
    reader.join()
    for line in said:
        typer.echo(line, err=True)
    if status:
        raise typer.Exit(status)


def benches() -> None:
    """List the ready bench files: where car, tester and portal may stand."""
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from bench.bench_file import FOLDER, bench_names, load_bench  # noqa: PLC0415
    from bench.report.terminal import make_console  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("--bench", "what stands where", "the car is"):
        table.add_column(heading)
    for name in bench_names():
        spec = load_bench(name)
        table.add_row(name, escape(spec.title), spec.car.value)
    console = make_console()
    console.print(table)
    console.print(f"[dim]Copy one from {escape(str(FOLDER))} to make your own.[/]", soft_wrap=True)


def watch(*, bench: BenchOption = "vcan", control: ControlOption = None) -> None:
    """Watch a car that is served, in this terminal; Ctrl-C ends the watching and not the car."""
    from rich.console import Console  # noqa: PLC0415

    from bench.live.view import watch as watch_until_end  # noqa: PLC0415

    client = _client(bench, control)
    try:
        watch_until_end(client, Console())
    except KeyboardInterrupt:
        return
    finally:
        client.close()


def control_(
    lines: Annotated[list[str], typer.Argument(help="Verbs as in scenarios: 'vehicle: {bonnet: open}', 'state', ...")],
    *,
    bench: BenchOption = "vcan",
    control: ControlOption = None,
) -> None:
    """Do something to a car that is served: open its bonnet, turn the ignition, put faults on its wire, ask for its state."""
    import json  # noqa: PLC0415

    client = _client(bench, control)
    try:
        for line in lines:
            answer = client.line(line)
            typer.echo(answer if isinstance(answer, str) else json.dumps(answer, indent=1))
    finally:
        client.close()


def _client(bench: str, control: Path | None) -> ControlClient:
    from bench.bench_file import load_bench  # noqa: PLC0415
    from bench.live.client import ControlClient  # noqa: PLC0415
    from bench.live.places import control_path  # noqa: PLC0415

    return ControlClient(control or control_path(load_bench(bench)))
