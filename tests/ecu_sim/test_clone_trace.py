"""A recorded unit becomes a profile that answers the same; what cannot be the same is listed with its reason."""

from __future__ import annotations

import random
from typing import Any

import pytest
from ecu_bench import Ecu, refused
from talk_file import FUNCTIONAL_ID, MS, REQUEST_ID, RESPONSE_ID, Line, Recorder, frames_of

from ecu_sim.importing import from_trace
from ecu_sim.importing.document import ProfileDocument
from ecu_sim.importing.from_trace import clone
from ecu_sim.importing.multi_did import split_answer
from ecu_sim.importing.replay import Played, replay
from ecu_sim.importing.talks import Pair, Talk, find_pairs, read_talk
from ecu_sim.importing.yaml_text import yaml_text
from ecu_sim.profile import EcuProfile
from ecu_sim.profile_file import read_profile
from wire.frame import Frame
from wire.strict_yaml import loads

PAIR = Pair("can0", REQUEST_ID, RESPONSE_ID, (FUNCTIONAL_ID,))


class Cloned:
    """A clone with all that was found out on the way."""

    def __init__(self, lines: list[Line], pair: Pair = PAIR, **options: Any) -> None:
        self.talk: Talk = read_talk(lines, pair)
        self.document: ProfileDocument
        self.document, moved = clone(self.talk, title="a clone", **options)
        self.text = yaml_text(self.document, "a trace")
        self.profile: EcuProfile = read_profile(loads(self.text), "clone")
        self.ecu = Ecu(self.profile)
        self.played: Played = replay(self.profile, self.talk, moved)

    def left_out(self, name: str) -> str:
        return next(finding.why for finding in self.document.left_out if finding.name == name)

    def chosen(self, name: str) -> str:
        return next(finding.why for finding in self.document.chosen if finding.name == name)

    def equal(self) -> Cloned:
        assert not self.played.different, self.played.different
        return self


def talked() -> Recorder:
    return Recorder().ask("10 01", "50 01 00 32 01 F4")


# ---- who talks with whom


def test_pairs_are_found_among_other_traffic() -> None:
    recorder, noise = Recorder(), random.Random(3)
    other = Recorder(request_id=0x7E0, response_id=0x7E8)
    for at in range(200):
        recorder.put(0x100 + at % 7, noise.randbytes(8))
    recorder.ask("22 F1 90", "62 F1 90 41 42 43").ask("3E 00", "7E 00")
    other.now_ns = recorder.now_ns
    other.ask("22 F1 90", "7F 22 31")
    pairs = find_pairs(recorder.lines + other.lines)
    assert pairs == [Pair("can0", 0x7A1, 0x7A9, (), 2), Pair("can0", 0x7E0, 0x7E8, (), 1)]


def test_an_identifier_that_several_answer_to_is_functional() -> None:
    recorder = Recorder().ask("22 F1 90", "62 F1 90 41")
    recorder.ask("3E 00", "7E 00", functional=True)
    recorder.send(0x7E8, b"\x7e\x00")
    recorder.request_id, recorder.response_id = 0x7E0, 0x7E8
    recorder.ask("22 F1 91", "62 F1 91 41")
    assert [(pair.request_id, pair.functional_ids) for pair in find_pairs(recorder.lines)] == [
        (0x7A1, (FUNCTIONAL_ID,)),
        (0x7E0, (FUNCTIONAL_ID,)),
    ]


def test_an_identifier_that_keeps_everybodys_session_is_functional() -> None:
    recorder = Recorder().ask("10 03", "50 03 00 32 01 F4")
    recorder.send(0x700, b"\x3e\x80")
    assert find_pairs(recorder.lines) == [Pair("can0", 0x7A1, 0x7A9, (0x700,), 1)]


def test_the_same_unit_on_two_buses_is_told_twice() -> None:
    inner = Recorder(bus="inner").ask("22 F1 90", "62 F1 90 41")
    outer = Recorder(bus="obd").ask("22 F1 90", "62 F1 90 41")
    assert [pair.bus for pair in find_pairs(inner.lines + outer.lines)] == ["inner", "obd"]


def test_an_answer_that_comes_much_too_late_belongs_to_nothing() -> None:
    recorder = Recorder().ask("22 F1 90").wait(20_000)
    recorder.send(RESPONSE_ID, b"\x62\xf1\x90\x41")
    assert find_pairs(recorder.lines) == []
    assert read_talk(recorder.lines, PAIR).exchanges[0].answer is not None, "but a person may say that it does"


def test_who_keeps_the_session_while_another_waits_does_not_take_the_answer() -> None:
    recorder = Recorder().ask("31 01 02 03", "7F 31 78").ask("3E 80", functional=True)
    recorder.ask("3E 00", "7E 00", functional=True).send(RESPONSE_ID, bytes.fromhex("71 01 02 03 00"))
    talk = read_talk(recorder.lines, PAIR)
    assert [(one.sid, one.pending, one.answer) for one in talk.exchanges] == [
        (0x31, 1, bytes.fromhex("71 01 02 03 00")),
        (0x3E, 0, None),
        (0x3E, 0, b"\x7e\x00"),
    ]
    assert talk.unasked == []


# ---- facts


def test_identifiers_are_answered_as_recorded() -> None:
    recorder = talked().ask("22 F1 90", "62 F1 90 " + b"WVWZZZCDZSW000001".hex(" ")).ask("22 06 00", "62 06 00 01 02")
    cloned = Cloned(recorder.lines).equal()
    assert cloned.profile.dids[0xF190].value == b"WVWZZZCDZSW000001"
    assert cloned.ecu.ask("22 06 00") == "62 06 00 01 02"
    assert cloned.profile.padding == 0x55
    assert (cloned.profile.timing.p2_ns, cloned.profile.timing.p2_star_ns) == (50 * MS, 5000 * MS)


def test_answers_to_several_identifiers_are_taken_apart() -> None:
    recorder = talked().ask("22 01 01", "62 01 01 AA").ask("22 01 01 01 02 01 03", "62 01 01 AA 01 02 01 03 01 03 BB")
    recorder.ask("22 01 02", "62 01 02 01 03")
    cloned = Cloned(recorder.lines).equal()
    assert {number: did.value.hex() for number, did in cloned.profile.dids.items()} == {
        0x0101: "aa",
        0x0102: "0103",
        0x0103: "bb",
    }


def test_what_cannot_be_taken_apart_is_listed() -> None:
    recorder = talked().ask("22 01 01 01 02", "62 01 01 AA 01 02 BB 01 02 CC")
    cloned = Cloned(recorder.lines)
    assert "nothing tells where one ends" in cloned.left_out("01 01 01 02")
    assert len(cloned.played.different) == 1


def test_answers_in_which_some_are_missing_are_taken_apart_where_no_other_reading_is() -> None:
    recorder = talked().ask("22 01 01 01 02 01 03", "62 01 01 AA 01 03 BB").ask("22 01 02", "7F 22 31")
    cloned = Cloned(recorder.ask("22 01 01", "62 01 01 AA").lines).equal()
    assert {number: did.value.hex() for number, did in cloned.profile.dids.items()} == {0x0101: "aa", 0x0103: "bb"}


def test_an_answer_with_too_many_readings_is_left_alone() -> None:
    request = b"\x22" + b"\x01\x01" * 30
    assert split_answer(request, b"\x62" + b"\x01" * 200, {}) is None
    assert split_answer(request, b"\x62\x02\x02\x02", {}) is None


def test_a_session_that_an_identifier_is_not_in_is_kept() -> None:
    recorder = talked().ask("22 06 00", "7F 22 31").ask("10 03", "50 03 00 32 01 F4").ask("22 06 00", "62 06 00 01")
    cloned = Cloned(recorder.lines).equal()
    assert cloned.profile.dids[0x0600].read is not None
    assert cloned.profile.dids[0x0600].read.sessions == {3}


def test_the_session_ends_by_itself_when_nobody_keeps_it() -> None:
    recorder = talked().ask("10 03", "50 03 00 32 01 F4").ask("22 06 00", "62 06 00 01").wait(6_000)
    recorder.ask("22 06 00", "7F 22 31")
    assert Cloned(recorder.lines).equal().profile.dids[0x0600].read.sessions == {3}  # type: ignore[union-attr]


def test_the_active_session_is_recognized() -> None:
    recorder = talked().ask("22 F1 86", "62 F1 86 01").ask("10 03", "50 03 00 32 01 F4").ask("22 F1 86", "62 F1 86 03")
    assert Cloned(recorder.lines).equal().profile.dids[0xF186].source == "active-session"


def test_a_value_that_was_written_is_no_contradiction() -> None:
    recorder = talked().ask("10 03", "50 03 00 32 01 F4").ask("22 06 00", "62 06 00 01 02")
    recorder.ask("2E 06 00 03 04", "6E 06 00").ask("22 06 00", "62 06 00 03 04").ask("2E 06 01 07", "6E 06 01")
    cloned = Cloned(recorder.lines).equal()
    assert cloned.profile.dids[0x0600].value == b"\x01\x02"
    assert cloned.profile.dids[0x0600].write.sessions == {3}  # type: ignore[union-attr]
    assert (cloned.profile.dids[0x0601].read, cloned.profile.dids[0x0601].value) == (None, b"\x00")
    assert "never read" in cloned.chosen("0601")


@pytest.mark.parametrize(("take", "value"), [("first", b"\x01"), ("last", b"\x02")])
def test_a_value_that_moved_by_itself_is_listed_with_which_was_taken(take: str, value: bytes) -> None:
    recorder = talked().ask("22 10 01", "62 10 01 01").ask("22 10 01", "62 10 01 02")
    cloned = Cloned(recorder.lines, take=take)
    assert cloned.profile.dids[0x1001].value == value
    assert f"2 different ones in 2 answers; the {take} is taken" in cloned.left_out("1001")
    assert not cloned.played.different
    assert len(cloned.played.unlike) == 1
    assert "1 as they can be" in cloned.played.summary()


def test_a_level_gets_an_algorithm_of_the_bench_and_is_needed_where_it_was() -> None:
    recorder = talked().ask("10 03", "50 03 00 32 01 F4").ask("2E 06 00 01", "7F 2E 33")
    recorder.ask("27 11", "67 11 DE AD BE EF").ask("27 12 01 02 03 04", "67 12").ask("27 11", "67 11 00 00 00 00")
    recorder.ask("2E 06 00 01", "6E 06 00")
    cloned = Cloned(recorder.lines).equal()
    level = cloned.profile.security[0x11]
    assert (level.seed_len, level.algorithm, level.sessions) == (4, "rotate-xor-4", frozenset({3}))
    assert "cannot be known" in cloned.chosen("11")
    assert cloned.profile.dids[0x0600].write.security == 0x11  # type: ignore[union-attr]
    assert [finding.name for finding in cloned.played.unlike] == ["27 11"]
    assert "of the bench's own" not in cloned.text
    assert "the algorithm and its secret are the bench's own" in cloned.text


def test_wrong_keys_are_counted_up_to_the_one_that_locks() -> None:
    recorder = talked().ask("10 03", "50 03 00 32 01 F4")
    recorder.ask("27 01", "67 01 DE AD").ask("27 02 00 00 00 00 00 00 00 00", "7F 27 35")
    recorder.ask("27 01", "67 01 BE EF").ask("27 02 00 00 00 00 00 00 00 00", "7F 27 36").ask("27 01", "7F 27 37")
    cloned = Cloned(recorder.lines).equal()
    assert cloned.profile.security[1].attempts == 2


def test_an_identifier_that_was_only_refused_for_lack_of_a_level_is_there() -> None:
    recorder = talked().ask("10 03", "50 03 00 32 01 F4").ask("27 01", "67 01 DE AD").ask("22 07 00", "7F 22 33")
    cloned = Cloned(recorder.lines).equal()
    assert "bound to level 01" in cloned.chosen("0700")
    assert "never seen" in cloned.text


def test_what_a_level_does_not_explain_is_listed() -> None:
    recorder = talked().ask("22 07 00", "7F 22 33").ask("22 07 01", "7F 22 22").ask("22 07 01", "62 07 01 01")
    cloned = Cloned(recorder.lines)
    assert "what opens it" in cloned.left_out("0700")
    assert "conditionsNotCorrect" in cloned.left_out("0701")
    assert len(cloned.played.different) == 2


def test_trouble_codes_keep_their_order_and_come_back_after_clearing_if_they_did() -> None:
    codes = "59 02 FF C1 00 00 09 B1 0A 15 08"
    recorder = (
        talked().ask("19 02 FF", codes).ask("14 FF FF FF", "54").ask("19 02 FF", "59 02 FF C1 00 00 09 B1 0A 15 50")
    )
    cloned = Cloned(recorder.lines).equal()
    assert [(dtc.code, dtc.status, dtc.stays) for dtc in cloned.profile.dtcs] == [
        (0xC10000, 0x09, True),
        (0xB10A15, 0x08, False),
    ]


def test_a_status_that_moved_is_listed() -> None:
    recorder = talked().ask("19 02 FF", "59 02 FF C1 00 00 09").ask("19 02 FF", "59 02 FF C1 00 00 08")
    recorder.ask("19 0A", "59 0A FF 00 00 00 08")
    cloned = Cloned(recorder.lines)
    assert "08, 09" in cloned.left_out("C10000")
    assert cloned.left_out("000000") == "no code"


def test_status_bits_that_a_unit_has_are_said_where_a_profile_can(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = "".join(f"{number:06X}09" for number in range(1, 41))
    recorder = talked().ask("19 01 FF", "59 01 7B 01 00 28").ask("19 02 FF", "59 02 7F" + codes)
    talk = read_talk(recorder.lines, PAIR)
    monkeypatch.setattr(from_trace, "PROFILE_KEYS", frozenset())
    document, _ = clone(talk, title="as it was")
    told = [finding.why for finding in document.left_out if finding.name == "availability"]
    assert told == ["the mask moved; taken: 7B", "7B; a profile answers FF"]
    monkeypatch.setattr(from_trace, "PROFILE_KEYS", frozenset({"dtc_memory"}))
    document, _ = clone(talk, title="as it is")
    assert "dtc_memory: {status_availability: 0x7B, entries: 40}" in yaml_text(document, "a trace")


def test_a_routine_that_ran_in_the_background_runs_as_long() -> None:
    recorder = talked().ask("10 03", "50 03 00 32 01 F4").ask("31 01 02 03 05", "71 01 02 03 01")
    recorder.ask("31 03 02 03", "71 03 02 03 01").wait(2_000).ask("31 03 02 03", "71 03 02 03 00 42")
    recorder.ask("31 01 02 03 05", "71 01 02 03 01").ask("31 02 02 03", "71 02 02 03 02").ask("31 02 02 03", "7F 31 24")
    routine = Cloned(recorder.lines).equal().profile.routines[0x0203]
    assert (routine.option_len, routine.result, routine.stoppable) == (1, b"\x00\x42", True)
    assert 2_000 * MS < routine.duration_ns < 2_100 * MS
    assert routine.access.sessions == {3}


def test_a_routine_whose_start_was_not_seen_is_listed() -> None:
    recorder = talked().ask("31 03 02 04", "71 03 02 04 00").ask("31 01 02 05", "7F 31 31")
    assert "does not show its start" in Cloned(recorder.lines).left_out("routine 0204")


def test_a_service_that_took_its_time_takes_it_again() -> None:
    recorder = talked().ask("10 03", "50 03 00 32 01 F4")
    recorder.ask("22 06 00", "7F 22 78", "...", "62 06 00 01").ask("31 01 02 03", "7F 31 78", "...", "71 01 02 03 00")
    recorder.ask("14 FF FF FF", "7F 14 78", "...", "7F 14 78", "...", "54")
    cloned = Cloned(recorder.lines).equal()
    assert cloned.profile.dids[0x0600].work_ns > 1000 * MS
    assert cloned.profile.routines[0x0203].work_ns > 1000 * MS
    assert cloned.profile.services[0x14].work_ns > 2000 * MS
    assert cloned.ecu.extended().ask_and_wait("22 06 00") == ["7F 22 78", "62 06 00 01"]


def test_services_and_sub_functions_are_those_that_were_not_refused() -> None:
    recorder = (
        talked().ask("11 04", "7F 11 12").ask("28 00 01", "7F 28 7F").ask("85 02", "7F 85 11").ask("3E 00", "7E 00")
    )
    recorder.ask("10 03", "50 03 00 32 01 F4").ask("28 00 01", "68 00").ask("11 01", "51 01").wait(900)
    cloned = Cloned(recorder.ask("19 42 FF", "7F 19 12").lines).equal()
    services = cloned.profile.services
    assert 0x85 not in services
    assert services[0x11].sub_functions == {1}
    assert services[0x28].access.sessions == {3}
    assert cloned.ecu.ask("11 02") == refused(0x11, 0x12)


def test_services_that_the_bench_does_not_have_are_listed() -> None:
    recorder = talked().ask("BA 01", "FA 01").ask("19 0A", "59 0A FF")
    recorder.lines += Recorder().ask("83 01", "C3 01").lines
    cloned = Cloned(recorder.lines)
    assert "does not have it" in cloned.left_out("BA")
    assert cloned.played.different


def test_a_reset_is_as_short_as_it_was() -> None:
    recorder = talked().ask("11 01", "51 01").wait(80).ask("3E 00", "7E 00")
    assert 20 * MS < Cloned(recorder.lines).equal().profile.timing.reset_ns < 100 * MS


def test_timing_that_a_profile_cannot_have_is_listed() -> None:
    recorder = Recorder().ask("10 01", "50 01 00 05 00 C8").ask("10 03", "50 03 00 32 01 F4")
    cloned = Cloned(recorder.lines)
    told = [finding.why for finding in cloned.document.left_out if finding.kind == "timing"]
    assert told == ["sessions differ in it; taken: 00 05 00 C8", "5 ms; a profile begins at 20 ms"]


def test_what_was_suppressed_is_a_fact_and_silence_is_none() -> None:
    recorder = talked().ask("10 83").ask("22 06 00", "62 06 00 01").ask("22 06 01").ask("3E 80", functional=True)
    cloned = Cloned(recorder.lines)
    assert cloned.profile.sessions == {1, 3}
    assert [(finding.name, finding.why) for finding in cloned.played.different] == [
        ("22 06 01", "no answer in the trace, 7F 22 31 from the clone")
    ]


def test_a_functional_request_counts_as_one() -> None:
    recorder = talked().ask("3E 00", "7E 00", functional=True).ask("22 AA AA", functional=True)
    cloned = Cloned(recorder.lines).equal()
    assert cloned.profile.functional_ids == (FUNCTIONAL_ID,)


def test_broken_messages_and_answers_to_nothing_are_listed() -> None:
    recorder = talked()
    recorder.put(RESPONSE_ID, frames_of(bytes(40))[0])
    recorder.send(RESPONSE_ID, b"\x62\xf1\x90")
    recorder.ask("22 06 00", "62 06 00 01")
    cloned = Cloned(recorder.lines).equal()
    assert "1 never became whole" in cloned.left_out("broken")
    assert "nothing in the trace asked for it" in cloned.left_out("62 F1 90")


def test_a_unit_that_does_not_pad_does_not() -> None:
    recorder = Recorder()
    recorder.padding = None
    assert Cloned(recorder.ask("3E 00", "7E 00").lines).profile.padding is None


def test_a_unit_that_pads_with_anything_gets_the_usual_byte() -> None:
    recorder = Recorder().ask("3E 00")
    recorder.put(RESPONSE_ID, bytes.fromhex("02 7E 00 01 02 03 04 05"))
    assert Cloned(recorder.lines).profile.padding == 0xAA


def test_a_seed_that_changes_its_length_and_a_level_never_given_are_told() -> None:
    recorder = talked().ask("10 03", "50 03 00 32 01 F4").ask("27 01", "67 01 01 02").ask("27 01", "67 01 01 02 03")
    recorder.ask("27 05", "7F 27 12").ask("27", "7F 27 13")
    assert "seeds of [2, 3] bytes" in Cloned(recorder.lines).left_out("01")
    only = talked().ask("10 03", "50 03 00 32 01 F4").ask("27 05", "7F 27 22")
    assert "no seed was ever given" in Cloned(only.lines).left_out("27 SecurityAccess")


def test_odd_requests_do_not_disturb() -> None:
    recorder = (
        talked().ask("22 F1", "7F 22 13").ask("2E F1 90", "7F 2E 13").ask("31 01", "7F 31 13").ask("10", "7F 10 13")
    )
    recorder.ask("27 00", "7F 27 12").ask("11", "7F 11 13").ask("19", "7F 19 13")
    recorder.put(REQUEST_ID, b"")
    recorder.lines.append((recorder.now_ns, "can1", Frame(REQUEST_ID, b"\x02\x3e\x00")))
    assert Cloned(recorder.lines).document.head["title"] == "a clone"


def test_the_same_trace_gives_the_same_text() -> None:
    lines = talked().ask("22 F1 90", "62 F1 90 41").ask("27 01", "7F 27 7F").lines
    assert Cloned(lines).text == Cloned(lines).text
