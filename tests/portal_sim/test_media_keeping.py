"""Where media lie: sealed, whole or not there, under names that lead nowhere else, and gone when the rule says so."""

import os
import random
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal_sim.media.keeping import MEDIUM_ID, MediaFolder, Retention
from portal_sim.sealing import NotSealedHere, Sealing
from wire import key_set
from wire.clock import VIRTUAL_EPOCH_UTC_S as NOW_S
from wire.entropy import SeededEntropy
from wire.errors import LocalMisuse

MEDIUM = b"a picture, made anew" * 100
RULE = Retention(keep_s=1000, keep_after_decision_s=100, orphan_s=10)
posix = pytest.mark.skipif(sys.platform == "win32", reason="modes of files are POSIX's")


def opened(folder: Path, rule: Retention = RULE, seed: int = 1) -> MediaFolder:
    entropy = SeededEntropy(random.Random(seed))
    return MediaFolder(folder / "media", Sealing(bytes(32), entropy), entropy, rule)


@pytest.fixture
def media(tmp_path: Path) -> MediaFolder:
    return opened(tmp_path)


# ---- keeping and reading


def test_what_is_kept_is_read_again_by_the_next_process_too(tmp_path: Path, media: MediaFolder) -> None:
    medium_id = media.keep(MEDIUM, NOW_S)
    assert media.read(medium_id) == MEDIUM
    assert opened(tmp_path, seed=2).read(medium_id) == MEDIUM
    assert [*media] == [medium_id]


def test_on_the_disk_nothing_of_it_can_be_seen(tmp_path: Path, media: MediaFolder) -> None:
    media.keep(MEDIUM, NOW_S)
    (file,) = (tmp_path / "media").iterdir()
    assert MEDIUM[:20] not in file.read_bytes()


@posix
def test_file_and_folder_are_ours_alone(tmp_path: Path, media: MediaFolder) -> None:
    media.keep(MEDIUM, NOW_S)
    (file,) = (tmp_path / "media").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_file_that_was_changed_or_renamed_does_not_open(tmp_path: Path, media: MediaFolder) -> None:
    one, other = media.keep(MEDIUM, NOW_S), media.keep(MEDIUM * 2, NOW_S)
    folder = tmp_path / "media"
    kept = (folder / one).read_bytes()
    (folder / one).write_bytes((folder / other).read_bytes())
    (folder / other).write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    for medium_id in (one, other):
        with pytest.raises(NotSealedHere):
            media.read(medium_id)


def test_ids_are_never_the_same_and_say_when(media: MediaFolder) -> None:
    ids = [media.keep(b"", NOW_S + number) for number in range(50)]
    assert len({medium_id[10:] for medium_id in ids}) == 50
    assert [int(medium_id[:10], 16) for medium_id in ids] == [NOW_S + number for number in range(50)]
    assert [*media] == ids


@pytest.mark.parametrize("now_s", [-1, 16**10])
def test_a_time_that_no_name_holds_is_refused(media: MediaFolder, now_s: int) -> None:
    with pytest.raises(LocalMisuse):
        media.keep(MEDIUM, now_s)
    assert not [*media]


NO_IDS = [
    "",
    ".",
    "..",
    "../secret",
    "/etc/passwd",
    "a" * 41,
    "A" * 42,
    "a" * 42 + "\n",
    "..\\secret",
    "\0" * 42,
    "٣" * 42,
]


@pytest.mark.parametrize("no_id", NO_IDS)
def test_a_name_that_is_no_id_touches_no_file(tmp_path: Path, media: MediaFolder, no_id: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("stays")
    for act in (media.read, media.erase):
        with pytest.raises(LocalMisuse) as refused:
            act(no_id)
        assert str(refused.value) == "this is not the id of a medium"
    assert secret.read_text() == "stays"


@given(st.text(max_size=60))
def test_ids_are_hex_and_nothing_else(text: str) -> None:
    if MEDIUM_ID.fullmatch(text):
        assert set(text) <= set("0123456789abcdef")


# ---- whole or not at all


@pytest.mark.parametrize("at", ["fsync", "open", "replace"])
def test_a_full_disk_leaves_nothing_behind(
    tmp_path: Path, media: MediaFolder, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(*((Path, at) if at == "replace" else (key_set.os, at)), full)
        with pytest.raises(OSError, match="No space left"):
            media.keep(MEDIUM, NOW_S)
    assert not [*(tmp_path / "media").iterdir()]


def test_the_file_is_durable_before_it_has_its_name(
    tmp_path: Path, media: MediaFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    real = os.fsync

    def noted(descriptor: int) -> None:
        seen.append(sorted(path.name for path in (tmp_path / "media").iterdir()))
        real(descriptor)

    monkeypatch.setattr(key_set.os, "fsync", noted)
    medium_id = media.keep(MEDIUM, NOW_S)
    assert seen[0] == [f".{medium_id}.{os.getpid()}.part"]
    assert seen[1:] in ([[medium_id]], [])  # the folder itself, where the system can


# ---- erasing


def test_a_medium_that_was_erased_is_gone_and_may_be_erased_again(tmp_path: Path, media: MediaFolder) -> None:
    medium_id = media.keep(MEDIUM, NOW_S)
    for _ in range(2):
        media.erase(medium_id)
        assert media.read(medium_id) is None
    assert not [*(tmp_path / "media").iterdir()]


def test_what_is_older_than_asked_for_is_erased(media: MediaFolder) -> None:
    old, at_the_limit, new = (media.keep(MEDIUM, NOW_S + age_s) for age_s in (0, 1, 60))
    assert media.erase_older_than(NOW_S + 101, 100) == [old]
    assert [*media] == [at_the_limit, new]
    assert media.read(old) is None


def test_a_medium_is_kept_while_nobody_has_decided_but_not_for_ever(media: MediaFolder) -> None:
    medium_id = media.keep(MEDIUM, NOW_S)
    assert media.sweep(NOW_S + 999, undecided={medium_id}, decided=()) == []
    assert media.sweep(NOW_S + 1000, undecided={medium_id}, decided=()) == [medium_id]
    assert not [*media]


@pytest.mark.parametrize(("keep_after_decision_s", "gone_after_s"), [(1, 301), (100, 400), (10_000, 1000)])
def test_after_the_decision_it_is_erased_when_the_rule_says_so(
    tmp_path: Path, keep_after_decision_s: int, gone_after_s: int
) -> None:
    rule = Retention(keep_s=1000, keep_after_decision_s=keep_after_decision_s, orphan_s=10)
    medium_id = opened(tmp_path, rule).keep(MEDIUM, NOW_S)
    for later_s in (100, 200):
        assert opened(tmp_path, rule).sweep(NOW_S + later_s, undecided={medium_id}, decided=()) == []
    for later_s in (300, gone_after_s - 1):  # another process each time
        assert opened(tmp_path, rule).sweep(NOW_S + later_s, undecided=(), decided={medium_id}) == []
    assert opened(tmp_path, rule).sweep(NOW_S + gone_after_s, undecided=(), decided={medium_id}) == [medium_id]


def test_it_is_erased_at_once_after_the_decision_where_the_rule_wants_that(tmp_path: Path) -> None:
    media = opened(tmp_path, Retention(keep_after_decision_s=0))
    decided, undecided = media.keep(MEDIUM, NOW_S), media.keep(MEDIUM, NOW_S)
    assert media.sweep(NOW_S, undecided={undecided}, decided={decided}) == [decided]
    assert [*media] == [undecided]


def test_an_upload_that_never_came_to_a_record_is_swept_but_not_before_it_could_have(media: MediaFolder) -> None:
    orphan, kept = media.keep(MEDIUM, NOW_S), media.keep(MEDIUM, NOW_S)
    assert media.sweep(NOW_S + 9, undecided={kept}, decided=()) == []
    assert media.sweep(NOW_S + 10, undecided={kept}, decided=()) == [orphan]
    assert media.read(orphan) is None
    assert media.read(kept) == MEDIUM


def test_what_a_killed_process_left_half_written_is_swept(tmp_path: Path, media: MediaFolder) -> None:
    medium_id = media.keep(MEDIUM, NOW_S)
    half = tmp_path / "media" / f".{medium_id}.4711.part"
    half.write_bytes(b"half")
    assert [*media] == [medium_id]
    for later_s, there in ((9, True), (10, False)):
        assert media.sweep(NOW_S + later_s, undecided={medium_id}, decided=()) == []
        assert half.exists() == there
    assert media.read(medium_id) == MEDIUM


def test_a_record_may_speak_of_what_is_gone_already(media: MediaFolder) -> None:
    gone = media.keep(MEDIUM, NOW_S)
    media.erase(gone)
    assert media.sweep(NOW_S, undecided=(), decided={gone}) == []


def test_files_of_others_are_left_alone(tmp_path: Path, media: MediaFolder) -> None:
    (tmp_path / "media" / "README").write_text("ours")
    (tmp_path / "media" / ".note.1.part").write_text("ours")
    assert media.sweep(NOW_S * 2, undecided=(), decided=()) == []
    assert media.erase_older_than(NOW_S * 2, 0) == []
    assert len([*(tmp_path / "media").iterdir()]) == 2


def test_a_clock_that_was_set_back_erases_nothing_early(media: MediaFolder) -> None:
    medium_id = media.keep(MEDIUM, NOW_S)
    assert media.sweep(NOW_S - 10**6, undecided=(), decided=()) == []
    assert media.erase_older_than(NOW_S - 10**6, 0) == []
    assert media.read(medium_id) == MEDIUM


@given(st.integers(0, 500), st.integers(0, 500), st.none() | st.integers(0, 1000), st.integers(0, 2000))
def test_the_rule_is_the_earlier_of_both_ends(keep_s: int, after_s: int, decided_s: int | None, later_s: int) -> None:
    rule = Retention(keep_s=keep_s, keep_after_decision_s=after_s)
    over_s = rule.over_at_s(0, decided_s)
    assert over_s <= keep_s
    if decided_s is not None:
        assert over_s <= decided_s + after_s
        assert rule.over_at_s(0, decided_s + later_s) >= over_s


@pytest.mark.parametrize("wrong", ["keep_s", "keep_after_decision_s", "orphan_s"])
def test_a_retention_rule_does_not_run_backwards(wrong: str) -> None:
    with pytest.raises(ValueError, match="0 seconds or longer"):
        Retention(**{wrong: -1})
