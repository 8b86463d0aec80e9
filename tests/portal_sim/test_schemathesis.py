"""schemathesis, which nobody here wrote, makes requests out of the OpenAPI documents, good ones and bad ones, alone and in a row.

Each kind of person sends them, with a new session each time. What is answered must be what the document says, and never a failure
of the portal's own. `ATTACK_EXAMPLES` (`make attack`) says how many are made for each operation: all phases then, for everybody.
"""

from __future__ import annotations

import os
import random
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from http_server import serving
from portal_people import Counter, Visitor, colleague, manager, signed_in
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from portal_sim.media.darkroom import Darkroom
from portal_sim.media.keeping import MediaFolder
from portal_sim.media.reception import Reception
from portal_sim.sealing import Sealing
from portal_sim.web.app import make_app
from portal_sim.web.openapi import document
from wire.entropy import SeededEntropy
from wire.portal_control import CONTROL_ROUTES
from wire.portal_routes import ROUTES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
TOKEN = "control-token-of-the-test"
WANTED = int(os.environ.get("ATTACK_EXAMPLES", "0"))
CHECKS = {"positive_data_acceptance": {"enabled": False}}
"""All are on but one: a code or an address of the right form may still be nobody's, and that is 422."""
PATIENT = {"throttle_s": 0, "max_failures": 10**9, "address_free_failures": 10**9}
"""Else the first hundred wrong passwords would leave nothing to see but 429."""


class Town:
    """Two workshops of one name and their people, who know what only they can know: links, codes, passwords."""

    def __init__(self) -> None:
        self.counter = Counter(**PATIENT)
        self.boss = manager(self.counter)
        self.technician = colleague(self.counter, self.boss)
        self.other = manager(self.counter, "otto")
        self.people = (self.boss, self.technician, self.other)
        for person in self.people:
            person.log_in()
        self.sent = 0

    def session(self, person: Visitor) -> str:
        return person.log_in().token

    def fill_in(self, fields: dict[str, Any], person: Visitor) -> None:
        """Put into two of three requests what makes them succeed, as far as this person knows it."""
        self.sent += 1
        if self.sent % 3 == 0:
            return
        known: dict[str, Callable[[], Any]] = {
            "email": lambda: self.people[self.sent % 2].email,
            "password": lambda: person.password,
            "old_password": lambda: person.password,
            "new_password": lambda: person.password,
            "code": lambda: self.next_code(person),
            "link_code": lambda: self.link(person),
            "refresh_token": lambda: person.log_in().refresh_token,
            "login_id": lambda: person.begin().login_id,
            "audit_id": lambda: self.counter.portal.audit_log()[self.sent % 20].audit_id,
            "make": lambda: ("vag", "mercedes", "fca")[self.sent % 3],
            "vin": lambda: "WVWZZZCD4MW000001",
        }
        for name in fields:
            if name in known:
                fields[name] = known[name]()

    def next_code(self, person: Visitor) -> str:
        self.counter.wait_for_step()
        return person.code()

    def link(self, person: Visitor) -> str:
        links = [mail.link_code for mail in person.mails() if mail.link_code]
        return links[-1] if links else ""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a run has shown."""

    failures: dict[tuple[str, str, str], str]
    statuses: Tally[int]
    phases: Tally[str]
    errors: list[str]


def run(
    url: str,
    described: dict[str, Any],
    *,
    examples: int,
    session: Callable[[], str] | None,
    fill_in: Callable[[dict[str, Any]], None] = lambda _: None,
    whole: bool = True,
) -> Found:
    """Let schemathesis loose on a service. `whole`: with the phases that make a request for each clause of the document."""
    config = SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "base-url": url,
            "continue-on-failure": True,
            "generation": {"max-examples": examples, "deterministic": True, "no-shrink": True},
            "checks": CHECKS,
            "phases": {"examples": {"enabled": whole}, "coverage": {"enabled": whole}},
        }
    )
    schema = schemathesis.openapi.from_dict(described, config=config)
    if session is not None:

        @schema.auth(refresh_interval=None)
        class _Sessions:
            def get(self, case: Any, context: Any) -> str:
                return session()

            def set(self, case: Any, data: str, context: Any) -> None:
                case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}

    def before_call(context: Any, case: Any, kwargs: Any) -> None:
        if case.meta is not None and case.meta.generation.mode.is_positive:
            for fields in (case.path_parameters, case.body):
                if isinstance(fields, dict):
                    fill_in(fields)

    found = Found(failures={}, statuses=Tally(), phases=Tally(), errors=[])
    schemathesis.hook(before_call)
    try:
        for event in from_schema(schema).execute():
            if isinstance(event, events.ScenarioFinished):
                note(found, event)
            elif isinstance(event, events.NonFatalError):
                found.errors.append(str(event.value))
            elif isinstance(event, events.FatalError):
                found.errors.append(str(event.exception))
    finally:
        schemathesis.hooks.unregister(before_call)
    return found


def note(found: Found, event: Any) -> None:
    for interaction in event.recorder.interactions.values():
        found.phases[event.phase.value] += 1
        if interaction.response is not None:
            found.statuses[interaction.response.status_code] += 1
    for checks in event.recorder.checks.values():
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                what = f"{event.phase.value}: {failure.message}\n{check.failure_info.code_sample}"
                found.failures.setdefault((check.name, failure.operation, failure.title), what)


def require_sound(found: Found) -> None:
    shown = "\n\n".join(f"{' | '.join(where)}\n{what}" for where, what in found.failures.items())
    assert not found.failures, shown
    assert not found.errors
    assert not [status for status in found.statuses if status >= 500], found.statuses


@pytest.fixture
def town() -> Town:
    return Town()


@pytest.fixture
def url(town: Town) -> Iterator[str]:
    with serving(make_app(town.counter.portal, lambda: town.counter.now_s, control_token=TOKEN)) as address:
        yield address


@pytest.mark.parametrize("who", ["boss", "technician", "other"])
def test_who_is_signed_in_gets_nothing_but_documented_answers(who: str, town: Town, url: str) -> None:
    person: Visitor = getattr(town, who)
    found = run(
        url,
        document(ROUTES),
        examples=WANTED or 5,
        session=lambda: town.session(person),
        fill_in=lambda fields: town.fill_in(fields, person),
        whole=bool(WANTED) or who == "boss",
    )
    require_sound(found)
    assert {200, 201, 401, 422} <= set(found.statuses)
    assert {"fuzzing", "stateful"} <= set(found.phases)


def test_who_is_not_gets_nothing_but_documented_answers(town: Town, url: str) -> None:
    found = run(url, document(ROUTES), examples=WANTED or 5, session=None, whole=bool(WANTED))
    require_sound(found)
    assert found.statuses[401] > 50


def test_the_control_plane_gives_nothing_but_documented_answers(town: Town, url: str) -> None:
    described = document(CONTROL_ROUTES, locked=True)
    found = run(
        url,
        described,
        examples=WANTED or 5,
        session=lambda: TOKEN,
        fill_in=lambda fields: town.fill_in(fields, town.boss),
    )
    require_sound(found)
    assert {200, 401, 422} <= set(found.statuses)


def test_the_door_of_uploads_gives_nothing_but_documented_answers(town: Town, tmp_path: Path) -> None:
    """What is sent as pictures is random bytes: the real darkroom looks at all of it."""
    entropy = SeededEntropy(random.Random(1))
    described = document(ROUTES, uploads=True)
    described["paths"] = {"/v1/identity-checks": described["paths"]["/v1/identity-checks"]}
    with Darkroom() as darkroom:
        reception = Reception(darkroom, MediaFolder(tmp_path / "media", Sealing(bytes(32), entropy), entropy))
        app = make_app(town.counter.portal, lambda: town.counter.now_s, reception=reception)
        with serving(app) as url:
            person = signed_in(town.counter, "newcomer")
            person.fill_in()
            found = run(url, described, examples=WANTED or 20, session=lambda: town.session(person))
    require_sound(found)
    assert {401, 422} <= set(found.statuses)
