"""The commands `sgw-bench ecu`: profiles of control units from ODX and PDX files, and from recorded traffic."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from rich.console import Console

    from ecu_sim.importing.document import Finding, ProfileDocument
    from ecu_sim.importing.replay import Played
    from ecu_sim.importing.talks import Pair
    from ecu_sim.profile import EcuProfile

app = typer.Typer(
    no_args_is_help=True,
    help="Make profiles of control units from ODX and PDX files, and from traces.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)

SHOWN_FINDINGS = 30
"""Rows of a table on the terminal; the file has them all."""
TRACES = (".log", ".asc", ".blf", ".pcapng")

Output = Annotated[
    Path | None, typer.Option(help="The profile to write (*.yaml); its name comes from the ECU's if you do not say.")
]
Force = Annotated[bool, typer.Option("--force", help="Write over a file that is there.")]
Strict = Annotated[bool, typer.Option("--strict", help="End with status 1 if anything was left out.")]
Address = Annotated[str | None, typer.Option(help="The logical address, such as 0x17; unlocks are bound to it.")]


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A PDX file, or one ODX file (*.odx-d).")],
    *,
    variant: Annotated[str | None, typer.Option(help="Which ECU, if the file describes several.")] = None,
    output: Output = None,
    value: Annotated[
        list[str] | None,
        typer.Option(help="SERVICE.PARAMETER=VALUE, a physical value; dtc.NAME=0x09, a trouble code's status byte."),
    ] = None,
    request_id: Annotated[str | None, typer.Option(help="The CAN identifier of requests, such as 0x714.")] = None,
    response_id: Annotated[str | None, typer.Option(help="The CAN identifier of answers.")] = None,
    functional_id: Annotated[list[str] | None, typer.Option(help="One of functional requests.")] = None,
    address: Address = None,
    strict: Strict = False,
    force: Force = False,
) -> None:
    """Make a profile of what an ODX document describes; what is not understood is listed, on the screen and in the file.

    Exit status: 0 the profile was written, 1 with --strict something was left out, 2 the call or the file was wrong.
    """
    from ecu_sim.importing.from_odx import import_odx  # noqa: PLC0415
    from ecu_sim.importing.link import Identifiers  # noqa: PLC0415
    from wire.errors import LocalMisuse  # noqa: PLC0415

    if file.suffix.lower() in TRACES:
        raise LocalMisuse(f"{file} is a trace; a profile is made of it by: sgw-bench ecu clone {file}")
    ids = Identifiers(
        request_id=_can_id(request_id),
        response_id=_can_id(response_id),
        functional_ids=tuple(_known(_can_id(text)) for text in functional_id or ()),
        address=_number(address, 0xFFFF, "an address"),
    )
    console = _console()
    with _working(console, f"reading {file.name}"):
        document = import_odx(file, variant=variant, ids=ids, values=_values(value or []))
    target = _target(output, str(document.head["title"]), force=force)
    _write(console, document, f"Imported from {file.name}", target)
    if strict and document.left_out:
        raise typer.Exit(1)


@app.command()
def clone(
    trace: Annotated[Path, typer.Argument(help="A trace: candump (.log), ASC, BLF or pcapng.")],
    *,
    request_id: Annotated[str | None, typer.Option(help="The CAN identifier of requests, such as 0x714.")] = None,
    response_id: Annotated[str | None, typer.Option(help="The CAN identifier of answers.")] = None,
    functional_id: Annotated[list[str] | None, typer.Option(help="One of functional requests.")] = None,
    bus: Annotated[
        str | None, typer.Option(help="Which bus (channel) of the trace, if the ECU is heard on several.")
    ] = None,
    output: Output = None,
    title: Annotated[str | None, typer.Option(help="What the profile is called.")] = None,
    address: Address = None,
    take: Annotated[str, typer.Option(help="Which value, where one moved: first or last.")] = "first",
    strict: Strict = False,
    force: Force = False,
) -> None:
    """Make a profile of an ECU that was recorded, one that answers the same; the recording is played against it at once.

    Without identifiers the pairs of the trace are listed, and the only one is taken. Exit status: 0 the profile was written,
    1 with --strict something was left out or is answered otherwise, 2 the call or the file was wrong.
    """
    from ecu_sim.importing.from_trace import clone as clone_talk  # noqa: PLC0415
    from ecu_sim.importing.replay import replay  # noqa: PLC0415
    from ecu_sim.importing.talks import read_talk  # noqa: PLC0415
    from wire.errors import ConfigError, LocalMisuse  # noqa: PLC0415
    from wire.frame import format_can_id  # noqa: PLC0415
    from wire.trace_read import read_trace  # noqa: PLC0415

    if take not in ("first", "last"):
        raise LocalMisuse(f"--take is first or last, not {take!r}")
    console = _console()
    with _working(console, f"reading {trace.name}"):
        pair = _pair(
            console,
            trace,
            _can_id(request_id),
            _can_id(response_id),
            [_known(_can_id(one)) for one in functional_id or ()],
            bus,
        )
        talk = read_talk(read_trace(trace), pair)
    if not any(exchange.answer for exchange in talk.exchanges):
        raise ConfigError(f"{_shown(pair)} never answered", path=str(trace))
    name = title or f"clone of {format_can_id(pair.request_id)}"
    document, moved = clone_talk(
        talk, title=name, take="first" if take == "first" else "last", address=_number(address, 0xFFFF, "an address")
    )
    target = _target(output, name, force=force)
    played = replay(_profile(document, target), talk, moved)
    document.left_out += played.different
    _write(console, document, f"Cloned from {trace.name}, {_shown(pair)}", target, played)
    if strict and document.left_out:
        raise typer.Exit(1)


def _pair(
    console: Console,
    trace: Path,
    request_id: int | None,
    response_id: int | None,
    functional_ids: Sequence[int],
    bus: str | None,
) -> Pair:
    """Return the ECU that is meant: the one that fits what was said, if there is one such in the trace."""
    from ecu_sim.importing.talks import find_pairs  # noqa: PLC0415
    from wire.errors import ConfigError  # noqa: PLC0415
    from wire.trace_read import read_trace  # noqa: PLC0415

    pairs = find_pairs(read_trace(trace))
    fitting = [
        pair
        for pair in pairs
        if request_id in (None, pair.request_id) and response_id in (None, pair.response_id) and bus in (None, pair.bus)
    ]
    if len({(pair.request_id, pair.response_id) for pair in fitting}) == 1:
        pair = max(fitting, key=lambda pair: pair.exchanges)
        if len(fitting) > 1:
            others = ", ".join(other.bus for other in fitting if other is not pair)
            console.print(f"heard on bus {pair.bus}, which is taken, and on {others}; --bus takes another")
        return _with_functional(pair, functional_ids)
    if not pairs:
        raise ConfigError("holds no request that anybody answered over ISO-TP", path=str(trace))
    _list_pairs(console, fitting or pairs)
    if fitting:
        raise ConfigError("holds several ECUs; say which by --request-id and --response-id", path=str(trace))
    raise ConfigError("holds no such ECU", path=str(trace))


def _with_functional(pair: Pair, functional_ids: Sequence[int]) -> Pair:
    from dataclasses import replace  # noqa: PLC0415

    return replace(pair, functional_ids=tuple(functional_ids)) if functional_ids else pair


def _list_pairs(console: Console, pairs: Iterable[Pair]) -> None:
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("bus", "answers", "as options"):
        table.add_column(heading, no_wrap=True)
    for pair in pairs:
        table.add_row(
            escape(pair.bus),
            str(pair.exchanges),
            f"--request-id {pair.request_id:#x} --response-id {pair.response_id:#x}",
        )
    console.print(table)


def _shown(pair: Pair) -> str:
    from wire.frame import format_can_id  # noqa: PLC0415

    return f"{format_can_id(pair.request_id)}/{format_can_id(pair.response_id)} on {pair.bus}"


def _write(
    console: Console, document: ProfileDocument, source: str, target: Path, played: Played | None = None
) -> None:
    """Write the file, once it is known to load, and say what is in it, what is not, and how to go on."""
    from rich.markup import escape  # noqa: PLC0415

    from ecu_sim.importing.yaml_text import yaml_text  # noqa: PLC0415

    _profile(document, target)
    target.write_text(yaml_text(document, source), encoding="utf-8")
    _table(console, "chosen", document.chosen, "yellow")
    _table(console, "cannot be as in the trace", played.unlike if played else (), "yellow")
    _table(console, "not imported", document.left_out, "bold red")
    console.print(f"{escape(str(target))}: {escape(document.summary())}", soft_wrap=True)
    if played is not None:
        console.print(played.summary())
    name = re.sub(r"[^a-z0-9]+", "-", target.stem.lower()).strip("-") or "ecu"
    console.print("\nuse it in a vehicle file beside it, under 'ecus' (an identifier may stand once in a vehicle):")
    console.print(f"  {name}: {{profile: {escape(target.name)}, bus: body}}", soft_wrap=True)
    console.print("then try: sgw-bench serve --vehicle my-car.yaml", soft_wrap=True)


def _profile(document: ProfileDocument, target: Path) -> EcuProfile:
    """Read what would be written: a file that does not load is never made."""
    from ecu_sim.importing.yaml_text import yaml_text  # noqa: PLC0415
    from ecu_sim.profile_file import read_profile  # noqa: PLC0415
    from wire.errors import ConfigError  # noqa: PLC0415
    from wire.strict_yaml import MAX_FILE_BYTES, loads  # noqa: PLC0415

    text = yaml_text(document, "")
    if len(text.encode()) > MAX_FILE_BYTES:
        raise ConfigError(
            f"would have more than {MAX_FILE_BYTES} bytes, and such a profile is not read", path=str(target)
        )
    return read_profile(loads(text, str(target)), target.stem)


def _table(console: Console, heading: str, findings: Sequence[Finding], style: str) -> None:
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from ecu_sim.importing.document import clean  # noqa: PLC0415

    if not findings:
        return
    table = Table(box=None, pad_edge=False, header_style=style)
    table.add_column(heading, no_wrap=True)
    table.add_column("name", overflow="fold")
    table.add_column("why", overflow="fold")
    for finding in findings[:SHOWN_FINDINGS]:
        table.add_row(escape(clean(finding.kind)), escape(clean(finding.name)), escape(clean(finding.why, limit=300)))
    console.print(table)
    if len(findings) > SHOWN_FINDINGS:
        console.print(f"... and {len(findings) - SHOWN_FINDINGS} more; the file lists all")
    console.print()


def _target(output: Path | None, title: str, *, force: bool) -> Path:
    from wire.errors import LocalMisuse  # noqa: PLC0415

    stem = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "ecu"
    target = output or Path(f"{stem[:60]}.yaml")
    if target.suffix != ".yaml":
        raise LocalMisuse(f"a profile's name ends in .yaml, not as in {str(target)!r}")
    if target.exists() and not force:
        raise LocalMisuse(f"{target} is there already; --force writes over it, --output takes another name")
    return target


def _values(pairs: Sequence[str]) -> dict[str, str]:
    from wire.errors import LocalMisuse  # noqa: PLC0415

    values = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise LocalMisuse(f"a value is SERVICE.PARAMETER=VALUE, not {pair!r}")
        values[name] = text
    return values


def _can_id(text: str | None) -> int | None:
    """Read a CAN identifier in hex; one of 29 bits may be written with bit 31 or without."""
    from wire.frame import EXTENDED, EXTENDED_MASK, STANDARD_MASK  # noqa: PLC0415

    number = _number(text, EXTENDED | EXTENDED_MASK, "a CAN identifier")
    if number is None or number <= STANDARD_MASK or number >= EXTENDED:
        return number
    return _number(text, EXTENDED_MASK, "a CAN identifier", also=EXTENDED)


def _number(text: str | None, high: int, what: str, *, also: int = 0) -> int | None:
    from wire.errors import LocalMisuse  # noqa: PLC0415

    if text is None:
        return None
    number = int(text, 16) if re.fullmatch(r"0[xX][0-9A-Fa-f]{1,8}", text) else -1
    if not 0 <= number <= high:
        raise LocalMisuse(f"{what} is written in hex and at most {high:#x}, as in 0x714, not {text!r}")
    return number | also


def _known(number: int | None) -> int:
    assert number is not None
    return number


def _console() -> Console:
    from bench.report.terminal import make_console  # noqa: PLC0415

    return make_console()


def _working(console: Console, what: str) -> AbstractContextManager[object]:
    from contextlib import nullcontext  # noqa: PLC0415

    from rich.markup import escape  # noqa: PLC0415

    return console.status(escape(what)) if console.is_terminal else nullcontext()
