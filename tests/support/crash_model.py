"""One person's way through the portal, for `crash_walk`: the same with the same seed in every store, and what is kept of it after
each unit of work, as a store in memory has it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from portal_people import Counter, Visitor
from portal_stores import CHAIN

from portal_sim.desk import hashed
from portal_sim.idempotency import Repeated
from portal_sim.mail.memory_inbox import MemoryInbox
from portal_sim.memory_store import MemoryStore
from portal_sim.records import AuditFilter
from portal_sim.store import Reading, Store, Unit
from wire import portal_api as api
from wire.clock import VIRTUAL_EPOCH_UTC_S

DAY_S = 24 * 3600
ALL = 10**6
FAR_S = 10**12


@dataclass
class Telling:
    """The store, telling after each unit of work that it happened."""

    store: Store
    tell: Callable[[], None]

    @contextmanager
    def unit(self) -> Iterator[Unit]:
        with self.store.unit() as unit:
            yield unit
        self.tell()

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        with self.store.reading() as reading:
            yield reading

    @contextmanager
    def glance(self) -> Iterator[Reading]:
        with self.store.glance() as reading:
            yield reading


@dataclass
class Walk:
    """One person's way, and what they got on it."""

    point: int
    store: Store
    say: Callable[[str, object], None] = lambda _kind, _value: None
    seed: int | None = None
    tokens: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.counter = Counter(
            store=self.store, seed=self.point if self.seed is None else self.seed, inbox=MemoryInbox()
        )
        self.counter.now_s = VIRTUAL_EPOCH_UTC_S + self.point * DAY_S
        self.person = Visitor(self.counter, f"tessa{self.point}")
        self.wish: api.RequestUnlock | None = None

    def steps(self) -> Iterator[str]:
        """Walk; name each operation before it is done."""
        person, counter = self.person, self.counter
        yield "sign-up"
        person.sign_up()
        link = yield from self._post()
        yield "confirmation"
        counter.call(api.ConfirmEmail(link_code=link))
        yield "sign-in"
        self._keep(person.sign_in())
        yield "profile"
        person.fill_in()
        yield "upload"
        counter.portal.handle(self._documents(), counter.now_s, media=(f"{self.point}-front", f"{self.point}-video"))
        counter.wait(1200)
        yield "review"
        counter.portal.handle_timer(counter.now_s)
        yield from self._post()
        yield "company"
        person.company()
        yield "validation"
        person.validate()
        yield "enrolment"
        yield from self._log_in(enrols=True)
        yield from self._post()
        yield "login"
        yield from self._log_in(enrols=False)
        counter.wait_for_step()
        yield "issue"
        self.wish = self.wished()
        unlock = counter.call(self.wish)
        self.say("unlock", [unlock.audit_id, unlock.payload.hex()])
        yield "refresh"
        self._keep(counter.call(api.Refresh(refresh_token=self.refresh)))

    def _documents(self) -> api.IdentityDocuments:
        picture = self.person.picture()
        return api.IdentityDocuments(
            session=self.person.browser,
            country="DE",
            document=api.DocumentKind.PASSPORT,
            front=picture,
            back=picture,
            video=api.FaceVideo(),
        )

    def _log_in(self, *, enrols: bool) -> Iterator[str]:
        self.counter.wait_for_step()
        step = self.person.begin()
        self.logins.append(step.login_id)
        yield "code of enrolment" if enrols else "code"
        session = self.person.finish(step, self.person.code())
        self._keep(session)

    def _keep(self, session: api.Session) -> None:
        self.tokens.append(session.token)
        self.refresh = session.refresh_token
        self.say("session", session.token)

    def wished(self) -> api.RequestUnlock:
        asked = []
        with suppress(AttributeError):  # nothing answers: only the request is wanted
            Visitor.ask(_Asking(self.person, asked), idempotency_key=f"key-{self.point}")
        return replace(asked[0], session=self.person.session, code=self.person.code())

    def _post(self) -> Iterator[str]:
        """Deliver the person's mails; return the last link."""
        yield "post"
        with self.store.reading() as reading:
            mails = [each for each in reading.undelivered(FAR_S, ALL) if each.mail.to == self.person.email]
        for each in mails:
            self.say("mail", each.mail.subject)
            with self.store.unit() as unit:
                unit.delivered(each.mail_id)
        return next((each.mail.link_code for each in reversed(mails) if each.mail.link_code), None)


class _Asking:
    """A person whose request is caught before it is sent."""

    def __init__(self, person: Visitor, asked: list[api.RequestUnlock]) -> None:
        self.session, self.phone, self.counter = person.session, None, self
        self._asked = asked

    def call(self, request: api.RequestUnlock) -> None:
        self._asked.append(request)


def observe(reading: Reading, walk: Walk) -> dict[str, object]:
    """Return all that is kept about the walk's person. Numbers that others have a part in are left out."""
    email = walk.person.email
    account = reading.account(email)
    mine = [entry.record for entry in reading.audit(0, None, AuditFilter(person=email))]
    company = None if account is None or account.company_id is None else reading.company(account.company_id)
    key = None if walk.wish is None else Repeated.of(email, walk.wish)
    reply = None if key is None else reading.kept_reply(key.key_hash, walk.counter.now_s)
    return {
        "account": account and replace(account, company_id=None if account.company_id is None else 1),
        "company": company and replace(company, company_id=1),
        "log": [replace(each, company_id=None if each.company_id is None else 1) for each in mine],
        "issued": {each.audit_id: reading.issued(each.audit_id) for each in mine},
        "reply": reply,
        "tries": reading.tries(f"account:{email}"),
        "recovery codes": reading.recovery_codes_left(email),
        "media": {name for name in reading.media() if name.startswith(f"{walk.point}-")},
        "mails": [each.mail for each in reading.undelivered(FAR_S, ALL) if each.mail.to == email],
        "sessions": {token: reading.visitor(hashed(token), 0) is not None for token in walk.tokens},
        "logins": {each: reading.login(hashed(each), 0) is not None for each in walk.logins},
    }


def model(point: int) -> tuple[list[dict[str, object]], Walk]:
    """Return what is kept after each number of units, from the walk in memory, and the finished walk."""
    done = Walk(point, MemoryStore(CHAIN))
    for _ in done.steps():
        pass
    memory, seen = MemoryStore(CHAIN), []

    def look() -> None:
        with memory.reading() as reading:
            seen.append(observe(reading, done))

    look()
    for _ in Walk(point, Telling(memory, look)).steps():
        pass
    return seen, done
