"""What a portal does though nobody asks: checks are decided, media erased, records told; and no failure ends it."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from portal_people import LONGEST_REVIEW_S, Counter, checked, signed_in

from portal_sim.housekeeping import Housekeeping
from portal_sim.media.keeping import MediaFolder, Retention
from portal_sim.memory_store import MemoryStore
from portal_sim.portal import HOUSEKEEPING_S
from portal_sim.sealing import Sealing
from portal_sim.store import Conflict
from wire import portal_api as api
from wire.entropy import SeededEntropy
from wire.portal_api import AuditRecord, CheckState

PATIENCE_S = 60
RULE = Retention(keep_s=3600, keep_after_decision_s=300, orphan_s=600)


class Moody(MemoryStore):
    """Counts units, and fails where it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.units = 0
        self.troubles: list[Exception] = []

    @contextmanager
    def unit(self) -> Iterator[MemoryStore]:
        self.units += 1
        if self.troubles:
            raise self.troubles.pop()
        with super().unit() as unit:
            yield unit


class House:
    """A portal with its housekeeping, at the counter's time."""

    def __init__(self, folder: Path) -> None:
        self.store = Moody()
        self.counter = Counter(store=self.store)
        entropy = SeededEntropy(random.Random(3))
        self.media = MediaFolder(folder, Sealing(bytes(32), entropy), entropy, RULE)
        self.told: list[AuditRecord] = []
        self.keeping = Housekeeping(
            self.counter.portal, self.store, self.media, lambda: self.counter.now_s, self.told.append
        )

    def hand_in(self, *media: str) -> None:
        person = signed_in(self.counter)
        person.fill_in()
        picture = api.Picture(name="Tessa Example")
        documents = api.IdentityDocuments(
            session=person.browser,
            country="DE",
            document=api.DocumentKind.PASSPORT,
            front=picture,
            back=picture,
            video=api.FaceVideo(),
        )
        self.counter.portal.handle(documents, self.counter.now_s, media=media)

    def identity(self) -> CheckState:
        with self.store.reading() as reading:
            return reading.account("tessa@workshop.example").identity


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "media")


def test_a_check_is_decided_at_its_time_though_nobody_asks(house: House) -> None:
    house.hand_in()
    due_s = house.counter.portal.next_deadline_utc_s()
    while house.counter.now_s < due_s:
        house.keeping.look()
        assert house.identity() is CheckState.IN_PROGRESS
        house.counter.wait(1)
    house.keeping.look()
    assert house.identity() is CheckState.APPROVED


def test_nothing_is_written_while_nothing_is_due(house: House) -> None:
    checked(house.counter)
    house.keeping.look()
    before = house.store.units
    for _ in range(HOUSEKEEPING_S - 1):
        house.counter.wait(1)
        house.keeping.look()
    assert house.store.units == before
    house.counter.wait(1)
    house.keeping.look()
    assert house.store.units > before


def test_media_go_when_their_check_was_decided_and_the_record_speaks_of_them_no_more(house: House) -> None:
    kept = tuple(house.media.keep(medium, house.counter.now_s) for medium in (b"front", b"back", b"video"))
    house.hand_in(*kept)
    house.keeping.look()
    assert sorted(house.media) == sorted(kept)
    for _ in range(LONGEST_REVIEW_S // HOUSEKEEPING_S):
        house.counter.wait(HOUSEKEEPING_S)
        house.keeping.look()
    assert house.identity() is CheckState.APPROVED
    for _ in range(RULE.keep_after_decision_s // HOUSEKEEPING_S + 1):
        house.counter.wait(HOUSEKEEPING_S)
        house.keeping.look()
    assert list(house.media) == []
    with house.store.reading() as reading:
        assert reading.media() == {}


def test_an_upload_that_no_record_speaks_of_goes(house: House) -> None:
    house.media.keep(b"half an upload", house.counter.now_s)
    house.counter.wait(RULE.orphan_s + HOUSEKEEPING_S)
    house.keeping.look()
    assert list(house.media) == []


def test_each_record_is_told_once(house: House) -> None:
    house.hand_in()
    for _ in range(3):
        house.keeping.look()
    assert [record.action for record in house.told] == ["sign-up", "identity check submitted"]


@pytest.mark.realtime
@pytest.mark.parametrize("trouble", [Conflict(), OSError("disk full"), RuntimeError("a mistake of ours")])
def test_no_failure_ends_it(house: House, trouble: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal_sim.housekeeping.LOOK_S", 0.001)
    told_again = threading.Event()
    house.hand_in()
    house.counter.wait(LONGEST_REVIEW_S)
    house.keeping._on_record = lambda _: told_again.set()
    house.store.troubles += [trouble] * 30  # longer than a unit is done again for
    house.keeping.start()
    assert told_again.wait(PATIENCE_S)
    house.keeping.close()
    assert house.identity() is CheckState.APPROVED
