"""One door for all operations: every request of the boundary is served, none without its session, and a seed repeats."""

import dataclasses
import inspect
from contextlib import suppress
from pathlib import Path

import pytest
from portal_people import Counter, Visitor, colleague, manager

from wire import portal_api as api
from wire.errors import LocalMisuse
from wire.portal_api import PortalErrorCode

ROOT = Path(__file__).resolve().parents[2]
REQUESTS = [
    each
    for _, each in inspect.getmembers(api, inspect.isclass)
    if issubclass(each, api.Request) and each is not api.Request
]
WITH_SESSION = [each for each in REQUESTS if "session" in {field.name for field in dataclasses.fields(each)}]


def filled(request: type) -> api.Request:
    return request(**{field.name: "x" for field in dataclasses.fields(request)})


@pytest.mark.parametrize("request_type", REQUESTS, ids=lambda each: each.__name__)
def test_every_request_of_the_boundary_is_served(request_type: type) -> None:
    with suppress(api.PortalError):  # served or refused, but not unheard of
        Counter().call(filled(request_type))


@pytest.mark.parametrize("request_type", WITH_SESSION, ids=lambda each: each.__name__)
def test_nothing_that_names_a_session_is_done_without_one(request_type: type) -> None:
    counter = Counter()
    with counter.refused(PortalErrorCode.SESSION_INVALID):
        counter.call(filled(request_type))
    assert counter.portal.audit_log() == []


def test_what_is_no_request_is_the_callers_mistake() -> None:
    class Unheard(api.Request[api.Done]):
        pass

    with pytest.raises(LocalMisuse, match="Unheard"):
        Counter().call(Unheard())


def test_a_refusal_has_a_code_for_programs_and_a_sentence_for_people() -> None:
    error = api.PortalError(PortalErrorCode.THROTTLED, "Wait.", retry_after_s=5)
    assert (error.code, error.sentence, error.retry_after_s) == ("throttled", "Wait.", 5)
    assert str(error) == "throttled: Wait."


@pytest.mark.parametrize("code", list(PortalErrorCode))
def test_every_code_that_a_scenario_may_name_is_given_somewhere(code: PortalErrorCode) -> None:
    sources = [*(ROOT / "portal_sim").rglob("*.py"), ROOT / "bench" / "portal_port.py"]
    assert any(f"PortalErrorCode.{code.name}" in source.read_text() for source in sources)


def test_the_same_seed_repeats_to_the_byte_and_another_does_not() -> None:
    def live(seed: int) -> list[object]:
        counter = Counter(seed=seed)
        boss: Visitor = manager(counter)
        person = colleague(counter, boss)
        person.log_in()
        return [person.ask(), person.mails(), counter.portal.audit_log()]

    assert live(1) == live(1)
    assert live(1) != live(2)
