"""The command `sgw-bench`. Heavy parts load inside the commands, so that --help is quick.

Exit status: 0 all passed (skips included), 1 a scenario failed, 2 the call or a file was wrong, 130 interrupted.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bench import cli_portal, cli_serve, cli_vci

INTERRUPTED = 130
"""The exit status of a program that Ctrl-C ended: 128 and the number of SIGINT."""

app = typer.Typer(
    name="sgw-bench",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,  # plain help is on the screen in half the time
)

app.add_typer(cli_vci.app, name="vci")


def _say_version(wanted: bool) -> None:  # noqa: FBT001 - typer's signature
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415

        typer.echo(f"sgw-bench {version('sgw-bench')}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version and exit.")
    ] = False,
) -> None:
    """Simulated vehicle security gateways, and the chain that opens them: login, token, unlock, work, re-lock."""


Targets = Annotated[
    list[str] | None,
    typer.Argument(
        help="Names of the library or patterns of them ('mb-*'), tags (@sfd), files or folders; all of the library if none."
    ),
]


@app.command()
def run(
    targets: Targets = None,
    *,
    seed: Annotated[int, typer.Option(help="The seed of the first turn; it alone decides everything random.")] = 0,
    repeat: Annotated[int, typer.Option(min=1, help="Play each scenario so often, with seeds counting up.")] = 1,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML to this file.")] = None,
    trace: Annotated[Path | None, typer.Option(help="Write traces into this folder.")] = None,
    trace_format: Annotated[
        str | None, typer.Option(help="Which traces: candump,asc,blf,pcapng (all of them unless told).")
    ] = None,
    bench: Annotated[
        str,
        typer.Option(help="Where it plays: a ready bench file by name (virtual, vcan, udp ...) or one of your own."),
    ] = "virtual",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every step.")] = False,
) -> None:
    """Play scenarios and check each step, with the witness watching.

    Exit status: 0 all passed (skips included), 1 a scenario failed, 2 the call or a file was wrong, 130 interrupted.
    """
    from rich.markup import escape  # noqa: PLC0415

    from bench.bench_file import DEFAULT_BENCH, VIRTUAL, load_bench  # noqa: PLC0415
    from bench.report.junit import check_writable, write_junit  # noqa: PLC0415
    from bench.report.progress import RunProgress  # noqa: PLC0415
    from bench.report.terminal import make_console, print_runs  # noqa: PLC0415
    from bench.runner import Run  # noqa: PLC0415
    from bench.runner import run as run_all  # noqa: PLC0415
    from scenarios.library import find  # noqa: PLC0415

    console = make_console()
    scenarios, file = find(targets or []), VIRTUAL if bench == DEFAULT_BENCH else load_bench(bench)
    formats = _trace_formats(trace_format, trace)
    if trace is not None:
        trace.mkdir(parents=True, exist_ok=True)
    if junit is not None:
        check_writable(junit)
    runs: list[Run] = []
    interrupted = False
    total = len(scenarios) * repeat
    try:
        with RunProgress(console, total, steps_of=scenarios if verbose else None, seed=seed, repeat=repeat) as progress:
            for done in run_all(
                scenarios,
                seed=seed,
                repeat=repeat,
                trace_dir=trace,
                trace_formats=formats,
                on_step=progress.step,
                bench=file,
            ):
                runs.append(done)
                progress.done(done)
    except KeyboardInterrupt:
        interrupted = True
    print_runs(console, runs)
    if interrupted:
        console.print(f"interrupted after {len(runs)} of {total}")
    if trace is not None:
        console.print(f"traces in {escape(str(trace))}", soft_wrap=True)
    if junit is not None:
        write_junit(runs, junit)
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    if any(each.failed for each in runs):
        raise typer.Exit(1)


def _trace_formats(text: str | None, folder: Path | None) -> tuple[str, ...]:
    """Return the formats that traces are wanted in."""
    from wire.trace_files import ALL_FORMATS, read_formats  # noqa: PLC0415

    if text is None:
        return ALL_FORMATS
    if folder is None:
        raise typer.BadParameter("no trace is written without --trace DIR", param_hint="'--trace-format'")
    return read_formats(text)


@app.command("list")
def list_(targets: Targets = None) -> None:
    """List scenarios with what they show; a tag (@sfd) chooses all that have it."""
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from bench.report.terminal import make_console  # noqa: PLC0415
    from scenarios.library import find  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("scenario", no_wrap=True)
    table.add_column("what it shows, and its tags", overflow="fold")
    for scenario in find(targets or []):
        tags = " ".join(f"@{tag}" for tag in scenario.tags)
        table.add_row(escape(scenario.name), f"{escape(scenario.title)} [dim]{escape(tags)}[/]")
    make_console().print(table)


@app.command()
def demo(
    *,
    seed: Annotated[int, typer.Option(help="Another seed, other keys and nonces.")] = 0,
) -> None:
    """Watch the whole chain, from sign-up to re-lock, for both makes."""
    from bench.demo import tell  # noqa: PLC0415

    if tell(seed):
        raise typer.Exit(1)


@app.command()
def schema() -> None:
    """Print the JSON Schema of scenario files, for editors."""
    import json  # noqa: PLC0415

    from scenarios.schema import scenario_schema  # noqa: PLC0415

    typer.echo(json.dumps(scenario_schema(), indent=2))


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
def ecu(context: typer.Context) -> None:
    """Make profiles of control units from ODX and PDX files (import), and from traces (clone)."""
    from bench import cli_ecu  # noqa: PLC0415 - its many options would slow down every other command's start

    cli_ecu.app(args=context.args, prog_name=f"{context.parent.info_name if context.parent else 'sgw-bench'} ecu")


app.command()(cli_serve.benches)
app.command()(cli_serve.serve)
app.command()(cli_serve.watch)
app.command("control")(cli_serve.control_)
app.add_typer(cli_portal.app, name="portal")


def main() -> None:
    """Run the command line; a file or call that is wrong ends in one sentence and status 2."""
    from wire.errors import BenchError  # noqa: PLC0415

    try:
        app()
    except BenchError as error:
        typer.echo(f"sgw-bench: {error}", err=True)
        sys.exit(2)
    except OSError as error:
        problem = "is a file, a folder is needed" if isinstance(error, FileExistsError) else error.strerror or error
        typer.echo(f"sgw-bench: {error.filename or 'output'}: {problem}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
