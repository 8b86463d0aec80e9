"""The OpenAPI documents of the portal: a foreign judge finds them valid, and every refusal that a route lists is in them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from served_portal import TOKEN, HttpCounter

from portal_sim.web.app import DOCUMENT_PATH
from portal_sim.web.control import DOCUMENT_PATH as CONTROL_DOCUMENT_PATH
from portal_sim.web.openapi import document
from portal_sim.web.problems import PROBLEM, status_of
from wire.portal_api import PortalErrorCode
from wire.portal_control import CONTROL_ROUTES
from wire.portal_routes import ROUTES, Route

ROWS = [(DOCUMENT_PATH, route) for route in ROUTES] + [(CONTROL_DOCUMENT_PATH, route) for route in CONTROL_ROUTES]
Document = dict[str, Any]


@pytest.fixture(scope="module")
def documents() -> Iterator[dict[str, Document]]:
    """Return both documents as they are served, by path."""
    with contextlib.ExitStack() as stack:
        http = HttpCounter(stack).http
        answers = [
            http.get(path, headers={"Authorization": f"Bearer {TOKEN}"})
            for path in (DOCUMENT_PATH, CONTROL_DOCUMENT_PATH)
        ]
        yield {answer.request.url.path: answer.raise_for_status().json() for answer in answers}


def codes_at(described: Document, route: Route, status: int) -> set[str]:
    answers = described["paths"][route.path][route.method.lower()]["responses"]
    return set(answers[str(status)]["content"][PROBLEM]["schema"]["properties"]["code"]["enum"])


@pytest.mark.judge("OpenAPI validator")
@pytest.mark.parametrize("path", [DOCUMENT_PATH, CONTROL_DOCUMENT_PATH])
def test_a_served_document_is_valid_openapi(documents: dict[str, Document], path: str) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(documents[path]).iter_errors()] == []


@pytest.mark.judge("OpenAPI validator")
def test_the_document_with_uploads_is_valid_openapi() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(document(ROUTES, uploads=True)).iter_errors()] == []


@pytest.mark.judge("OpenAPI validator")
def test_the_judge_refuses_a_parameter_that_no_operation_describes(documents: dict[str, Document]) -> None:
    spoiled = {**documents[DOCUMENT_PATH], "paths": {"/v1/{nobody}": {"get": {"responses": {}}}}}
    assert list(OpenAPIV31SpecValidator(spoiled).iter_errors())


@pytest.mark.parametrize(("path", "route"), ROWS, ids=lambda each: each.path if isinstance(each, Route) else "")
def test_every_refusal_of_a_route_is_in_its_document(documents: dict[str, Document], path: str, route: Route) -> None:
    for code in route.refusals:
        assert code in codes_at(documents[path], route, int(status_of(code)))


def test_a_document_tells_of_no_operation_that_no_route_has(documents: dict[str, Document]) -> None:
    told = {
        (path, method.upper(), template)
        for path, described in documents.items()
        for template, operations in described["paths"].items()
        for method in operations
    }
    assert told == {(path, route.method, route.path) for path, route in ROWS}


def test_every_stable_code_is_told_of_by_some_operation() -> None:
    assert {code for _, route in ROWS for code in route.refusals} == set(PortalErrorCode)
