"""The live view: what a person reads off one state of the car, on wide and narrow terminals, whatever stands in it."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from rich.console import Console
from served_car import Served, served_here

from bench.live.request_log import KEPT, RequestLog
from bench.live.view import draw, watch
from bench.vehicle_file import load_vehicle
from wire.frame import Frame

pytestmark = pytest.mark.realtime
GOLF = load_vehicle("vag-golf")


@pytest.fixture(scope="module")
def car() -> Iterator[Served]:
    with served_here() as made:
        yield made


@pytest.fixture
def idle(car: Served) -> dict:
    car.call("put", vehicle="vag-golf")
    state = car.ask("state")
    assert isinstance(state, dict)
    return state


def drawn(state: dict, log: tuple[str, ...] = (), width: int = 110) -> str:
    console = Console(record=True, width=width, file=io.StringIO(), color_system="truecolor")
    console.print(draw(state, log))
    return console.export_text()


def test_an_idle_car_shows_what_stands_on_the_bench_and_that_nobody_is_there(idle: dict) -> None:
    text = drawn(idle)
    for words in (
        "Golf-like car, J533 and SFD",
        "WVWZZZCDZSW000001",
        "bench paced",
        "gateway armed",
        "bonnet closed",
        "ignition on",
        "12.6 V",
        "12,345 km",
        "nobody at the socket",
        "0 requests",
        "MiB",
    ):
        assert words in text
    for bus in ("obd", "powertrain", "chassis", "body", "infotainment"):
        assert bus in text
    assert "trouble" not in text
    assert "guests" not in text
    assert "recording" not in text


def test_an_open_lock_shows_how_long_it_stays_open(idle: dict) -> None:
    unit = next(each for each in idle["units"] if each["name"] == "cluster")
    unit |= {"lock": "open", "minutes_left": 89, "session": "extendedDiagnosticSession", "level": 3}
    (line,) = [line for line in drawn(idle).splitlines() if line.startswith("cluster")]
    assert line.split() == ["cluster", "open", "89", "min", "extendedDiagnostic", "03"]


def test_a_unit_that_cannot_be_reached_and_one_without_a_lock_say_so(idle: dict) -> None:
    idle["units"] = [
        {
            "name": "engine",
            "lock": None,
            "minutes_left": None,
            "session": "0x45",
            "level": None,
            "reachable": True,
            "busy": True,
        },
        {
            "name": "airbag",
            "lock": "locked",
            "minutes_left": None,
            "session": "x",
            "level": None,
            "reachable": False,
            "busy": False,
        },
    ]
    text = drawn(idle)
    assert [line.split() for line in text.splitlines() if line.startswith(("engine", "airbag"))] == [
        ["engine", "0x45", "busy"],
        ["airbag", "locked", "not", "reachable"],
    ]


@pytest.mark.parametrize("state", ["armed", "disarmed", "locked", "open"])
def test_each_state_of_the_gateway_has_its_word(idle: dict, state: str) -> None:
    assert f"gateway {state}" in drawn(idle | {"filter": state})


def test_troubles_stand_out_the_witness_first_and_the_last_faults(idle: dict) -> None:
    faults = [f"bus obd: fault {number}" for number in range(9)]
    text = drawn(
        idle | {"violations": ["write without a grant"], "faults": faults, "asleep": True, "guests": 2, "tester": True}
    )
    assert "trouble" in text
    assert text.index("witness: write without a grant") < text.index("fault 6") < text.index("fault 8")
    assert "fault 5" not in text
    for words in ("asleep", "2 guests", "tester at the socket"):
        assert words in text


def test_a_recording_and_a_system_that_tells_no_memory_are_shown_as_they_are(idle: dict) -> None:
    text = drawn(idle | {"trace": {"folder": "x", "frames": 1234, "stopped": []}, "memory_kib": None})
    assert "recording 1,234 frames" in text
    assert "MiB" not in text


def test_requests_stand_with_their_answers_and_how_often_they_came(idle: dict) -> None:
    idle["requests"] = [
        {"at_ns": 0, "unit": "cluster", "request": "22 F1 90", "answer": "62 F1 90", "repeats": 3, "ago_s": 0.2},
        {"at_ns": 0, "unit": "all", "request": "3E 00", "answer": "", "repeats": 1, "ago_s": 75.0},
        {"at_ns": 0, "unit": "cluster", "request": "2E 06 00", "answer": "7F 2E 33", "repeats": 1, "ago_s": 4.0},
    ]
    text = drawn(idle)
    assert "22 F1 90 x3" in text
    assert "now" in text
    assert "min" in next(line for line in text.splitlines() if "3E 00" in line)
    assert "7F 2E 33" in text


def test_the_last_lines_of_the_log_are_there_to_the_letter_and_cut_at_the_edge(idle: dict) -> None:
    log = (*(f"line {number}" for number in range(9)), "[red]no markup[/red] " + "x" * 200)
    text = drawn(idle, log)
    assert "line 3" not in text
    assert "line 4" in text
    assert "[red]no markup[/red]" in text
    assert "…" in text


def test_names_that_look_like_markup_are_shown_as_they_are(idle: dict) -> None:
    idle["units"][0]["name"] = "[bold]gateway[/]"
    text = drawn(idle | {"title": "A [red]car[/]", "bench": "[own]", "faults": ["[/] broken"]})
    for words in ("[bold]gateway[/]", "A [red]car[/]", "[own]", "[/] broken"):
        assert words in text


@pytest.mark.parametrize("width", [40, 60, 79])
def test_on_a_narrow_terminal_nothing_is_wider_than_the_terminal(idle: dict, width: int) -> None:
    idle["requests"] = [
        {
            "at_ns": 0,
            "unit": "central-electrics",
            "request": "22 " * 12,
            "answer": "62 " * 12,
            "repeats": 9,
            "ago_s": 1e6,
        }
    ]
    text = drawn(idle, ("x" * 300,), width)
    assert all(len(line) <= width for line in text.splitlines())
    assert "obd" in text


def test_watching_draws_again_and_again_until_the_car_ends() -> None:
    console = Console(record=True, width=110, file=io.StringIO(), force_terminal=True)
    with served_here() as car:
        client = car.client()
        looks: list[int] = []

        def log() -> tuple[str, ...]:
            looks.append(1)
            if len(looks) == 2:
                car.server.end()
            return ("hello",)

        watch(client, console, log)
        client.close()
    assert len(looks) >= 2
    assert "hello" in console.export_text()


# ---- the last requests


def test_the_log_of_requests_joins_repeats_leaves_tester_present_out_and_forgets_the_oldest() -> None:
    log = RequestLog(GOLF)
    request, answer = Frame(0x714, bytes.fromhex("0322F19055555555")), Frame(0x77E, bytes.fromhex("037F2231AAAAAAAA"))
    for number in range(3):
        log.see(number, None, request, "tester")
        log.see(number, None, answer, "gateway")
        log.see(number, None, Frame(0x700, bytes.fromhex("023E805555555555")), "tester")
    (line,) = log.lines()
    assert (line.unit, line.request, line.answer, line.repeats, line.at_ns) == ("cluster", "22 F1 90", "7F 22 31", 3, 2)
    assert (log.requests, log.heard_ns) == (6, 2)
    for number in range(20):
        log.see(number, None, Frame(0x714, bytes((3, 0x22, number, 0, 0, 0, 0, 0))), "tester")
    assert len(log.lines()) == KEPT


def test_answers_to_everybody_and_long_ones_are_shown_short() -> None:
    log = RequestLog(GOLF)
    log.see(0, None, Frame(0x700, bytes.fromhex("0322F190")), "tester")
    log.see(1, None, Frame(0x77E, bytes.fromhex("101462F190575657")), "gateway")
    for number in range(2):
        log.see(2, None, Frame(0x77E, bytes((0x21 + number,)) + b"ABCDEFG"), "gateway")
    (line,) = log.lines()
    assert line.unit == "all"
    assert line.answer == "62 F1 90 57 56 57 41 42 43 44 45 46 ... (20 bytes)"


def test_frames_of_no_meaning_are_no_requests() -> None:
    log = RequestLog(GOLF)
    for frame in (
        Frame(0x123, b"\x03\x22\xf1\x90"),
        Frame(0x714, b""),
        Frame(0x714, b"\x00"),
        Frame(0x714, b"\x21abc"),
        Frame(0x77E, b"\x03\x62\xf1\x90"),
        Frame(0x714, b"\x30\x00\x00"),
    ):
        log.see(0, None, frame, "x")
    assert not log.lines()
