"""The command `portal`: the identity portal as a service, for benches whose file says `portal: {at: URL}`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench import cli_portal_audit, cli_portal_database
from bench.cli_portal_database import DEFAULT_DATA

DEFAULT_PORT = 8443

app = typer.Typer(
    help="Run the identity portal over HTTP until Ctrl-C or SIGTERM; look after its audit log and its database.",
    invoke_without_command=True,
    rich_markup_mode=None,
)
app.add_typer(cli_portal_audit.app, name="audit")
app.add_typer(cli_portal_database.app, name="database")


@app.callback()
def portal(
    context: typer.Context,
    *,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="The TCP port; 0 takes one that is free.")
    ] = DEFAULT_PORT,
    data: Annotated[
        Path, typer.Option(help="The folder for keys, database, mail and media; made where there is none.")
    ] = DEFAULT_DATA,
    database: Annotated[
        str,
        typer.Option(
            help="Where accounts are kept: sqlite:///FILE (a file in the data folder unless told), "
            "postgresql://USER:PASSWORD@HOST/NAME, or memory: for none that lasts."
        ),
    ] = "",
    smtp: Annotated[
        str | None,
        typer.Option(
            help="The mail server: smtp://HOST:PORT, smtps:// or smtp+starttls://; an inbox of the bench unless told."
        ),
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Serve HTTPS with a certificate of the bench's own CA.")] = False,
    public_url: Annotated[
        str | None,
        typer.Option(help="Where people reach the portal, for the links in mails; as it listens unless told."),
    ] = None,
    reviews: Annotated[
        str | None, typer.Option(help="How long an identity check takes, as in '15 min'; 10 to 20 minutes unless told.")
    ] = None,
    reviewer: Annotated[
        Path | None, typer.Option(help="The reviewer's rules, a YAML file (docs/identity-check.md).")
    ] = None,
    grace: Annotated[int, typer.Option(min=0, help="Seconds that requests in flight have at the end.")] = 10,
    log_format: Annotated[
        str | None, typer.Option(help="plain or json; plain on a terminal and json elsewhere unless told.")
    ] = None,
    control_plane: Annotated[
        bool,
        typer.Option(
            "--control-plane",
            help="Let who shows the printed token put accounts, reviews and clock into any state, inject faults, read mail.",
        ),
    ] = False,
) -> None:
    """Run the identity portal over HTTP until Ctrl-C or SIGTERM; a second signal ends it at once.

    Exit status: 0 ended by a signal, 1 requests were cut off at the end, 2 it could not start, 130 or 143 by a second signal.
    """
    if context.invoked_subcommand is not None:
        return
    try:
        from bench.portal_service import Wanted, run  # noqa: PLC0415
    except ImportError as error:
        from wire.errors import CarrierFault  # noqa: PLC0415

        raise CarrierFault(
            f"the portal as a service needs the extra [portal]: pip install 'sgw-bench[portal]' ({error})"
        ) from None
    status = run(
        Wanted(
            host=host,
            port=port,
            data=data,
            database=database,
            smtp=smtp,
            tls=tls,
            public_url=public_url,
            reviews=reviews,
            reviewer=reviewer,
            log_format=log_format,
            grace_s=grace,
            control_plane=control_plane,
        )
    )
    if status:
        raise typer.Exit(status)
