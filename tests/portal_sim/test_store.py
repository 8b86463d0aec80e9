"""The contract of every store: a unit happens whole or not at all, and each intent in it once, and never half."""

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Barrier, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st
from portal_people import Counter, signed_in
from portal_stores import CHAIN, KINDS

from portal_sim.audit_chain import AuditChain, Broken, first_broken
from portal_sim.memory_store import MemoryStore
from portal_sim.records import (
    Account,
    AuditFilter,
    KeptReply,
    Link,
    LiveSession,
    PendingLogin,
    RefreshToken,
    TryRule,
)
from portal_sim.store import STRANGERS_LIMIT, Store, Unit
from wire import portal_api as api
from wire.portal_api import AuditRecord, CheckState, CompanyState, Mail

EMAIL, OTHER = "tessa@workshop.example", "mila@workshop.example"
RULE = TryRule(wait_s=5, longest_wait_s=12, locks_at=4)


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, new_store: Callable[[str], Store]) -> Store:
    """A store with one confirmed account."""
    store = new_store(request.param)
    with store.unit() as unit:
        unit.add_account(account(confirmed=True, attempts_left=2), 0)
    return store


@pytest.fixture
def unit(store: Store) -> Iterator[Unit]:
    with store.unit() as unit:
        yield unit


def account(email: str = EMAIL, **fields: object) -> Account:
    return Account(email=email, password_hash=b"hash", **fields)


def session(email: str = EMAIL, expires_s: int = 100, family: str = "f") -> LiveSession:
    return LiveSession(email=email, family=family, strong=True, expires_s=expires_s)


def refresh(email: str = EMAIL, expires_s: int = 100, family: str = "f") -> RefreshToken:
    return RefreshToken(email=email, family=family, strong=True, expires_s=expires_s)


def record(audit_id: str, **fields: object) -> AuditRecord:
    values = {"utc_s": 1, "action": "unlock issued", "person": EMAIL, "company": "", "make": "vag", "vin": "", **fields}
    return AuditRecord(audit_id=audit_id, ecu_address=None, role=None, scope=None, subject="", **values)


def winners(store: Store, act: Callable[[Unit], object], threads: int = 8) -> int:
    """Let threads do the same thing at once, each in a unit of its own; return to how many of them it happened."""

    def one() -> object:
        with store.unit() as unit:
            return act(unit)

    return together(one, threads)


def together(act: Callable[[], object], threads: int) -> int:
    results, gate = [], Barrier(threads)

    def race() -> None:
        gate.wait()
        results.append(act())

    runners = [Thread(target=race) for _ in range(threads)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    assert len(results) == threads
    return sum(bool(result) for result in results)


@pytest.fixture
def busy() -> Iterator[None]:
    """Threads that take turns as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


# ---- units


class Trouble(Exception):
    """Something that is no refusal."""


def everything(unit: Unit) -> None:
    """Change something of each kind."""
    unit.add_account(account(OTHER, confirm_until_s=100), 0)
    unit.confirm_account(OTHER)
    unit.set_password(EMAIL, b"other hash")
    unit.set_profile(EMAIL, "Tessa", "Example", "1990-04-01")
    unit.start_review(EMAIL, 5, "blurred", ("a1",))
    unit.offer_secret(EMAIL, b"secret")
    unit.enrol(EMAIL, b"secret")
    unit.use_totp_step(EMAIL, 7)
    unit.set_recovery_codes(EMAIL, ["r1", "r2"])
    unit.use_recovery_code(EMAIL, "r1")
    unit.count_failure("account:x", 0, RULE)
    company = unit.found_company(EMAIL, "Example Ltd", {"town": "Wolfsburg"})
    assert company is not None
    unit.set_company_state(company.company_id, CompanyState.VALIDATED)
    unit.set_licence(company.company_id, "vag", 50)
    unit.entitle(EMAIL, "vag", 3)
    unit.add_link("l", Link("invite", OTHER, company.company_id, 100))
    unit.add_login("p", PendingLogin(EMAIL, "T-1", 100))
    unit.add_session("s", session())
    unit.add_refresh("r", refresh())
    unit.use_refresh("r", 0)
    unit.issue_with_audit(
        "sfd-token:00", record("a"), KeptReply(key_hash="k", request_hash="q", reply="{}", expires_s=9)
    )
    unit.revoke("sfd-token:00", 3)
    unit.add_mail(Mail(to=EMAIL, subject="s", text="t", sent_utc_s=0))


def fail_after(store: Store, act: Callable[[Unit], None]) -> None:
    """Do it in a unit that fails then."""

    def failing() -> None:
        with store.unit() as unit:
            act(unit)
            raise Trouble

    with pytest.raises(Trouble):
        failing()


def seen(store: Store) -> list[object]:
    """Return all that `everything` changes."""
    with store.reading() as reading:
        return [
            *(reading.account(email) for email in (EMAIL, OTHER)),
            *(reading.recovery_codes_left(EMAIL), reading.tries("account:x"), reading.company(1), reading.users(1)),
            *(dict(reading.licences(1)), reading.entitlements(EMAIL), reading.invited(1, 0), reading.login("p", 0)),
            *(
                reading.visitor("s", 0),
                reading.issued("a"),
                reading.issued_to("sfd-token:00"),
                reading.kept_reply("k", 0),
            ),
            *(
                dict(reading.revoked()),
                reading.audit(),
                reading.audit_head(),
                reading.undelivered(0, 9),
                reading.media(),
            ),
            *(reading.reviews_open(), reading.reviews_due(5), reading.next_review_s()),
        ]


def test_what_a_unit_does_is_there_when_it_ends(store: Store) -> None:
    before = seen(store)
    with store.unit() as unit:
        everything(unit)
    assert all(now != then for now, then in zip(seen(store), before, strict=True))


def test_a_glance_sees_what_a_reading_sees_and_leaves_nothing_open(store: Store) -> None:
    with store.unit() as unit:
        everything(unit)
    for _ in range(20):
        with store.glance() as glance, store.reading() as reading:
            assert glance.account(EMAIL) == reading.account(EMAIL)
            assert glance.visitor("s", 0) == reading.visitor("s", 0)
    with store.unit() as unit:
        unit.end_session("s")
    with store.glance() as glance:
        assert glance.visitor("s", 0) is None


def test_a_unit_that_fails_has_done_nothing(store: Store) -> None:
    before = seen(store)
    fail_after(store, everything)
    assert seen(store) == before


def test_what_was_there_before_a_unit_that_fails_is_there_as_it_was(store: Store) -> None:
    with store.unit() as unit:
        everything(unit)
    before = seen(store)

    def much(unit: Unit) -> None:
        unit.take_authenticator(EMAIL)
        unit.end_sessions(EMAIL)
        unit.end_review(EMAIL, CheckState.APPROVED)
        unit.forget_media(EMAIL)
        unit.use_link("l", "invite", 0)
        unit.leave_company(EMAIL, 1)
        unit.set_company_profile(1, "Other Ltd", {})
        unit.clear_failures("account:x")
        unit.delivered(1)
        unit.forget_expired(10**6)

    fail_after(store, much)
    assert seen(store) == before


# ---- accounts


def test_an_account_is_found_by_its_address(unit: Unit) -> None:
    assert unit.account(EMAIL).confirmed
    assert unit.account(OTHER) is None


def test_an_account_comes_back_as_it_was_kept(unit: Unit) -> None:
    kept = account(
        OTHER, first_name="Mila", last_name="Muster", birth_date="1990-04-01", attempts_left=3, confirm_until_s=7
    )
    unit.add_account(kept, 0)
    assert unit.account(OTHER) == kept
    assert unit.password_hash(OTHER) == kept.password_hash
    unit.set_password(OTHER, b"another hash")
    assert (unit.password_hash(OTHER), unit.password_hash("nobody@x.example")) == (b"another hash", None)


def test_an_address_is_taken_when_confirmed_and_held_until_the_link_runs_out(unit: Unit) -> None:
    assert not unit.add_account(account(), 10**9)
    assert unit.add_account(account(OTHER, confirm_until_s=100), 0)
    assert not unit.add_account(account(OTHER), 99)
    assert unit.add_account(account(OTHER, first_name="Mila"), 100)
    assert unit.account(OTHER).first_name == "Mila"
    unit.confirm_account(OTHER)
    assert not unit.add_account(account(OTHER), 10**9)


def test_of_many_sign_ups_with_one_address_one_wins(store: Store, busy: None) -> None:
    assert winners(store, lambda unit: unit.add_account(account(OTHER, confirm_until_s=100), 0)) == 1


def test_a_review_is_begun_once_and_counts_an_attempt(unit: Unit) -> None:
    assert unit.next_review_s() is None
    assert unit.start_review(EMAIL, 5, "dark", ("m1", "m2"))
    assert not unit.start_review(EMAIL, 9, None, ())
    person = unit.account(EMAIL)
    assert (person.attempts_left, person.identity, person.review_due_s) == (1, CheckState.IN_PROGRESS, 5)
    assert (person.review_refusal, person.media, unit.media()) == ("dark", ("m1", "m2"), {"m1": EMAIL, "m2": EMAIL})
    assert (unit.next_review_s(), unit.reviews_due(4), unit.reviews_due(5)) == (5, [], [person])
    assert unit.end_review(EMAIL, CheckState.REFUSED)
    assert not unit.end_review(EMAIL, CheckState.APPROVED)
    assert (unit.reviews_open(), unit.next_review_s()) == ([], None)
    assert unit.start_review(EMAIL, 9, None, ())
    unit.end_review(EMAIL, CheckState.REFUSED)
    assert not unit.start_review(EMAIL, 9, None, ())  # no attempt is left


def test_who_is_approved_is_not_checked_again_and_a_persons_decision_has_no_date(unit: Unit) -> None:
    assert unit.start_review(EMAIL, None, None, ())
    assert (unit.next_review_s(), unit.reviews_due(10**9)) == (None, [])
    assert [each.email for each in unit.reviews_open()] == [EMAIL]
    assert unit.end_review(EMAIL, CheckState.APPROVED)
    assert not unit.start_review(EMAIL, 5, None, ())


def test_of_many_who_hand_in_at_once_one_does(store: Store, busy: None) -> None:
    assert winners(store, lambda unit: unit.start_review(EMAIL, 5, None, ())) == 1


# ---- companies


def test_companies_get_ids_of_their_own_and_a_person_founds_one(unit: Unit) -> None:
    unit.add_account(account(OTHER), 0)
    first, second = (unit.found_company(email, "Same Ltd", {"a": "b"}) for email in (EMAIL, OTHER))
    assert first.company_id != second.company_id
    assert (unit.company(first.company_id), unit.company(99)) == (first, None)
    assert unit.account(EMAIL).company_id == first.company_id
    assert unit.found_company(EMAIL, "Another Ltd", {}) is None
    assert [each.email for each in unit.users(first.company_id)] == [EMAIL]


def test_another_profile_is_to_be_validated_again(unit: Unit) -> None:
    company_id = unit.found_company(EMAIL, "Example Ltd", {}).company_id
    unit.set_company_state(company_id, CompanyState.VALIDATED)
    assert unit.company(company_id).state is CompanyState.VALIDATED
    unit.set_company_profile(company_id, "Other Ltd", {"town": "Ulm"})
    company = unit.company(company_id)
    assert (company.state, company.legal_name, dict(company.fields)) == (
        CompanyState.COMPLETE,
        "Other Ltd",
        {"town": "Ulm"},
    )


def test_who_leaves_was_there(unit: Unit) -> None:
    company_id = unit.found_company(EMAIL, "Example Ltd", {}).company_id
    assert not unit.leave_company(EMAIL, company_id + 1)
    assert unit.leave_company(EMAIL, company_id)
    assert (unit.account(EMAIL).company_id, unit.account(EMAIL).disassociated) == (None, True)
    assert not unit.leave_company(EMAIL, company_id)


def test_licences_and_entitlements_add_up(unit: Unit) -> None:
    company_id = unit.found_company(EMAIL, "Example Ltd", {}).company_id
    unit.set_licence(company_id, "vag", 10)
    unit.set_licence(company_id, "fca", 20)
    unit.set_licence(company_id, "vag", 30)
    assert (dict(unit.licences(company_id)), dict(unit.licences(99))) == ({"vag": 30, "fca": 20}, {})
    for _ in range(2):
        unit.entitle(EMAIL, "vag", 3)
    unit.entitle(EMAIL, "fca", 3)
    assert (unit.entitlements(EMAIL), unit.entitlements(OTHER)) == ({("vag", 3), ("fca", 3)}, frozenset())


# ---- links


def test_a_link_is_taken_once_in_time_and_for_its_kind(unit: Unit) -> None:
    unit.add_link("h", Link("confirm", EMAIL, None, 100))
    assert unit.use_link("other", "confirm", 0) is None
    assert unit.use_link("h", "invite", 0) is None
    assert unit.use_link("h", "confirm", 100) is None
    assert unit.use_link("h", "confirm", 99) == Link("confirm", EMAIL, None, 100)
    assert unit.use_link("h", "confirm", 99) is None


def two_companies(unit: Unit) -> tuple[int, int]:
    for email in ("boss@one.example", "boss@two.example"):
        unit.add_account(account(email), 0)
    one, two = (unit.found_company(f"boss@{name}.example", "Ltd", {}) for name in ("one", "two"))
    return one.company_id, two.company_id


def test_an_invitation_is_taken_once_in_time_and_by_its_person(unit: Unit) -> None:
    one, _ = two_companies(unit)
    unit.add_account(account(OTHER), 0)
    unit.add_link("c", Link("confirm", EMAIL, None, 100))
    unit.add_link("h", Link("invite", EMAIL, one, 100))
    assert (unit.invited(one, 0), unit.invited(one, 100), unit.invited(99, 0)) == ([EMAIL], [], [])
    for key, email, now_s in (("other", EMAIL, 0), ("c", EMAIL, 0), ("h", OTHER, 0), ("h", EMAIL, 100)):
        assert unit.join_company(key, email, now_s) is None
    assert unit.account(EMAIL).company_id is unit.account(OTHER).company_id is None
    assert unit.join_company("h", EMAIL, 99) is True
    assert (unit.account(EMAIL).company_id, unit.account(EMAIL).disassociated) == (one, False)
    assert unit.join_company("h", EMAIL, 99) is None
    assert unit.invited(one, 0) == []


def test_an_invitation_of_another_company_is_not_taken_and_not_burned(unit: Unit) -> None:
    one, two = two_companies(unit)
    unit.add_link("2", Link("invite", EMAIL, two, 100))
    unit.join_company("2", EMAIL, 0)
    unit.add_link("1", Link("invite", EMAIL, one, 100))
    assert unit.join_company("1", EMAIL, 0) is False
    assert unit.account(EMAIL).company_id == two
    unit.leave_company(EMAIL, two)
    assert unit.join_company("1", EMAIL, 0) is True


def test_of_two_companies_one_gets_the_person(store: Store, busy: None) -> None:
    keys = [str(number) for number in range(8)]
    with store.unit() as unit:
        for number, key in enumerate(keys):
            boss = f"boss{number}@one.example"
            unit.add_account(account(boss), 0)
            company = unit.found_company(boss, "Ltd", {})
            unit.add_link(key, Link("invite", EMAIL, company.company_id, 100))
    assert winners(store, lambda unit: unit.join_company(keys.pop(), EMAIL, 0)) == 1


def test_of_many_who_follow_one_link_one_wins(store: Store, busy: None) -> None:
    with store.unit() as unit:
        unit.add_link("h", Link("confirm", EMAIL, None, 100))
    assert winners(store, lambda unit: unit.use_link("h", "confirm", 0)) == 1


@pytest.mark.parametrize(("dropped", "gone"), [("invitation", "invitation"), ("reset", "reset")])
def test_dropped_are_one_persons_links_of_one_kind_to_one_company(unit: Unit, dropped: str, gone: str) -> None:
    one, two = two_companies(unit)
    links = {
        "invitation": Link("invite", EMAIL, one, 100),
        "invitation of another": Link("invite", OTHER, one, 100),
        "invitation to another": Link("invite", EMAIL, two, 100),
        "reset": Link("reset", EMAIL, None, 100),
        "reset of another": Link("reset", OTHER, None, 100),
        "confirmation": Link("confirm", EMAIL, None, 100),
    }
    for key, link in links.items():
        unit.add_link(key, link)
    link = links[dropped]
    assert unit.drop_links(link.kind, link.email, link.company_id) == 1
    assert unit.drop_links(link.kind, link.email, link.company_id) == 0
    assert [key for key, link in links.items() if unit.use_link(key, link.kind, 0) is None] == [gone]


# ---- second factor and failures


def test_a_secret_is_enrolled_if_it_is_the_one_that_was_offered_last(unit: Unit) -> None:
    unit.offer_secret(EMAIL, b"first")
    unit.offer_secret(EMAIL, b"second")
    assert not unit.enrol(EMAIL, b"first")
    assert unit.account(EMAIL).secret is None
    assert unit.enrol(EMAIL, b"second")
    assert (unit.account(EMAIL).secret, unit.account(EMAIL).pending_secret) == (b"second", None)
    assert not unit.enrol(EMAIL, b"second")


def test_whose_authenticator_is_taken_has_nothing_left_of_it(unit: Unit) -> None:
    unit.offer_secret(EMAIL, b"first")
    unit.enrol(EMAIL, b"first")
    unit.set_recovery_codes(EMAIL, ["a"])
    unit.take_authenticator(EMAIL)
    person = unit.account(EMAIL)
    assert (person.secret, person.pending_secret, unit.recovery_codes_left(EMAIL)) == (None, None, 0)
    assert not unit.use_recovery_code(EMAIL, "a")


def test_a_recovery_code_is_taken_once_and_by_its_person_and_new_ones_replace_the_old(unit: Unit) -> None:
    unit.set_recovery_codes(EMAIL, ["a", "b"])
    assert not unit.use_recovery_code(OTHER, "a")
    assert unit.use_recovery_code(EMAIL, "a")
    assert not unit.use_recovery_code(EMAIL, "a")
    assert unit.recovery_codes_left(EMAIL) == 1
    unit.set_recovery_codes(EMAIL, ["c"])
    assert not unit.use_recovery_code(EMAIL, "b")
    assert unit.use_recovery_code(EMAIL, "c")


def test_of_many_with_one_recovery_code_one_wins(store: Store, busy: None) -> None:
    with store.unit() as unit:
        unit.set_recovery_codes(EMAIL, ["a", "b"])
    assert winners(store, lambda unit: unit.use_recovery_code(EMAIL, "a")) == 1


@pytest.mark.parametrize(
    ("steps", "accepted"), [([5, 5], [1, 0]), ([5, 4], [1, 0]), ([5, 6], [1, 1]), ([0, 0], [1, 0])]
)
def test_a_step_is_accepted_when_it_is_later_than_the_last(unit: Unit, steps: list[int], accepted: list[int]) -> None:
    assert [unit.use_totp_step(EMAIL, step) for step in steps] == [bool(each) for each in accepted]


def test_of_many_with_one_code_one_wins(store: Store, busy: None) -> None:
    for step in range(5):
        assert winners(store, lambda unit, step=step: unit.use_totp_step(EMAIL, step), threads=4) == 1


def test_failures_count_wait_and_lock_as_the_rule_says_each_subject_by_itself(unit: Unit) -> None:
    counted = [unit.count_failure("account:a", 100, RULE) for _ in range(4)]
    assert [tries.failures for tries in counted] == [1, 2, 3, 4]
    assert [tries.blocked_until_s for tries in counted] == [105, 110, 112, 112]
    assert [tries.locked_out for tries in counted] == [False, False, False, True]
    assert unit.count_failure("account:b", 100, RULE).failures == 1
    assert unit.tries("account:a") == counted[-1]
    assert unit.tries("account:c").failures == 0
    assert unit.both_tries("account:c", "account:a") == (unit.tries("account:c"), counted[-1])
    assert unit.both_tries("account:a", "account:a") == (counted[-1], counted[-1])
    unit.clear_failures("account:a")
    unit.clear_failures("account:a")
    assert (unit.tries("account:a").failures, unit.tries("account:a").locked_out) == (0, False)
    assert unit.count_failure("account:a", 100, RULE).failures == 1


def test_a_rule_may_give_free_tries_and_forget(unit: Unit) -> None:
    rule = TryRule(wait_s=5, longest_wait_s=100, free=2, forgets_after_s=60)
    waits = [unit.count_failure("address:a", 100, rule).blocked_until_s - 100 for _ in range(4)]
    assert waits == [0, 0, 5, 10]
    assert unit.count_failure("address:a", 160, rule).failures == 5
    assert unit.count_failure("address:a", 221, rule).failures == 1


def test_no_failure_is_lost_when_many_fail_at_once(store: Store, busy: None) -> None:
    assert winners(store, lambda unit: unit.count_failure("account:a", 0, RULE)) == 8
    with store.reading() as reading:
        assert reading.tries("account:a").failures == 8


@pytest.mark.slow
def test_failures_of_strangers_do_not_fill_the_memory(unit: Unit) -> None:
    for number in range(STRANGERS_LIMIT + 1):
        unit.count_failure(f"account:{number}@x.example", number, RULE)
    unit.count_failure(f"account:{EMAIL}", 0, RULE)
    unit.forget_expired(0)
    assert unit.tries("account:0@x.example").failures == 0
    assert unit.tries("account:1@x.example").failures == 1
    assert unit.tries(f"account:{STRANGERS_LIMIT}@x.example").failures == 1
    assert unit.tries(f"account:{EMAIL}").failures == 1


# ---- logins and sessions


def test_sessions_and_logins_are_there_until_they_run_out_or_end(unit: Unit) -> None:
    unit.add_session("s", session())
    unit.add_login("l", PendingLogin(EMAIL, "T-1", 100))
    assert unit.visitor("s", 99).account.email == unit.login("l", 99).email == EMAIL
    assert unit.visitor("s", 100) is None
    assert unit.login("l", 100) is None
    unit.end_session("s")
    unit.end_login("l")
    unit.end_session("s")  # ending what is gone is nothing
    unit.end_login("l")
    assert unit.visitor("s", 0) is None
    assert unit.login("l", 0) is None


def test_a_visitor_comes_with_account_and_company(unit: Unit) -> None:
    unit.add_session("s", session())
    visitor = unit.visitor("s", 0)
    assert (visitor.session, visitor.account, visitor.company) == (session(), unit.account(EMAIL), None)
    company = unit.found_company(EMAIL, "Example Ltd", {"town": "Ulm"})
    assert unit.visitor("s", 0).company == company


def test_all_sessions_and_logins_of_a_person_end_but_maybe_one(unit: Unit) -> None:
    unit.add_account(account(OTHER), 0)
    for key, email in {"a": EMAIL, "b": EMAIL, "c": OTHER}.items():
        unit.add_session(key, session(email, family=key))
        unit.add_refresh(key, refresh(email, family=key))
        unit.add_login(key, PendingLogin(email, "T-1", 100))
    unit.end_sessions(EMAIL, but="a")
    assert [key for key in "abc" if unit.visitor(key, 0)] == ["a", "c"]
    assert [key for key in "abc" if unit.login(key, 0)] == ["c"]
    assert unit.use_refresh("b", 0) is None
    unit.end_sessions(EMAIL)
    assert [key for key in "abc" if unit.visitor(key, 0)] == ["c"]
    assert [key for key in "abc" if unit.use_refresh(key, 0)] == ["c"]


def test_a_refresh_token_is_new_once(unit: Unit) -> None:
    unit.add_refresh("r", refresh())
    assert unit.use_refresh("other", 0) is None
    assert unit.use_refresh("r", 100) is None
    assert unit.use_refresh("r", 99) == refresh()
    assert unit.use_refresh("r", 99).used


def test_of_many_with_one_refresh_token_one_is_first(store: Store, busy: None) -> None:
    with store.unit() as unit:
        unit.add_refresh("r", refresh())
    assert winners(store, lambda unit: not unit.use_refresh("r", 0).used) == 1


def test_a_family_ends_as_one_and_with_any_of_its_sessions(unit: Unit) -> None:
    for family in ("f", "g"):
        for key in ("1", "2"):
            unit.add_session(family + key, session(family=family))
            unit.add_refresh(family + key, refresh(family=family))
    unit.end_family("f")
    unit.end_session("g1")
    assert [key for key in ("f1", "f2", "g1", "g2") if unit.visitor(key, 0) or unit.use_refresh(key, 0)] == []


LIFETIMES = st.lists(st.integers(0, 10), max_size=8)


@given(links=LIFETIMES, logins=LIFETIMES, sessions=LIFETIMES, now_s=st.integers(0, 11))
def test_what_has_run_out_is_forgotten_and_nothing_else(
    links: list[int], logins: list[int], sessions: list[int], now_s: int
) -> None:
    store: Store = MemoryStore()  # the others behave as this one; a database for each example would take minutes
    with store.unit() as unit:
        unit.add_account(account(confirmed=True), 0)
        for number, until_s in enumerate(links):
            unit.add_link(str(number), Link("confirm", EMAIL, None, until_s))
        for number, until_s in enumerate(logins):
            unit.add_login(str(number), PendingLogin(EMAIL, "T-1", until_s))
        for number, until_s in enumerate(sessions):
            unit.add_session(str(number), session(expires_s=until_s))
        unit.forget_expired(now_s)
        for number, until_s in enumerate(logins):
            assert (unit.login(str(number), now_s) is not None) == (now_s < until_s)
        for number, until_s in enumerate(sessions):
            assert (unit.visitor(str(number), now_s) is not None) == (now_s < until_s)
        for number, until_s in enumerate(links):
            assert (unit.use_link(str(number), "confirm", now_s) is not None) == (now_s < until_s)


def test_nothing_that_has_run_out_comes_back_when_the_clock_is_put_back(unit: Unit) -> None:
    unit.add_session("s", session())
    unit.add_refresh("r", refresh())
    unit.add_login("l", PendingLogin(EMAIL, "T-1", 100))
    unit.add_link("c", Link("confirm", EMAIL, None, 100))
    unit.forget_expired(100)
    assert (unit.visitor("s", 0), unit.use_refresh("r", 0), unit.login("l", 0)) == (None, None, None)
    assert unit.use_link("c", "confirm", 0) is None


def alive(*kinds: type) -> int:
    gc.collect()
    return sum(type(each) in kinds for each in gc.get_objects())


def test_a_store_does_not_grow_with_what_has_run_out(store: Store) -> None:
    kinds = (Link, PendingLogin, LiveSession, RefreshToken)
    before = alive(*kinds)
    for number in range(200):
        with store.unit() as unit:
            unit.add_link(str(number), Link("confirm", EMAIL, None, number + 10))
            unit.add_login(str(number), PendingLogin(EMAIL, "T-1", number + 10))
            unit.add_session(str(number), session(expires_s=number + 10))
            unit.add_refresh(str(number), refresh(expires_s=number + 10))
            unit.forget_expired(number)
    assert alive(*kinds) - before <= 4 * 11
    with store.unit() as unit:
        unit.forget_expired(10**9)
    assert alive(*kinds) == before


def test_sessions_come_and_go_while_the_old_ones_are_forgotten(store: Store, busy: None) -> None:
    clock = iter(range(10**6))

    def live() -> bool:
        for _ in range(10):
            now_s = next(clock)
            with store.unit() as unit:
                unit.add_session(str(now_s), session(expires_s=now_s + 1000, family=str(now_s)))
                unit.forget_expired(now_s)
            with store.unit() as unit:
                if unit.visitor(str(now_s), now_s) is None:
                    return False
                unit.end_session(str(now_s))
        return True

    assert together(live, 8) == 8


# ---- issue and audit


def test_an_issue_its_record_and_its_answer_are_there_together(unit: Unit) -> None:
    reply = KeptReply(key_hash="k", request_hash="q", reply='{"payload": "00"}', expires_s=100)
    unit.add_audit(record("a"))
    unit.issue_with_audit("sfd-token:00", record("b"), reply)
    assert [entry.record.audit_id for entry in unit.audit()] == ["a", "b"]
    assert [unit.issued(audit_id) for audit_id in ("a", "b", "c")] == [None, "sfd-token:00", None]
    assert (unit.audit_record("b"), unit.audit_record("c")) == (record("b"), None)
    assert (unit.kept_reply("k", 99), unit.kept_reply("k", 100), unit.kept_reply("j", 0)) == (reply, None, None)


def test_of_several_who_got_one_unlock_the_first_is_named(unit: Unit) -> None:
    assert unit.issued_to("signed-seed:00") is None
    unit.issue_with_audit("signed-seed:00", record("a"))
    unit.issue_with_audit("signed-seed:00", record("b", person=OTHER))
    assert unit.issued_to("signed-seed:00") == EMAIL


def test_a_revocation_is_new_once_and_keeps_its_time(unit: Unit) -> None:
    assert unit.revoke("sfd-token:00", 5)
    assert not unit.revoke("sfd-token:00", 9)
    assert unit.revoke("certificate:1f", 9)
    assert dict(unit.revoked()) == {"sfd-token:00": 5, "certificate:1f": 9}


WANTED = {
    "company": (AuditFilter(company_id=1), "ac"),
    "person": (AuditFilter(person=OTHER), "b"),
    "action": (AuditFilter(action="login"), "c"),
    "make": (AuditFilter(make="fca"), "b"),
    "vin": (AuditFilter(vin="V1"), "c"),
    "since": (AuditFilter(since_utc_s=2), "bc"),
    "until": (AuditFilter(until_utc_s=3), "ab"),
    "all of it": (AuditFilter(company_id=1, since_utc_s=2, until_utc_s=4), "c"),
}


@pytest.mark.parametrize(("wanted", "found"), WANTED.values(), ids=WANTED)
def test_the_log_is_read_by_filter(unit: Unit, wanted: AuditFilter, found: str) -> None:
    unit.add_audit(record("a", company_id=1))
    unit.add_audit(record("b", utc_s=2, person=OTHER, make="fca", company_id=2))
    unit.add_audit(record("c", utc_s=3, action="login", vin="V1", company_id=1))
    assert "".join(entry.record.audit_id for entry in unit.audit(wanted=wanted)) == found


def test_the_log_is_read_page_by_page(unit: Unit) -> None:
    for number in range(5):
        unit.add_audit(record(str(number), person=EMAIL if number % 2 else OTHER))
    assert [entry.position for entry in unit.audit(2)] == [3, 4, 5]
    assert [entry.position for entry in unit.audit(1, 2)] == [2, 3]
    assert [entry.position for entry in unit.audit(1, 2, AuditFilter(person=OTHER))] == [3, 5]
    assert unit.audit(5) == []


def test_the_log_is_a_chain_that_holds_and_another_key_does_not_make_it(unit: Unit) -> None:
    assert first_broken(CHAIN, unit.audit(), unit.audit_head()) is None
    for number in range(3):
        unit.add_audit(record(str(number)))
    assert first_broken(CHAIN, unit.audit(), unit.audit_head()) is None
    assert unit.audit_head()[0] == 3
    assert first_broken(AuditChain(b"x" * 32), unit.audit(), unit.audit_head()).position == 1
    assert isinstance(first_broken(CHAIN, unit.audit()[:2], unit.audit_head()), Broken)


# ---- outbox


def mail(subject: str = "s") -> Mail:
    return Mail(to=EMAIL, subject=subject, text="a text", sent_utc_s=7, link_code="a-code")


def test_mails_leave_the_outbox_when_they_are_delivered_oldest_first(unit: Unit) -> None:
    for subject in "abc":
        unit.add_mail(mail(subject))
    assert [each.mail for each in unit.undelivered(0, 2)] == [mail("a"), mail("b")]
    unit.delivered(unit.undelivered(0, 1)[0].mail_id)
    unit.delivered(10**6)  # delivering what is gone is nothing
    assert [each.mail.subject for each in unit.undelivered(0, 9)] == ["b", "c"]


def test_a_mail_that_could_not_be_delivered_waits_for_its_next_try(unit: Unit) -> None:
    unit.add_mail(mail())
    (outgoing,) = unit.undelivered(0, 9)
    assert outgoing.attempts == 0
    unit.failed(outgoing.mail_id, 60)
    assert unit.undelivered(59, 9) == []
    (again,) = unit.undelivered(60, 9)
    assert (again.mail_id, again.mail, again.attempts) == (outgoing.mail_id, outgoing.mail, 1)


def test_a_mail_that_left_the_outbox_gives_its_number_to_no_other(unit: Unit) -> None:
    unit.add_mail(mail("a"))
    (first,) = unit.undelivered(0, 9)
    unit.delivered(first.mail_id)
    unit.add_mail(mail("b"))
    assert unit.undelivered(0, 9)[0].mail_id != first.mail_id


# ---- two testers and one code


def test_two_testers_racing_with_one_code_one_gets_in(store: Store, busy: None) -> None:
    counter = Counter(store=store)
    person = signed_in(counter, "thea")
    person.log_in()
    counter.wait_for_step()

    def finish(step: api.LoginStep) -> bool:
        with suppress(api.PortalError):
            return bool(person.finish(step, person.code()))
        return False

    steps = [person.begin() for _ in range(4)]
    assert together(lambda: finish(steps.pop()), 4) == 1
