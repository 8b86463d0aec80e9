"""Who may do what, asked of every route of the table: without a session, from below, and from a company of the same name.

The requests are made from the routes themselves, so that a new route is asked too.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from enum import Enum
from typing import Any, get_args

import httpx
import pytest
from portal_people import COMPANY, Counter, Visitor, colleague, manager
from served_portal import TOKEN, HttpCounter

from wire import portal_api as api
from wire.plain import to_plain
from wire.portal_api import PortalErrorCode as Code
from wire.portal_control import CONTROL_ROUTES
from wire.portal_routes import ROUTES, Place, Route, send

WITH_SESSION = [route for route in ROUTES if route.at(Place.BEARER)]
OF_MANAGERS = [route for route in ROUTES if Code.NOT_THE_MANAGER in route.refusals]
NAMES_OTHERS = ("email", "audit_id", "person", "login_id", "link_code", "refresh_token")
"""Fields that say whose thing is meant."""
OF_SOMEBODY = [route for route in WITH_SESSION if set(NAMES_OTHERS) & set(route.places)]


def named(route: Route) -> str:
    return route.message.__name__


def filled(route: Route, **known: Any) -> api.Request[Any]:
    """Return a request in which every field has a value of its type; `known` says which by name."""
    fields = {}
    for field in dataclasses.fields(route.message):
        kind = route.hints[field.name]
        kind = (get_args(kind) or (kind,))[0]
        if field.name in known:
            fields[field.name] = known[field.name]
        elif field.name in COMPANY:
            fields[field.name] = COMPANY[field.name]
        elif field.default is not dataclasses.MISSING:
            fields[field.name] = field.default
        elif isinstance(kind, type) and issubclass(kind, Enum):
            fields[field.name] = next(iter(kind))
        elif kind in (api.Picture, api.FaceVideo):
            fields[field.name] = kind()
        else:
            fields[field.name] = {str: "x", bytes: b"x", int: 1, float: 1.0, bool: True}[kind]
    return route.message(**fields)


class TwoCompanies:
    """Two workshops of one name, each with a manager; the first has a technician, who got an unlock."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter
        self.boss, self.other = manager(counter), manager(counter, "otto")
        self.technician = colleague(counter, self.boss)
        self.boss.log_in()
        self.other.log_in()
        self.technician.log_in()
        self.unlock = self.technician.ask()

    def known(self, thief: Visitor, victim: Visitor) -> dict[str, Any]:
        """Everything that names somebody, naming the victim; the session is the thief's."""
        return {
            "session": thief.session,
            "email": victim.email,
            "person": victim.email,
            "audit_id": self.unlock.audit_id,
        }

    def seen(self) -> tuple[object, ...]:
        """All that the first company sees of itself."""
        call, boss = self.counter.call, self.boss.session
        own = [
            call(route)
            for each in (self.boss, self.technician)
            for route in (api.GetStatus(session=each.session), api.GetEntitlements(session=each.session))
        ]
        return (
            *own,
            call(api.ListUsers(session=boss)),
            call(api.ReadAudit(session=boss, limit=1000)),
            call(api.GetKeySet()),
        )


@pytest.fixture(scope="module")
def town() -> TwoCompanies:
    return TwoCompanies(Counter())


@pytest.fixture(scope="module")
def served() -> Iterator[HttpCounter]:
    with contextlib.ExitStack() as stack:
        yield HttpCounter(stack)


def test_the_table_has_what_these_tests_are_about() -> None:
    assert len(WITH_SESSION) >= 17
    assert len(OF_MANAGERS) >= 7
    assert {named(route) for route in OF_SOMEBODY} >= {"DisassociateUser", "RevokeUnlock", "ReadAudit", "InviteUser"}


@pytest.mark.parametrize("route", WITH_SESSION, ids=named)
@pytest.mark.parametrize("shown", [None, "", "Bearer", "Bearer x", "Basic dGVzc2E6eA==", f"Bearer {TOKEN}"])
def test_a_door_that_wants_a_session_opens_for_nothing_else(
    served: HttpCounter, route: Route, shown: str | None
) -> None:
    answer = asked(served.http, route, filled(route), shown)
    assert (answer.status_code, answer.json()["code"]) == (401, "session-invalid")


@pytest.mark.parametrize("route", CONTROL_ROUTES, ids=named)
def test_the_control_plane_opens_for_no_persons_session(served: HttpCounter, route: Route) -> None:
    answer = asked(served.http, route, filled(route), "Bearer " + "0" * 48)
    assert (answer.status_code, answer.json()["code"]) == (401, "session-invalid")


def asked(http: httpx.Client, route: Route, message: api.Request[Any], shown: str | None) -> httpx.Response:
    sent = send(route, message)
    headers = {} if shown is None else {"Authorization": shown}
    body = {} if sent.body is None else {"json": sent.body}
    return http.request(route.method, sent.path, params=sent.query, headers=headers, **body)


@pytest.mark.parametrize("route", OF_MANAGERS, ids=named)
def test_a_technician_does_nothing_that_is_the_managers(town: TwoCompanies, route: Route) -> None:
    before = town.seen()
    with pytest.raises(api.PortalError) as refusal:
        town.counter.call(filled(route, **town.known(town.technician, town.technician)))
    assert refusal.value.code in {Code.NOT_THE_MANAGER, Code.ALREADY_IN_COMPANY}
    assert town.seen() == before


@pytest.mark.parametrize("route", OF_SOMEBODY, ids=named)
def test_a_manager_reaches_nobody_of_a_company_of_the_same_name(town: TwoCompanies, route: Route) -> None:
    before = town.seen()
    said = []
    for victim in (town.technician, town.boss, Visitor(town.counter, "nobody")):
        try:
            reply = to_plain(town.counter.call(filled(route, **town.known(town.other, victim))))
        except api.PortalError as error:
            reply = [str(error.code), error.sentence]
        assert "conrad" not in str(reply)
        assert town.unlock.audit_id not in str(reply)
        said.append(reply)
    assert said[0] == said[1] == said[2], "the answer tells who is somebody elsewhere"
    assert town.seen() == before


def test_an_invitation_to_somebody_elses_colleague_takes_nobody_away(town: TwoCompanies) -> None:
    town.counter.call(api.InviteUser(session=town.other.session, email=town.technician.email))
    link = [mail.link_code for mail in town.technician.mails() if mail.link_code][-1]
    with town.counter.refused(Code.ALREADY_IN_COMPANY):
        town.counter.call(api.AcceptInvitation(session=town.technician.session, link_code=link))


BODIES = [route for route in ROUTES if route.at(Place.BODY)]
MASS = {"manager": True, "role": 2, "company_id": 1, "identity": "approved", "confirmed": True, "strong": True}


MORE = [
    pytest.param(route, field, id=f"{named(route)}-{field}")
    for route in BODIES
    for field in (*MASS, "__class__", "session", "idempotency_key")
    if field not in route.at(Place.BODY)
]


@pytest.mark.parametrize(("route", "field"), MORE)
def test_no_body_brings_more_than_its_own_fields(served: HttpCounter, route: Route, field: str) -> None:
    sent = send(route, filled(route))
    assert sent.body is not None
    body = {**sent.body, field: MASS.get(field, "x")}
    headers = {"Authorization": "Bearer x"}
    answer = served.http.request(route.method, sent.path, json=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-input")
    assert field in answer.json()["detail"]
