"""The commands `portal database ...`: which version of the schema a database has, and the way to the newest one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The portal's database: look at its version, bring it to the newest one.", no_args_is_help=True)

Data = Annotated[Path, typer.Option(help="The portal's data folder.")]
Database = Annotated[
    str,
    typer.Option(
        help="The URL: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME; the file in the data folder unless told."
    ),
]
DEFAULT_DATA = Path("sgw-portal")


@app.command()
def upgrade(data: Data = DEFAULT_DATA, *, database: Database = "") -> None:
    """Bring a database to the newest version. What is in it stays; it happens whole or not at all. Make a copy first."""
    from portal_sim.service import database_url  # noqa: PLC0415
    from portal_sim.sql import schema  # noqa: PLC0415
    from portal_sim.sql.engine import opened  # noqa: PLC0415

    with opened(database_url(data, database)) as engine:
        before, after = schema.upgrade(engine)
    typer.echo(f"version {after} already" if before == after else f"version {before or 'none'} is now {after}")


@app.command()
def version(data: Data = DEFAULT_DATA, *, database: Database = "") -> None:
    """Say which version a database has, and which is the newest. Exit status 1 where they differ."""
    from portal_sim.service import database_url  # noqa: PLC0415
    from portal_sim.sql import schema  # noqa: PLC0415
    from portal_sim.sql.engine import opened  # noqa: PLC0415

    with opened(database_url(data, database)) as engine:
        found, newest = schema.version_of(engine), schema.versions()[-1]
    typer.echo(f"version {found or 'none'}, newest {newest}")
    if found != newest:
        raise typer.Exit(1)
