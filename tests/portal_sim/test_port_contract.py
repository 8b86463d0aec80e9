"""One contract for every door to the portal: in process and over HTTP the same replies, the same refusals, of the same types."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from portal_people import CLUSTER, LONGEST_REVIEW_S, VIN, Counter, Visitor, colleague, manager, signed_in
from served_portal import HttpCounter

from wire import portal_api as api
from wire.errors import LocalMisuse
from wire.portal_api import PortalErrorCode as Code
from wire.portal_routes import ROUTES
from wire.token import RequestStructure, Role, Scope


@pytest.fixture(params=["direct", "http"])
def counter(request: pytest.FixtureRequest) -> Iterator[Counter]:
    with contextlib.ExitStack() as stack:
        yield Counter() if request.param == "direct" else HttpCounter(stack)


def boss_logged_in(counter: Counter) -> Visitor:
    boss = manager(counter)
    boss.log_in()
    boss.sign_in()
    return boss


def test_an_account_is_made_confirmed_and_its_password_changed(counter: Counter) -> None:
    person = Visitor(counter)
    assert isinstance(person.sign_up(), api.Done)
    assert person.confirm() == api.Done("Your e-mail address is confirmed.")
    session = person.sign_in()
    assert isinstance(session, api.Session)
    assert (session.strong, session.person, session.recovery_codes) == (False, person.email, ())
    new = "another horse, another battery"
    done = counter.call(api.ChangePassword(session=person.browser, old_password=person.password, new_password=new))
    assert isinstance(done, api.Done)
    with counter.refused(Code.LOGIN_FAILED):
        person.sign_in()
    counter.wait(60)
    person.sign_in(new)


def test_a_password_is_retrieved_by_mail(counter: Counter) -> None:
    person = signed_in(counter)
    assert isinstance(counter.call(api.RequestReset(email=person.email)), api.Done)
    reset = api.ConfirmReset(link_code=person.link(), new_password="a wholly new horse")
    assert isinstance(counter.call(reset), api.Done)
    with counter.refused(Code.LINK_INVALID):
        counter.call(reset)


def test_the_page_says_how_far_a_person_is(counter: Counter) -> None:
    person = signed_in(counter)
    before = person.status()
    assert isinstance(before, api.ProfileStatus)
    assert (before.personal_profile, before.identity, before.company) == (
        False,
        api.CheckState.NONE,
        api.CompanyState.NONE,
    )
    person.fill_in()
    person.hand_in()
    assert person.status().identity is api.CheckState.IN_PROGRESS
    counter.wait(LONGEST_REVIEW_S)
    assert person.status().identity is api.CheckState.APPROVED
    person.company()
    person.validate()
    after = person.status()
    assert (after.company, after.manager) == (api.CompanyState.VALIDATED, True)
    assert isinstance(after.messages, tuple)


def test_a_login_enrols_is_refreshed_and_ends(counter: Counter) -> None:
    person = signed_in(counter)
    step = person.begin()
    assert isinstance(step, api.LoginStep)
    session = person.finish(step, person.code())
    assert session.strong
    assert len(session.recovery_codes) == 10
    renewed = counter.call(api.Refresh(refresh_token=session.refresh_token))
    assert renewed.token != session.token
    counter.wait_for_step()
    fresh = counter.call(api.NewRecoveryCodes(session=renewed.token, code=person.code()))
    assert isinstance(fresh, api.RecoveryCodes)
    assert isinstance(counter.call(api.Logout(session=renewed.token)), api.Done)
    with counter.refused(Code.SESSION_INVALID):
        counter.call(api.GetStatus(session=renewed.token))


def test_a_refresh_token_that_is_shown_again_ends_its_family(counter: Counter) -> None:
    person = signed_in(counter)
    session = person.finish(person.begin(), person.code())
    renewed = counter.call(api.Refresh(refresh_token=session.refresh_token))
    with counter.refused(Code.SESSION_INVALID):
        counter.call(api.Refresh(refresh_token=session.refresh_token))
    with counter.refused(Code.SESSION_INVALID):
        counter.call(api.GetStatus(session=renewed.token))


def test_a_company_has_people(counter: Counter) -> None:
    boss = boss_logged_in(counter)
    other = colleague(counter, boss, "conrad")
    guest = signed_in(counter, "gina+a/b%2f")
    boss.invite(guest)
    people = counter.call(api.ListUsers(session=boss.browser))
    assert isinstance(people, api.CompanyUsers)
    assert [user.email for user in people.users] == sorted([boss.email, other.email])
    assert people.invited == (guest.email,)
    assert isinstance(counter.call(api.WithdrawInvitation(session=boss.browser, email=guest.email)), api.Done)
    assert counter.call(api.ListUsers(session=boss.browser)).invited == ()
    other.log_in()
    assert isinstance(boss.reset_second_factor(other), api.Done)
    assert isinstance(boss.disassociate(other), api.Done)
    with counter.refused(Code.INVALID_INPUT):
        boss.disassociate(other)


def test_an_unlock_is_asked_for_and_revoked(counter: Counter) -> None:
    boss = boss_logged_in(counter)
    counter.call(api.GetEntitlements(session=boss.session))
    (vag,) = [each for each in counter.call(api.GetEntitlements(session=boss.session)) if each.make == "vag"]
    assert api.UnlockKind.SFD_TOKEN in vag.kinds
    unlock = boss.ask()
    assert isinstance(unlock, api.Unlock)
    assert isinstance(unlock.payload, bytes)
    assert isinstance(counter.call(api.RevokeUnlock(session=boss.session, audit_id=unlock.audit_id)), api.Done)
    keys = counter.call(api.GetKeySet())
    assert len(keys.revoked_tokens) == 1
    with counter.refused(Code.INVALID_INPUT):
        counter.call(api.RevokeUnlock(session=boss.session, audit_id="no/such?id"))


def test_the_same_idempotency_key_gets_the_same_unlock_and_spends_one_code(counter: Counter) -> None:
    boss = boss_logged_in(counter)
    counter.wait_for_step()
    key = 'a key with "quotes" \\ and more'
    first = boss.ask(code=(code := boss.code()), idempotency_key=key)
    assert boss.ask(code=code, idempotency_key=key) == first
    with counter.refused(Code.KEY_REUSED):
        boss.ask(code=code, idempotency_key=key, scope=Scope.CODING + 1)
    with counter.refused(Code.CODE_REJECTED):
        boss.ask(code=code, idempotency_key="another")
    for none in ("k" * 65, "kéy", "k\ny"):
        counter.wait(600)
        with counter.refused(Code.INVALID_INPUT):
            boss.ask(code="1", idempotency_key=none)


def test_an_unlock_goes_by_file_too(counter: Counter) -> None:
    boss = boss_logged_in(counter)
    with counter.refused(Code.REQUEST_STRUCTURE_INVALID):
        counter.call(
            api.RequestUnlockByFile(
                session=boss.session,
                make="vag",
                role=Role.AFTER_SALES,
                scope=Scope.CODING,
                request_text="no request",
                code=boss.code(),
            )
        )


def test_vehicles_get_keys_and_the_revocation_list(counter: Counter) -> None:
    keys = counter.call(api.GetKeySet())
    assert isinstance(keys, api.KeySet)
    assert isinstance(keys.revoked_serials, frozenset)
    assert counter.call(api.GetRevocationList()).der[:1] == b"\x30"


def test_the_manager_reads_the_audit_log_in_pages(counter: Counter) -> None:
    boss = boss_logged_in(counter)
    boss.ask()
    page = counter.call(api.ReadAudit(session=boss.session))
    assert isinstance(page, api.AuditPage)
    first = counter.call(api.ReadAudit(session=boss.session, limit=1))
    assert first.records == page.records[:1]
    assert first.more
    rest = counter.call(api.ReadAudit(session=boss.session, after=first.position))
    assert rest.records == page.records[1:]
    (issued,) = counter.call(api.ReadAudit(session=boss.session, vin=VIN)).records
    assert (issued.ecu_address, issued.person) == (CLUSTER, boss.email)
    until = counter.call(api.ReadAudit(session=boss.session, until_utc_s=counter.now_s - 10**6))
    assert until.records == ()
    with counter.refused(Code.INVALID_INPUT):
        counter.call(api.ReadAudit(session=boss.session, limit=0))


@pytest.mark.parametrize("token", ["", "nobody's", "with\nline", "snöw", "\ud800", " ", "a b", "x" * 5000])
def test_who_shows_no_session_that_lives_is_told_so(counter: Counter, token: str) -> None:
    with counter.refused(Code.SESSION_INVALID) as refused:
        counter.call(api.GetStatus(session=token))
    assert refused.value.sentence == "You are not signed in, or the session has run out."


def test_a_wait_is_told_with_the_refusal(counter: Counter) -> None:
    person = signed_in(counter)
    wrong = api.PortalLogin(email=person.email, password="not the right one", code=None)
    with counter.refused(Code.LOGIN_FAILED) as failed:
        counter.call(wrong)
    assert failed.value.retry_after_s is None
    with counter.refused(Code.THROTTLED) as refused:
        counter.call(wrong)
    assert refused.value.retry_after_s == 5
    assert "5 s" in refused.value.sentence


@pytest.mark.parametrize("email", ["no address", "a@b", "x" * 70 + "@workshop.example", "a\x07@workshop.example", ""])
def test_what_is_no_address_is_refused_alike(counter: Counter, email: str) -> None:
    with counter.refused(Code.INVALID_INPUT) as refused:
        counter.call(api.SignUp(email=email, password="correct horse battery"))
    assert refused.value.sentence == "Please check the e-mail address: it must look like name@company.example."


def test_what_is_no_request_is_the_callers_mistake(counter: Counter) -> None:
    class Unheard(api.Request[api.Done]):
        pass

    with pytest.raises(LocalMisuse, match="Unheard"):
        counter.call(Unheard())


def test_the_way_from_sign_up_to_the_token_is_the_same_to_the_byte() -> None:
    ways = []
    with contextlib.ExitStack() as stack:
        for counter in (Counter(seed=11), HttpCounter(stack, seed=11)):
            person = manager(counter)
            person.log_in()
            counter.wait_for_step()
            ways.append((person.ask(), counter.actions(), counter.call(api.GetKeySet())))
    assert ways[0] == ways[1]


def test_every_request_of_the_boundary_has_a_route() -> None:
    routed = {route.message for route in ROUTES}
    messages = {each for each in vars(api).values() if isinstance(each, type) and issubclass(each, api.Request)}
    assert routed == messages - {api.Request, api.ReadMail}


def test_the_structure_in_a_request_reaches_the_portal_whole(counter: Counter) -> None:
    boss = boss_logged_in(counter)
    other = RequestStructure(ecu_address=CLUSTER, vin="WVWZZZCD4MW000002", nonce=bytes(16)).encode()
    with counter.refused(Code.REQUEST_STRUCTURE_INVALID) as refused:
        boss.ask(challenge=other)
    assert "another vehicle" in refused.value.sentence


def test_the_log_is_taken_home_by_either_door(counter: Counter) -> None:
    boss = manager(counter, "lena")
    for form, first in ((api.ExportAuditAsCsv, b"audit_id,"), (api.ExportAuditAsLines, b'{"audit_id"')):
        assert counter.call(form(session=boss.browser, person=boss.email)).data.startswith(first)
