"""The figures of a running portal, for Prometheus. Each service has a registry of its own: two in one process do not mix.

Every label comes of a closed list, or of one that is cut off at a limit: no stranger's request makes a new time series.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    Metric,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from portal_sim.mail.postman import MailEnd
from wire.portal_api import PortalErrorCode

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)
"""From a look into the store (about a millisecond) by a durable commit (5 to 10) and a password's hash (25 and more) to an
upload (seconds). 50 ms is what 99 of 100 are to keep under half load, at 30 s the tester's client gives up.
"""
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
OTHER = "other"
"""The one label of all that a closed list does not know."""
NOWHERE = "none"
"""The route of a request that no route takes."""
ROUTES_MAX = 200
"""Templates counted apart: three times what the portal has. A door that names paths instead would be noticed by `other`."""
ACTIONS = frozenset(
    (
        *("sign-up", "password changed", "password reset requested", "password reset"),
        *(
            "login",
            "login failure",
            "code used again",
            "locked out",
            "lock-out ended",
            "logout",
            "refresh token replayed",
        ),
        *("authenticator enrolled", "second factor reset", "recovery code used", "recovery codes renewed"),
        *("identity check submitted", "identity approved", "identity refused", "reviewer set"),
        *("company validated", "company licensed", "company revoked", "entitled"),
        *("invited", "invitation withdrawn", "joined company", "disassociated"),
        *("unlock issued", "change signed", "unlock refused", "unlock revoked", "account staged"),
    )
)
"""The audit log's words for what happens."""
_REVIEWS = {"identity approved": "approved", "identity refused": "refused"}


class Metrics:
    """Counts what a portal does. Every method may be called from any thread."""

    def __init__(self, version: str) -> None:
        self.registry = registry = CollectorRegistry()
        self._requests = Counter(
            "sgw_portal_requests",
            "Requests that ended, by route template; status 499: whoever asked was gone before the answer.",
            ("route", "method", "status"),
            registry=registry,
        )
        self._durations = Histogram(
            "sgw_portal_request_duration_seconds",
            "From a request's head to the end of its answer.",
            ("route", "method"),
            buckets=BUCKETS_S,
            registry=registry,
        )
        in_flight = Gauge("sgw_portal_requests_in_flight", "Requests being answered.", registry=registry)
        self.begun: Callable[[], None] = in_flight.inc
        """Say that a request has begun."""
        self._in_flight = in_flight
        self._actions = Counter("sgw_portal_actions", "Records of the audit log.", ("action",), registry=registry)
        self._refusals = Counter("sgw_portal_refusals", "Refusals, by stable code.", ("code",), registry=registry)
        self._mails = Counter("sgw_portal_mails", "Mails sent or given up.", ("outcome",), registry=registry)
        self._reviews = Counter("sgw_portal_reviews", "Identity checks decided.", ("outcome",), registry=registry)
        Info("sgw_portal_build", "What is running.", registry=registry).info(
            {"version": version, "python": platform.python_version()}
        )
        ProcessCollector(registry=registry)
        self._show_zeros()
        self._routes: set[str] = set()
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def _show_zeros(self) -> None:
        """Let each counter be there before its first event: a rate over a series that appears misses its beginning."""
        for action in ACTIONS:
            self._actions.labels(action)
        for code in PortalErrorCode:
            self._refusals.labels(code.value)
        for end in MailEnd:
            self._mails.labels(end.value)
        for outcome in _REVIEWS.values():
            self._reviews.labels(outcome)

    def ended(self, route: str, method: str, status: int, duration_s: float) -> None:
        """Say that a request has ended. `route`: the template of its path, or `NOWHERE`."""
        self._in_flight.dec()
        children = self._children.get((route, method, status)) or self._child(route, method, status)
        children[0].inc()
        children[1].observe(duration_s)

    def _child(self, route: str, method: str, status: int) -> tuple[Counter, Histogram]:
        """Return the two series of a kind of request: to find them by their labels costs more than to count."""
        if route not in self._routes:
            if len(self._routes) >= ROUTES_MAX:
                route = OTHER
            self._routes.add(route)
        if method not in METHODS:
            method = OTHER
        if not 100 <= status <= 599:
            status = 500
        key = (route, method, status)
        if key not in self._children:
            counter = self._requests.labels(route, method, str(status))
            self._children[key] = (counter, self._durations.labels(route, method))
        return self._children[key]

    def acted(self, action: str) -> None:
        """Count a record of the audit log by its action."""
        self._actions.labels(action if action in ACTIONS else OTHER).inc()
        outcome = _REVIEWS.get(action)
        if outcome is not None:
            self._reviews.labels(outcome).inc()

    def refused(self, code: PortalErrorCode) -> None:
        """Count a refusal."""
        self._refusals.labels(code.value).inc()

    def mailed(self, end: MailEnd) -> None:
        """Count a mail that was sent or given up."""
        self._mails.labels(end.value).inc()

    def text(self) -> bytes:
        """Return all figures in Prometheus's text format, of the type `CONTENT_TYPE`."""
        return generate_latest(_WithoutTimes(self.registry))


class _WithoutTimes(Collector):
    """A registry without the time at which each series was made: nobody asks for it, and it doubles the text."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric
