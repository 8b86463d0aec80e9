"""The commands `portal audit ...`: whether the log is as it was written, and the log as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli_portal_database import DEFAULT_DATA, Data, Database

app = typer.Typer(help="The portal's audit log: verify it, export it.", no_args_is_help=True)


@app.command()
def verify(data: Data = DEFAULT_DATA, *, database: Database = "") -> None:
    """Check the log's chain to its end. Exit status 1 where it does not hold: the first record that does not is named."""
    from portal_sim.audit_chain import first_broken  # noqa: PLC0415
    from portal_sim.service import opened_log  # noqa: PLC0415

    with opened_log(data, database) as (reading, chain):
        log, head = reading.audit(), reading.audit_head()
    broken = first_broken(chain, log, head)
    if broken is None:
        typer.echo(f"the audit log holds: {len(log)} records, none changed, none missing")
        return
    named = next((entry.record for entry in log if entry.position == broken.position), None)
    what = "" if named is None else f" ({named.audit_id}: {named.action}, {named.person or 'operators'})"
    typer.echo(f"the audit log does not hold: record {broken.position}{what}: {broken.reason}", err=True)
    raise typer.Exit(1)


@app.command()
def export(
    data: Data = DEFAULT_DATA,
    *,
    database: Database = "",
    out: Annotated[Path | None, typer.Option(help="The file to write; standard output unless told.")] = None,
) -> None:
    """Write the log as JSON lines, oldest first: position, digest (hex) and the record."""
    import json  # noqa: PLC0415

    from portal_sim.service import opened_log  # noqa: PLC0415
    from wire.plain import to_plain  # noqa: PLC0415

    with opened_log(data, database) as (reading, _):
        log = reading.audit()
    lines = (json.dumps(to_plain(entry), ensure_ascii=False) for entry in log)
    text = "".join(f"{line}\n" for line in lines)
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
        typer.echo(f"{len(log)} records in {out}")
