"""The control plane: any state at once, any fault, and nothing of it without the token."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import httpx
import pytest
from portal_people import Counter, Visitor, manager, signed_in
from served_portal import TOKEN, HttpCounter, require_described

from portal_sim.web.control import SettableClock
from vci_driver.portal_http import HttpPortal
from wire import portal_api as api
from wire import portal_control as control
from wire.portal_api import CheckState, CompanyState, PortalErrorCode
from wire.portal_control import CONTROL_ROUTES, FaultKind
from wire.token import Role
from wire.world import World

RIGHT = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def counter() -> Iterator[HttpCounter]:
    with contextlib.ExitStack() as stack:
        yield HttpCounter(stack)


def put(counter: HttpCounter, person: Visitor, **state: object) -> None:
    counter.call(control.PutAccount(email=person.email, password=person.password, **state))


def test_no_operation_of_it_is_there_without_the_token(counter: HttpCounter) -> None:
    for route in CONTROL_ROUTES:
        path = route.path.replace("{email}", "a@b.example").replace("{audit_id}", "x")
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            assert counter.http.request(route.method, path, headers=headers).status_code == 401, path


def test_the_real_session_of_a_person_is_no_control_token(counter: HttpCounter) -> None:
    person = signed_in(counter)
    answer = counter.http.get("/control/v1/state", headers={"Authorization": f"Bearer {person.browser}"})
    assert answer.status_code == 401


def test_the_clock_is_set_and_what_is_due_happens(counter: HttpCounter) -> None:
    person = signed_in(counter)
    person.fill_in()
    person.hand_in()
    state = counter.call(control.GetState())
    assert state.utc_s == counter.now_s
    assert state.next_review_utc_s is not None
    later = counter.call(control.SetClock(utc_s=state.next_review_utc_s))
    assert (later.utc_s, later.next_review_utc_s) == (state.next_review_utc_s, None)
    assert person.status().identity is CheckState.APPROVED
    assert counter.call(control.SetClock(utc_s=None)).utc_s == counter.now_s
    with counter.refused(PortalErrorCode.INVALID_INPUT):
        counter.call(control.SetClock(utc_s=-1))


def test_the_reviewer_becomes_a_person_who_sees_what_is_open_and_decides(counter: HttpCounter) -> None:
    person = signed_in(counter)
    person.fill_in()
    set_ = counter.call(control.SetReviewer(decides=control.Decider.PERSON))
    assert set_.decides is control.Decider.PERSON
    assert counter.call(control.ListChecks()) == ()
    person.hand_in()
    assert counter.call(control.ListChecks()) == (control.OpenCheck(email=person.email, due_utc_s=None),)
    counter.wait(1_000_000)
    assert counter.call(control.GetState()).next_review_utc_s is None
    counter.call(control.DecideCheck(email=person.email))
    assert counter.call(control.ListChecks()) == ()
    assert counter.portal.audit_log()[-1].action == "identity approved"


def test_the_rules_decide_after_the_time_that_is_set(counter: HttpCounter) -> None:
    person = signed_in(counter)
    person.fill_in()
    counter.call(control.SetReviewer(decides=control.Decider.PERSON))
    order = control.SetReviewer(decides=control.Decider.RULES, wait_min_s=7, wait_max_s=7)
    assert counter.call(order) == control.ReviewerState(decides=control.Decider.RULES, wait_min_s=7, wait_max_s=7)
    person.hand_in()
    due = counter.now_s + 7
    assert counter.call(control.ListChecks()) == (control.OpenCheck(email=person.email, due_utc_s=due),)
    counter.call(control.SetClock(utc_s=due))
    assert person.status().identity is CheckState.APPROVED


@pytest.mark.parametrize("waits", [(-1, 7), (8, 7), (0, 10**9)])
def test_a_waiting_time_that_makes_no_sense_changes_nothing(counter: HttpCounter, waits: tuple[int, int]) -> None:
    before = counter.call(control.SetReviewer(decides=control.Decider.RULES))
    with counter.refused(PortalErrorCode.INVALID_INPUT):
        counter.call(control.SetReviewer(decides=control.Decider.PERSON, wait_min_s=waits[0], wait_max_s=waits[1]))
    assert counter.call(control.SetReviewer(decides=control.Decider.RULES)) == before


def test_a_clock_that_was_set_stands_still_or_runs_on() -> None:
    now = [100]
    clock = SettableClock(lambda: now[0])
    clock.set(5000, running=False)
    now[0] = 107
    assert clock() == 5000
    clock.set(5000, running=True)
    now[0] = 110
    assert clock() == 5003
    clock.set(None, running=False)
    assert clock() == 110


def test_an_account_is_put_into_a_state_that_takes_people_a_quarter_of_an_hour(counter: HttpCounter) -> None:
    person = Visitor(counter)
    put(
        counter,
        person,
        first_name="Tessa",
        last_name="Example",
        identity=CheckState.APPROVED,
        company="Example Workshop Ltd",
    )
    person.sign_in()
    status = person.status()
    assert (status.identity, status.company, status.manager) == (CheckState.APPROVED, CompanyState.VALIDATED, True)
    person.log_in()
    assert person.ask().payload
    assert "account staged" in counter.actions()


@pytest.mark.parametrize("identity", [CheckState.IN_PROGRESS, CheckState.REFUSED])
def test_an_identity_check_is_put_into_a_state_and_decided(counter: HttpCounter, identity: CheckState) -> None:
    person = Visitor(counter)
    put(counter, person, first_name="Tessa", last_name="Example", identity=identity)
    person.sign_in()
    assert person.status().identity is identity
    if identity is CheckState.REFUSED:
        with counter.refused(PortalErrorCode.INVALID_INPUT):
            counter.call(control.DecideCheck(email=person.email))
        return
    counter.call(control.DecideCheck(email=person.email, refusal="it is a drawing"))
    assert person.status().identity is CheckState.REFUSED
    assert "it is a drawing" in person.mails()[-1].text


@pytest.mark.parametrize(
    "state",
    [
        {"password": "short"},
        {"identity": CheckState.APPROVED},
        {"first_name": "Tessa"},
        {"first_name": "T", "last_name": "E", "company": "Workshop"},
        {"birth_date": "yesterday"},
        {"email": "no address"},
        {
            "first_name": "T",
            "last_name": "E",
            "identity": CheckState.APPROVED,
            "company": "W",
            "company_state": CompanyState.NONE,
        },
    ],
)
def test_a_state_that_nobody_can_be_in_is_refused_and_nothing_is_done(
    counter: HttpCounter, state: dict[str, object]
) -> None:
    fields = {"email": "tessa@workshop.example", "password": "correct horse battery", **state}
    with counter.refused(PortalErrorCode.INVALID_INPUT):
        counter.call(control.PutAccount(**fields))
    assert counter.actions() == []


def test_an_account_that_is_there_stays_as_it_is(counter: HttpCounter) -> None:
    person = signed_in(counter)
    with counter.refused(PortalErrorCode.INVALID_INPUT):
        put(counter, person)


def test_operators_entitle_license_revoke_and_end_a_lock_out(counter: HttpCounter) -> None:
    boss = manager(counter)
    boss.log_in()
    counter.call(control.Entitle(email=boss.email, make="vag", role=Role.DEVELOPMENT))
    counter.call(control.License(email=boss.email, make="vag", until_utc_s=counter.now_s + 60))
    (vag,) = [each for each in counter.call(api.GetEntitlements(session=boss.session)) if each.make == "vag"]
    assert Role.DEVELOPMENT in vag.roles
    unlock = boss.ask()
    counter.call(control.RevokeIssued(audit_id=unlock.audit_id))
    assert counter.call(api.GetKeySet()).revoked_tokens
    counter.call(control.EndLockOut(email=boss.email))
    counter.call(control.RevokeCompany(email=boss.email))
    with counter.refused(PortalErrorCode.COMPANY_REVOKED):
        boss.ask()
    for wrong in (
        control.RevokeCompany(email="nobody@workshop.example"),
        control.RevokeIssued(audit_id="none"),
        control.Entitle(email=boss.email, make="none", role=1),
    ):
        with counter.refused(PortalErrorCode.INVALID_INPUT):
            counter.call(wrong)


def test_the_whole_audit_log_is_read_from_a_position_on(counter: HttpCounter) -> None:
    signed_in(counter)
    records = counter.call(control.ReadRecords())
    assert list(records) == counter.portal.audit_log()
    assert counter.call(control.ReadRecords(after=len(records))) == ()
    assert counter.call(control.GetState()).audit_records == len(records)
    with counter.refused(PortalErrorCode.INVALID_INPUT):
        counter.call(control.ReadRecords(limit=0))


@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind is not FaultKind.SLOW])
def test_an_answer_that_goes_wrong_is_a_back_end_that_is_away_and_then_all_is_well(
    counter: HttpCounter, kind: FaultKind, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    counter.call(control.InjectFault(kind=kind, requests=1))
    # A client whose answers are not held against the document: they are spoiled on purpose.
    with HttpPortal(counter.url, World()) as plainly, counter.refused(PortalErrorCode.UNAVAILABLE):
        plainly.call(api.SignUp(email="tessa@workshop.example", password="correct horse battery"))
    carried_out = [] if kind is FaultKind.ERROR else ["sign-up"]
    assert counter.actions() == carried_out
    assert counter.call(api.GetKeySet()).token_keys


@pytest.mark.parametrize("kind", [FaultKind.BROKEN, FaultKind.TRUNCATED])
def test_an_answer_that_breaks_off_burns_no_unlock(counter: HttpCounter, kind: FaultKind) -> None:
    person = manager(counter)
    person.log_in()
    counter.wait_for_step()
    counter.call(control.InjectFault(kind=kind, path="/v1/unlocks"))
    assert person.ask(code=person.code()).payload
    assert len([action for action in counter.actions() if "issued" in action]) == 1


def test_slowness_is_added_to_the_paths_that_were_named_until_it_is_cleared(counter: HttpCounter) -> None:
    counter.call(control.InjectFault(kind=FaultKind.SLOW, requests=None, delay_ms=300, path="/v1/keys"))
    with pytest.raises(httpx.ReadTimeout):
        counter.http.get("/v1/keys", timeout=0.1)
    assert counter.http.get("/v1/crl").status_code == 200
    counter.call(control.ClearFaults())
    assert counter.http.get("/v1/keys").status_code == 200


@pytest.mark.parametrize("order", [{"requests": 0}, {"delay_ms": -1}, {"delay_ms": 10**7}, {"status": 200}])
def test_a_fault_that_makes_no_sense_is_refused(counter: HttpCounter, order: dict[str, int]) -> None:
    with counter.refused(PortalErrorCode.INVALID_INPUT):
        counter.call(control.InjectFault(**{"kind": FaultKind.ERROR, **order}))


def test_the_control_plane_describes_itself_to_who_may_use_it(counter: HttpCounter) -> None:
    document = counter.http.get("/control/v1/openapi.json", headers=RIGHT).json()
    assert set(document["paths"]) == {route.path for route in CONTROL_ROUTES}
    answer = counter.http.get("/control/v1/state", headers=RIGHT)
    require_described(document, document["paths"]["/control/v1/state"]["get"], answer)
    public = counter.http.get("/v1/openapi.json").json()
    assert not [path for path in public["paths"] if "control" in path]


def test_in_process_and_served_the_same_people_are_put(counter: HttpCounter) -> None:
    direct = Counter()
    wanted = control.PutAccount(email="Tessa@Workshop.example", password="correct horse battery")
    direct.portal.staging.put_account(wanted, direct.now_s)
    counter.call(wanted)
    for each in (direct, counter):
        session = each.call(api.PortalLogin(email="tessa@workshop.example", password="correct horse battery"))
        assert session.person == "tessa@workshop.example"
