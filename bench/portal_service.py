"""Starts the portal as a service: what was asked for on the command line, its parts, what a person is told, and its end."""

from __future__ import annotations

import os
import secrets
import sys
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

from rich.console import Console
from rich.markup import escape
from sqlalchemy.engine import make_url
from starlette.types import ASGIApp

from portal_sim.options import PortalOptions
from portal_sim.review import load_rules
from portal_sim.service import MEMORY, Service, ServiceOptions
from portal_sim.sql.engine import place
from portal_sim.web.app import DOCUMENT_PATH, make_app
from portal_sim.web.control import SettableClock
from portal_sim.web.logs import Event, Form, setup
from portal_sim.web.metrics import Metrics
from portal_sim.web.serving import ServingLimits, address_of, listen, serve
from portal_sim.web.tls import TlsFiles, bench_tls, server_context
from portal_sim.web.watched import Watched
from portal_sim.web.watchpoints import Watchpoints
from vci_driver.portal_http import CONTROL_TOKEN
from wire.clock import NS_PER_S, system_utc_ns, system_utc_s
from wire.durations import read_duration
from wire.entropy import Entropy, LiveEntropy
from wire.errors import ConfigError
from wire.loopback import is_loopback
from wire.portal_api import AuditRecord
from wire.portal_trust import PORTAL_CA

FORMS: tuple[Form, ...] = get_args(Form)
SESSION_S = 30 * 60
"""A session's life where people are real: what is shown on a screen that was left should be shut soon; testers refresh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The command line. See `bench.cli_portal`."""

    host: str
    port: int
    data: Path
    database: str = field(repr=False)
    smtp: str | None = field(repr=False)
    tls: bool
    public_url: str | None
    reviews: str | None
    reviewer: Path | None
    log_format: str | None
    control_plane: bool
    grace_s: int


def run(wanted: Wanted) -> int:
    """Serve until a signal; return the exit status. Raises `ConfigError` or `CarrierFault` where it cannot begin."""
    console = Console(stderr=False, highlight=False)
    settings, form = _settings(wanted), _form(wanted.log_format)
    metrics, entropy = Metrics(version("sgw-bench")), LiveEntropy()
    with listen(wanted.host, wanted.port) as listener, setup(form, sys.stderr, system_utc_ns) as log:
        scheme = "https" if wanted.tls else "http"
        url = f"{scheme}://{address_of(listener)}"
        options = ServiceOptions(
            data=wanted.data,
            database=wanted.database,
            smtp=wanted.smtp,
            public_url=wanted.public_url or url,
            portal=settings,
        )
        clock = SettableClock(system_utc_s)

        def on_record(record: AuditRecord) -> None:
            metrics.acted(record.action)
            log.event(Event.ACTION, action=record.action)

        service = Service(
            options,
            environment=os.environ,
            entropy=entropy,
            utc_s=clock,
            on_record=on_record,
            on_mail=metrics.mailed,
        )
        with service:
            tls = _tls(wanted, service.data, entropy)
            token = secrets.token_urlsafe(32) if wanted.control_plane else None
            app = _app(service, clock, metrics, token)

            def on_started() -> None:
                _tell(console, wanted, service, url, token, tls)
                log.event(Event.STARTED, url=url, version=version("sgw-bench"))

            context = None if tls is None else server_context(tls)
            cut_off = serve(
                Watched(app, log, metrics, entropy),
                listener,
                tls=context,
                limits=ServingLimits(grace_s=wanted.grace_s),
                on_started=on_started,
                on_stopping=lambda: log.event(Event.STOPPING),
            )
        log.event(Event.STOPPED, count=cut_off)
    if cut_off:
        console.print(f"stopped: {cut_off} requests did not end in time and were cut off")
        return 1
    console.print("stopped: what was asked is answered, what was written is kept")
    return 0


def _app(service: Service, clock: SettableClock, metrics: Metrics, token: str | None) -> ASGIApp:
    """Return what answers requests: the API, the control plane where there is a token, health and metrics."""
    app = make_app(
        service.portal,
        clock,
        control_token=token,
        reception=service.reception,
        look_at_once=service.options.store_is_near,
    )
    return Watchpoints(app, require_health=service.require_health, metrics=metrics.text, control_token=token)


def _form(wanted: str | None) -> Form:
    if wanted is None:
        return "plain" if sys.stderr.isatty() else "json"
    for form in FORMS:
        if wanted == form:
            return form
    raise ConfigError(f"no log has the form {wanted!r}: {' or '.join(FORMS)}", key="--log-format")


def _tls(wanted: Wanted, data: Path, entropy: Entropy) -> TlsFiles | None:
    """Make the certificate, for the names by which clients know this service."""
    if not wanted.tls:
        return None
    public = urlsplit(wanted.public_url or "").hostname
    hosts = [wanted.host, *([public] if public else [])]
    return bench_tls(data, hosts, system_utc_s(), entropy)


def _settings(wanted: Wanted) -> PortalOptions:
    settings = PortalOptions(session_lifetime_s=SESSION_S)
    if wanted.reviewer is not None:
        settings = replace(settings, review=load_rules(wanted.reviewer))
    if wanted.reviews is not None:
        try:
            review_s = max(1, read_duration(wanted.reviews) // NS_PER_S)
        except ValueError as error:
            raise ConfigError(str(error), key="--reviews") from None
        rules = replace(settings.review_rules(), wait_min_s=review_s, wait_max_s=review_s)
        settings = replace(settings, review=rules)
    return settings


def _tell(
    console: Console, wanted: Wanted, service: Service, url: str, token: str | None, tls: TlsFiles | None
) -> None:
    """Say where everything is; the URL first, on a line that programs read too."""
    database = service.options.database_url
    lines = {
        "portal at": url,
        "keys for vehicles at": f"{url}/v1/keys",
        "API described at": f"{url}{DOCUMENT_PATH}",
        "data in": str(service.data.absolute()),
        "database": "in memory: it ends with this process" if database == MEMORY else place(make_url(database)),
    }
    if tls is not None:
        lines["trust its CA"] = f"export {PORTAL_CA}={tls.ca.absolute()}"
    if token is not None:
        lines["control token"] = f"export {CONTROL_TOKEN}={token}"
    lines["mail"] = f"inbox {service.inbox.folder.absolute()}" if service.inbox else f"by {service.mail_server}"
    for name, value in lines.items():
        console.print(f"{name:<20} {escape(value)}", soft_wrap=True)
    if not wanted.tls and not is_loopback(wanted.host):
        warning = "warning: passwords and codes cross the network in the clear: add --tls"
        Console(stderr=True, highlight=False).print(warning)
    sys.stdout.flush()
