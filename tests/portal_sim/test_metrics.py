"""The figures of a running portal. Judge: prometheus_client's own parser of the text format."""

from __future__ import annotations

import ast
import random
from pathlib import Path

import pytest
from portal_people import Counter, manager
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

import portal_sim
from portal_sim.mail.postman import MailEnd
from portal_sim.web.metrics import ACTIONS, BUCKETS_S, CONTENT_TYPE, NOWHERE, OTHER, ROUTES_MAX, Metrics
from wire.portal_api import PortalErrorCode

WRITERS = {"audit": 0, "record": 0, "_note": 1, "count_failure": 1}
"""Functions that write audit records, and which argument is the action."""


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("1.2.3")


def figures(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return every sample that the parser finds, by name and labels."""
    families = list(text_string_to_metric_families(metrics.text().decode()))
    assert len({family.name for family in families}) == len(families)
    samples = [sample for family in families for sample in family.samples]
    found = {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}
    assert len(found) == len(samples)
    return found


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return figures(metrics).get((name, tuple(sorted(labels.items()))))


def test_a_request_is_counted_and_measured(metrics: Metrics) -> None:
    metrics.begun()
    assert value(metrics, "sgw_portal_requests_in_flight") == 1
    metrics.ended("/v1/login", "POST", 401, 0.03)
    assert value(metrics, "sgw_portal_requests_in_flight") == 0
    assert value(metrics, "sgw_portal_requests_total", route="/v1/login", method="POST", status="401") == 1
    name, labels = "sgw_portal_request_duration_seconds", {"route": "/v1/login", "method": "POST"}
    assert value(metrics, f"{name}_sum", **labels) == 0.03
    assert [value(metrics, f"{name}_bucket", **labels, le=le) for le in ("0.025", "0.05", "+Inf")] == [0, 1, 1]


def test_the_promise_of_50_ms_and_the_clients_patience_are_bounds_of_buckets() -> None:
    assert {0.05, 30.0} <= set(BUCKETS_S)
    assert list(BUCKETS_S) == sorted(BUCKETS_S)


def test_what_has_not_happened_is_there_as_zero(metrics: Metrics) -> None:
    for action in ACTIONS:
        assert value(metrics, "sgw_portal_actions_total", action=action) == 0
    for code in PortalErrorCode:
        assert value(metrics, "sgw_portal_refusals_total", code=code.value) == 0
    for outcome in ("sent", "given_up"):
        assert value(metrics, "sgw_portal_mails_total", outcome=outcome) == 0


def test_actions_refusals_mails_and_reviews_are_counted(metrics: Metrics) -> None:
    for action in ("login", "login", "login failure", "identity refused", "an action of tomorrow"):
        metrics.acted(action)
    metrics.refused(PortalErrorCode.THROTTLED)
    metrics.mailed(MailEnd.SENT)
    metrics.mailed(MailEnd.GIVEN_UP)
    counted = {key: number for key, number in figures(metrics).items() if number and key[0].endswith("_total")}
    assert (
        counted.items()
        >= {
            ("sgw_portal_actions_total", (("action", "login"),)): 2,
            ("sgw_portal_actions_total", (("action", "login failure"),)): 1,
            ("sgw_portal_actions_total", (("action", "identity refused"),)): 1,
            ("sgw_portal_actions_total", (("action", OTHER),)): 1,
            ("sgw_portal_reviews_total", (("outcome", "refused"),)): 1,
            ("sgw_portal_refusals_total", (("code", "throttled"),)): 1,
            ("sgw_portal_mails_total", (("outcome", "sent"),)): 1,
            ("sgw_portal_mails_total", (("outcome", "given_up"),)): 1,
        }.items()
    )


def test_the_build_and_the_process_are_told(metrics: Metrics) -> None:
    [build] = [dict(labels) for name, labels in figures(metrics) if name == "sgw_portal_build_info"]
    assert build["version"] == "1.2.3"
    assert (value(metrics, "process_resident_memory_bytes") or 0) > 0


def test_the_text_is_of_the_type_that_is_named_and_ends_its_last_line(metrics: Metrics) -> None:
    assert CONTENT_TYPE.startswith("text/plain; version=0.0.4")
    assert metrics.text().endswith(b"\n")
    assert b"_created" not in metrics.text()


def test_two_portals_in_a_process_do_not_mix(metrics: Metrics) -> None:
    other = Metrics("1")
    other.acted("login")
    assert value(metrics, "sgw_portal_actions_total", action="login") == 0
    assert "sgw_portal" not in "".join(metric.name for metric in REGISTRY.collect())


def test_ten_thousand_strange_paths_and_methods_make_a_bounded_number_of_series(metrics: Metrics) -> None:
    rng = random.Random(5)
    statuses = (200, 404, 0, 99, 10**6)
    for _ in range(10_000):
        metrics.begun()
        metrics.ended(f"/{rng.randbytes(6).hex()}", rng.randbytes(3).hex(), rng.choice(statuses), 0.001)
    found = figures(metrics)
    requests = {labels for name, labels in found if name == "sgw_portal_requests_total"}
    assert len({dict(labels)["route"] for labels in requests}) <= ROUTES_MAX + 1
    assert {dict(labels)["method"] for labels in requests} == {OTHER}
    assert {dict(labels)["status"] for labels in requests} == {"200", "404", "500"}
    assert len(found) < (ROUTES_MAX + 1) * (len(BUCKETS_S) + 7) + 200
    assert sum(number for (name, _), number in found.items() if name == "sgw_portal_requests_total") == 10_000


@pytest.mark.parametrize("label", ['a"b', "a\\b", "a\nb", "a{b}", "\x1b[31m", "\u2028"])
def test_no_label_breaks_the_text(metrics: Metrics, label: str) -> None:
    metrics.begun()
    metrics.ended(label, "GET", 200, 0.001)
    assert value(metrics, "sgw_portal_requests_total", route=label, method="GET", status="200") == 1


def test_a_request_without_a_route_is_counted_under_one_label(metrics: Metrics) -> None:
    for _ in range(3):
        metrics.begun()
        metrics.ended(NOWHERE, "GET", 404, 0.001)
    assert value(metrics, "sgw_portal_requests_total", route=NOWHERE, method="GET", status="404") == 3


def test_every_action_that_the_portal_writes_is_in_the_list() -> None:
    written = set()
    for path in Path(portal_sim.__file__).parent.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in WRITERS:
                action = call.args[WRITERS[call.func.attr] :][:1]
                written |= {each.value for each in action if isinstance(each, ast.Constant)}
    assert len(written) > 20
    assert {action for action in written if isinstance(action, str)} <= ACTIONS


def test_a_life_at_the_portal_counts_nothing_as_other(metrics: Metrics) -> None:
    counter = Counter()
    person = manager(counter)
    person.log_in()
    person.ask()
    for action in counter.actions():
        metrics.acted(action)
    assert value(metrics, "sgw_portal_actions_total", action=OTHER) is None
    assert value(metrics, "sgw_portal_actions_total", action="unlock issued") == 1
    assert value(metrics, "sgw_portal_reviews_total", outcome="approved") == 1
