"""The contract of every store: each intent happens whole or not at all, once, and never half."""

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Barrier, BrokenBarrierError, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st
from portal_people import Counter, signed_in

from portal_sim.records import Account, Company, Link, LiveSession, PendingLogin
from portal_sim.store import MAILBOX_LIMIT, STRANGERS_LIMIT, MemoryStore, Store
from wire import portal_api as api
from wire.portal_api import AuditRecord, CompanyState, Mail

EMAIL, OTHER = "tessa@workshop.example", "mila@workshop.example"
STORES: dict[str, Callable[[], Store]] = {"memory": MemoryStore}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Store:
    """A store with one confirmed account."""
    store = STORES[request.param]()
    store.add_account(account(confirmed=True), 0)
    return store


def account(email: str = EMAIL, **fields: object) -> Account:
    return Account(email=email, password_hash=b"hash", **fields)


def record(audit_id: str) -> AuditRecord:
    return AuditRecord(
        audit_id=audit_id,
        utc_s=1,
        action="unlock issued",
        person=EMAIL,
        company="",
        make="vag",
        vin="",
        ecu_address=None,
        role=None,
        scope=None,
        subject="",
    )


def winners(act: Callable[[], object], threads: int = 8) -> int:
    """Let threads do the same thing at once; return to how many of them it happened."""
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


# ---- accounts


def test_an_account_is_found_by_its_address(store: Store) -> None:
    assert store.account(EMAIL).confirmed
    assert store.account(OTHER) is None


def test_an_address_is_taken_when_confirmed_and_held_until_the_link_runs_out(store: Store) -> None:
    assert not store.add_account(account(), 10**9)
    assert store.add_account(account(OTHER, confirm_until_s=100), 0)
    assert not store.add_account(account(OTHER), 99)
    assert store.add_account(account(OTHER, first_name="Mila"), 100)
    assert store.account(OTHER).first_name == "Mila"


def test_of_many_sign_ups_with_one_address_one_wins(store: Store, busy: None) -> None:
    assert winners(lambda: store.add_account(account(OTHER, confirm_until_s=100), 0)) == 1


def test_accounts_under_review_are_those_with_a_date(store: Store) -> None:
    assert store.accounts_under_review() == []
    store.account(EMAIL).review_due_s = 5
    assert [each.email for each in store.accounts_under_review()] == [EMAIL]


def test_companies_get_ids_of_their_own(store: Store) -> None:
    first, second = (store.add_company(Company(0, EMAIL, CompanyState.COMPLETE, name, {})) for name in "AB")
    assert first.company_id != second.company_id
    assert store.company(first.company_id).legal_name == "A"
    assert store.company(99) is None


# ---- links


def test_a_link_is_taken_once_in_time_and_for_its_kind(store: Store) -> None:
    store.add_link("h", Link("confirm", EMAIL, None, 100))
    assert store.use_link("other", "confirm", 0) is None
    assert store.use_link("h", "invite", 0) is None
    assert store.use_link("h", "confirm", 100) is None
    assert store.use_link("h", "confirm", 99) is not None
    assert store.use_link("h", "confirm", 99) is None


def test_an_invitation_is_taken_once_in_time_and_by_its_person(store: Store) -> None:
    store.add_account(account(OTHER), 0)
    store.add_link("c", Link("confirm", EMAIL, None, 100))
    store.add_link("h", Link("invite", EMAIL, 1, 100))
    for key, email, now_s in (("other", EMAIL, 0), ("c", EMAIL, 0), ("h", OTHER, 0), ("h", EMAIL, 100)):
        assert store.join_company(key, email, now_s) is None
    assert store.account(EMAIL).company_id is store.account(OTHER).company_id is None
    store.account(EMAIL).disassociated = True
    assert store.join_company("h", EMAIL, 99) is True
    assert (store.account(EMAIL).company_id, store.account(EMAIL).disassociated) == (1, False)
    assert store.join_company("h", EMAIL, 99) is None


def test_an_invitation_of_another_company_is_not_taken_and_not_burned(store: Store) -> None:
    store.account(EMAIL).company_id = 2
    store.add_link("h", Link("invite", EMAIL, 1, 100))
    assert store.join_company("h", EMAIL, 0) is False
    assert store.account(EMAIL).company_id == 2
    store.account(EMAIL).company_id = None
    assert store.join_company("h", EMAIL, 0) is True


def test_of_two_companies_one_gets_the_person(store: Store, busy: None) -> None:
    keys = [str(number) for number in range(8)]
    for number, key in enumerate(keys):
        store.add_link(key, Link("invite", EMAIL, number, 100))
    assert winners(lambda: store.join_company(keys.pop(), EMAIL, 0)) == 1


def test_of_many_who_follow_one_link_one_wins(store: Store, busy: None) -> None:
    store.add_link("h", Link("confirm", EMAIL, None, 100))
    assert winners(lambda: store.use_link("h", "confirm", 0)) == 1


@pytest.mark.parametrize(("dropped", "gone"), [(("invite", EMAIL, 1), "invitation"), (("reset", EMAIL), "reset")])
def test_dropped_are_one_persons_links_of_one_kind_to_one_company(
    store: Store, dropped: tuple[object, ...], gone: str
) -> None:
    links = {
        "invitation": Link("invite", EMAIL, 1, 100),
        "invitation of another": Link("invite", OTHER, 1, 100),
        "invitation to another": Link("invite", EMAIL, 2, 100),
        "reset": Link("reset", EMAIL, None, 100),
        "reset of another": Link("reset", OTHER, None, 100),
        "confirmation": Link("confirm", EMAIL, None, 100),
    }
    for key, link in links.items():
        store.add_link(key, link)
    store.drop_links(*dropped)
    assert [key for key, link in links.items() if store.use_link(key, link.kind, 0) is None] == [gone]


# ---- codes and failures


@pytest.mark.parametrize(
    ("steps", "accepted"), [([5, 5], [1, 0]), ([5, 4], [1, 0]), ([5, 6], [1, 1]), ([0, 0], [1, 0])]
)
def test_a_step_is_accepted_when_it_is_later_than_the_last(store: Store, steps: list[int], accepted: list[int]) -> None:
    assert [store.use_totp_step(EMAIL, step) for step in steps] == [bool(each) for each in accepted]


def test_of_many_with_one_code_one_wins(store: Store, busy: None) -> None:
    for step in range(20):
        assert winners(lambda step=step: store.use_totp_step(EMAIL, step), threads=4) == 1


def test_failures_are_counted_and_forgotten_each_address_by_itself(store: Store) -> None:
    assert [store.count_failure(EMAIL) for _ in range(3)] == [1, 2, 3]
    assert [store.count_failure("nobody@x.example") for _ in range(2)] == [1, 2]
    assert store.tries(EMAIL).failures == 3
    assert store.tries("nobody@x.example").failures == 2
    assert store.tries("nobody.else@x.example").failures == 0
    store.tries(EMAIL).locked_out = True
    store.clear_failures(EMAIL)
    assert (store.tries(EMAIL).failures, store.tries(EMAIL).locked_out) == (0, False)
    assert store.count_failure(EMAIL) == 1


def test_no_failure_is_lost_when_many_fail_at_once(store: Store, busy: None) -> None:
    assert winners(lambda: store.count_failure(EMAIL)) == 8
    assert store.tries(EMAIL).failures == 8


def test_failures_of_strangers_do_not_fill_the_memory(store: Store) -> None:
    for number in range(STRANGERS_LIMIT + 1):
        store.count_failure(f"{number}@x.example")
    assert store.tries("0@x.example").failures == 0
    assert store.tries("1@x.example").failures == 1
    assert store.tries(f"{STRANGERS_LIMIT}@x.example").failures == 1


# ---- logins and sessions


def test_sessions_and_logins_are_there_until_they_run_out_or_end(store: Store) -> None:
    store.add_session("s", LiveSession(EMAIL, 100, strong=True))
    store.add_login("l", PendingLogin(EMAIL, "T-1", 100))
    assert store.session("s", 99).email == store.login("l", 99).email == EMAIL
    assert store.session("s", 100) is None
    assert store.login("l", 100) is None
    store.end_session("s")
    store.end_login("l")
    store.end_session("s")  # ending what is gone is nothing
    store.end_login("l")
    assert store.session("s", 0) is None
    assert store.login("l", 0) is None


def test_all_sessions_and_logins_of_a_person_end_but_maybe_one(store: Store) -> None:
    for key, email in {"a": EMAIL, "b": EMAIL, "c": OTHER}.items():
        store.add_session(key, LiveSession(email, 100, strong=True))
        store.add_login(key, PendingLogin(email, "T-1", 100))
    store.end_sessions(EMAIL, but="a")
    assert [key for key in "abc" if store.session(key, 0)] == ["a", "c"]
    assert [key for key in "abc" if store.login(key, 0)] == ["c"]
    store.end_sessions(EMAIL)
    assert [key for key in "abc" if store.session(key, 0)] == ["c"]


LIFETIMES = st.lists(st.integers(0, 10), max_size=8)


@given(links=LIFETIMES, logins=LIFETIMES, sessions=LIFETIMES, now_s=st.integers(0, 11))
def test_what_has_run_out_is_forgotten_and_nothing_else(
    links: list[int], logins: list[int], sessions: list[int], now_s: int
) -> None:
    for make in STORES.values():
        store = make()
        store.add_account(account(confirmed=True), 0)
        for number, until_s in enumerate(links):
            store.add_link(str(number), Link("confirm", EMAIL, None, until_s))
        for number, until_s in enumerate(logins):
            store.add_login(str(number), PendingLogin(EMAIL, "T-1", until_s))
        for number, until_s in enumerate(sessions):
            store.add_session(str(number), LiveSession(EMAIL, until_s, strong=True))
        store.forget_expired(now_s)
        for number, until_s in enumerate(logins):
            assert (store.login(str(number), now_s) is not None) == (now_s < until_s)
        for number, until_s in enumerate(sessions):
            assert (store.session(str(number), now_s) is not None) == (now_s < until_s)
        for number, until_s in enumerate(links):
            assert (store.use_link(str(number), "confirm", now_s) is not None) == (now_s < until_s)


def alive(*kinds: type) -> int:
    gc.collect()
    return sum(type(each) in kinds for each in gc.get_objects())


def test_a_store_does_not_grow_with_what_has_run_out(store: Store) -> None:
    kinds = (Link, PendingLogin, LiveSession)
    before = alive(*kinds)
    for number in range(1000):
        store.add_link(str(number), Link("confirm", EMAIL, None, number + 10))
        store.add_login(str(number), PendingLogin(EMAIL, "T-1", number + 10))
        store.add_session(str(number), LiveSession(EMAIL, number + 10, strong=True))
        store.forget_expired(number)
    assert alive(*kinds) - before <= 3 * 10
    store.forget_expired(10**9)
    assert alive(*kinds) == before


def test_sessions_come_and_go_while_the_old_ones_are_forgotten(store: Store, busy: None) -> None:
    clock = iter(range(10**6))

    def live() -> bool:
        for _ in range(50):
            now_s = next(clock)
            store.add_session(str(now_s), LiveSession(EMAIL, now_s + 1000, strong=True))
            store.forget_expired(now_s)
            if store.session(str(now_s), now_s) is None:
                return False
            store.end_session(str(now_s))
        return True

    assert winners(live) == 8


# ---- issue, audit, mail


def test_an_issue_and_its_record_are_there_together(store: Store) -> None:
    store.add_audit(record("a"))
    store.issue_with_audit("sfd-token:00", record("b"))
    assert [each.audit_id for each in store.audit()] == ["a", "b"]
    assert [store.issued(audit_id) for audit_id in ("a", "b", "c")] == [None, "sfd-token:00", None]


def test_mailboxes_keep_the_latest_mails_in_order(store: Store) -> None:
    for number in range(MAILBOX_LIMIT + 1):
        store.add_mail(Mail(to=EMAIL, subject=str(number), text="", sent_utc_s=number))
    assert [mail.subject for mail in store.mails(EMAIL)] == [str(number) for number in range(1, MAILBOX_LIMIT + 1)]
    assert store.mails(OTHER) == ()


# ---- two testers and one code, in the worst interleaving


class Dawdler(Account):
    """Looks at the last step and waits for the other tester to look as well."""

    __slots__ = ("gate", "seen")

    @property
    def last_step(self) -> int:
        seen = self.seen
        with suppress(BrokenBarrierError):  # the other one is kept out: as it should be
            self.gate.wait(timeout=0.05)
        return seen

    @last_step.setter
    def last_step(self, step: int) -> None:
        self.seen = step


def test_two_who_compare_at_the_same_instant_do_not_both_set() -> None:
    store = MemoryStore()
    slow = Dawdler(email=OTHER, password_hash=b"")
    slow.gate = Barrier(2)
    store.add_account(slow, 0)
    assert winners(lambda: store.use_totp_step(OTHER, 7), threads=2) == 1


def test_two_testers_racing_with_one_code_one_gets_in(busy: None) -> None:
    counter = Counter()
    person = signed_in(counter)
    person.log_in()
    counter.wait_for_step()

    def finish(step: api.LoginStep) -> bool:
        with suppress(api.PortalError):
            return bool(person.finish(step, person.code()))
        return False

    steps = [person.begin() for _ in range(4)]
    assert winners(lambda: finish(steps.pop()), threads=4) == 1
