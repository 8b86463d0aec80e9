"""Whatever is imported, the file that is written loads; whatever is recorded, the clone is made and each difference is listed."""

from __future__ import annotations

from ecu_bench import Ecu
from hypothesis import given, settings
from hypothesis import strategies as st
from talk_file import FUNCTIONAL_ID, REQUEST_ID, RESPONSE_ID, Recorder

from ecu_sim.importing.document import Entry, Hex, ProfileDocument
from ecu_sim.importing.from_trace import clone
from ecu_sim.importing.multi_did import split_answer
from ecu_sim.importing.replay import replay
from ecu_sim.importing.talks import Pair, find_pairs, read_talk
from ecu_sim.importing.yaml_text import yaml_text
from ecu_sim.profile_file import read_profile
from wire.strict_yaml import loads

PAIR = Pair("can0", REQUEST_ID, RESPONSE_ID, (FUNCTIONAL_ID,))
REQUESTS = (
    "10 01",
    "10 03",
    "10 83",
    "10 07",
    "11 01",
    "14 FF FF FF",
    "14 12 34 56",
    "19 01 FF",
    "19 02 FF",
    "19 0A",
    "22 F1 90",
    "22 F1 87 F1 90",
    "22 F1 86",
    "22 06 03",
    "22 06 04",
    "22 07 FF",
    "22",
    "27 03",
    "27 04 00 00 00 00 00 00 00 00",
    "27 05",
    "28 03 01",
    "2E 06 01 05",
    "2E 06 02 06",
    "2E F1 98 00 00 00 00 00 01",
    "31 01 02 03",
    "31 02 02 03",
    "31 03 02 03",
    "31 01 02 04 AA BB",
    "3E 00",
    "3E 80",
    "85 02",
    "BA 00",
)
ALWAYS_EQUAL = ("22 F1 90", "22 F1 87 F1 90", "3E 00", "BA 00", "10 01", "10 03", "10 07")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(REQUESTS), st.integers(0, 7_000), st.booleans()), min_size=1, max_size=25))
def test_any_talk_with_one_of_our_units_is_cloned_and_compared(talk: list[tuple[str, int, bool]]) -> None:
    ecu, recorder = Ecu(), Recorder()
    for request, pause_ms, functional in talk:
        recorder.wait(pause_ms)
        ecu.run_for(pause_ms * 1_000_000)
        recorder.ask(request, *ecu.ask_and_wait(request, 1_000_000, functional=functional), functional=functional)
    read = read_talk(recorder.lines, PAIR)
    document, moved = clone(read, title="any")
    text = yaml_text(document, "any")
    profile = read_profile(loads(text), "any")
    played = replay(profile, read, moved)
    assert played.requests == played.equal + len(played.unlike) + len(played.different)
    for finding in played.different:
        asleep = "no answer in the trace" in finding.why or "no answer from the clone" in finding.why
        assert asleep or finding.name not in ALWAYS_EQUAL, finding


@given(
    st.lists(st.tuples(st.sampled_from((REQUEST_ID, RESPONSE_ID, FUNCTIONAL_ID)), st.binary(max_size=8)), max_size=40)
)
def test_no_traffic_whatever_raises(frames: list[tuple[int, bytes]]) -> None:
    recorder = Recorder()
    for can_id, data in frames:
        recorder.put(can_id, data)
    find_pairs(recorder.lines)
    read = read_talk(recorder.lines, PAIR)
    document, moved = clone(read, title="noise")
    if document.sections.get("services"):
        replay(read_profile(loads(yaml_text(document, "noise")), "noise"), read, moved)


names = st.text(min_size=1, max_size=200)


@given(names, names, names, st.binary(min_size=1, max_size=200), st.integers(0, 0xFFFF))
def test_any_name_and_any_value_stand_in_the_file_as_they_are(
    title: str, name: str, comment: str, value: bytes, number: int
) -> None:
    document = ProfileDocument(
        head={
            "title": f"t{title}",
            "address": 1,
            "request_id": Hex(0x700),
            "response_id": Hex(0x701),
            "sessions": [Hex(1)],
            "padding": None,
        }
    )
    document.entry("services", 0x22)
    document.section("dids")[number] = Entry({"name": f"n{name}", "hex": value}, comment)
    document.leave_out(name, comment, title)
    document.choose(comment, title, name)
    profile = read_profile(loads(yaml_text(document, title)), "any")
    assert profile.dids[number].value == value


@given(st.dictionaries(st.integers(0, 0xFFFF), st.binary(min_size=1, max_size=6), min_size=2, max_size=6))
def test_an_answer_whose_lengths_are_known_is_taken_apart_or_left(values: dict[int, bytes]) -> None:
    request = b"\x22" + b"".join(number.to_bytes(2, "big") for number in values)
    answer = b"\x62" + b"".join(number.to_bytes(2, "big") + value for number, value in values.items())
    parts = split_answer(request, answer, {number: len(value) for number, value in values.items()})
    assert parts == list(values.items())
