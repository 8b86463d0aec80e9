"""The command `portal`: the identity portal behind HTTP, for benches whose file says `portal: {at: URL}`."""

from __future__ import annotations

from typing import Annotated

import typer


def portal(
    *,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The TCP port; 0 takes one that is free.")] = 8443,
    reviews: Annotated[str, typer.Option(help="How long an identity check takes, as in '15 min'.")] = "15 min",
    control_plane: Annotated[
        bool, typer.Option("--control-plane", help="Let who shows the printed token read people's mail.")
    ] = False,
) -> None:
    """Run the identity portal over HTTP until Ctrl-C or SIGTERM. Everything is in memory: accounts and keys end with it."""
    import secrets  # noqa: PLC0415
    import socket  # noqa: PLC0415

    from portal_sim.keys import make_keys  # noqa: PLC0415
    from portal_sim.options import PortalOptions  # noqa: PLC0415
    from portal_sim.portal import Portal  # noqa: PLC0415
    from wire.clock import NS_PER_S, system_utc_s  # noqa: PLC0415
    from wire.durations import read_duration  # noqa: PLC0415
    from wire.entropy import LiveEntropy  # noqa: PLC0415
    from wire.errors import CarrierFault, ConfigError  # noqa: PLC0415
    from wire.world import World  # noqa: PLC0415

    try:
        review_s = max(1, read_duration(reviews) // NS_PER_S)
    except ValueError as error:
        raise ConfigError(str(error), key="--reviews") from None
    try:
        import uvicorn  # noqa: PLC0415

        from portal_sim.web.app import make_app  # noqa: PLC0415
    except ImportError as error:
        raise CarrierFault(
            f"the portal over HTTP needs the extra [portal]: pip install 'sgw-bench[portal]' ({error})"
        ) from None
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise CarrierFault(f"{host}:{port} cannot be listened at: {error.strerror}; choose another --port") from None
    token = secrets.token_urlsafe(32) if control_plane else None
    entropy = LiveEntropy()
    options = PortalOptions(review_min_s=review_s, review_max_s=review_s)
    made = Portal(
        entropy=entropy, keys=make_keys(entropy, system_utc_s()), review_rng=World(0).rng("reviews"), options=options
    )
    url = f"http://{host}:{listener.getsockname()[1]}"
    typer.echo(f"portal at {url}\nkeys for vehicles at {url}/v1/keys")
    if token is not None:
        typer.echo(f"control token: export SGW_BENCH_PORTAL_TOKEN={token}")
    config = uvicorn.Config(make_app(made, system_utc_s, control_token=token), log_level="warning")
    uvicorn.Server(config).run(sockets=[listener])
