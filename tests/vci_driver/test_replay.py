"""A recorded car under a tester: it answers as it did and when it did, and what was never recorded is told apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import can
import pytest
from channel_pair import real_world

from bench import Bench
from vci_driver.api import ChannelClosed, ChannelLost, ChannelUnavailable
from vci_driver.car_map import CarMap
from vci_driver.contract import Place, Setup, Verdict, run_contract
from vci_driver.drivers import replay_log
from vci_driver.drivers.can_messages import to_message
from vci_driver.drivers.replay import LOOP_PAUSE_NS, ReplayDiverged
from vci_driver.drivers.replay_log import askers
from vci_driver.link import DiagnosticLink
from vci_driver.link_errors import NoAnswer
from vci_driver.registry import open_channel
from vci_driver.tester import Tester as WorkshopTester
from wire.errors import CarrierFault, LocalMisuse
from wire.frame import EXTENDED, Frame
from wire.world import World

MS = 1_000_000
ASK, ANSWER, CYCLIC = 0x7E0, 0x7E8, 0x3C0


def frame(can_id: int, text: str) -> Frame:
    return Frame(can_id, bytes.fromhex(text))


DIALOGUE: tuple[tuple[int, Frame], ...] = (
    (0, frame(CYCLIC, "01")),
    (10, frame(CYCLIC, "02")),
    (15, frame(ASK, "0322F19000000000")),
    (20, frame(ANSWER, "0462F19041AAAAAA")),
    (22, frame(CYCLIC, "03")),
    (30, frame(ASK, "023E800000000000")),
    (32, frame(CYCLIC, "04")),
    (40, frame(ASK, "0210030000000000")),
    (90, frame(ANSWER, "065003003201F4AA")),
    (95, frame(CYCLIC, "05")),
)
"""(milliseconds, frame): two requests and their answers, a keep-alive, and something cyclic in between."""


def written(folder: Path, records: Sequence[tuple[int, Frame]] = DIALOGUE, name: str = "car.log") -> str:
    path = folder / name
    with can.Logger(path) as writer:
        for when_ms, recorded in records:
            message = to_message(recorded)
            message.timestamp, message.channel = 1_767_225_600 + when_ms / 1000, 0
            writer(message)
    return str(path)


class Desk:
    """An open recording; `heard` notes (milliseconds, frame)."""

    def __init__(self, path: str, world: World | None = None, **options: object) -> None:
        self.world = world or World()
        self.channel = open_channel("replay", path, options, self.world)
        self.heard: list[tuple[float, Frame]] = []
        self.sent: list[Frame] = []
        self.faults: list[CarrierFault] = []
        self.channel.listen(None, lambda heard: self.heard.append((self.world.now_ns / MS, heard)))
        self.channel.on_sent = self.sent.append
        self.channel.on_fault = self.faults.append

    def send(self, text: str, can_id: int = ASK) -> None:
        self.channel.send(frame(can_id, text))

    def run(self, milliseconds: float) -> list[tuple[float, str]]:
        """Let time pass; return (milliseconds, data) of what was heard meanwhile."""
        before = len(self.heard)
        self.world.run_for(round(milliseconds * MS))
        return [(when_ms, heard.data.hex().upper()) for when_ms, heard in self.heard[before:]]


# ---- a session of the bench


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[str, CarMap, object, object]]:
    """A recorded session of a car: (log, car map, what it identified as, what the scan found)."""
    folder = tmp_path_factory.mktemp("session")

    def record(vehicle: str) -> tuple[str, CarMap, object, object]:
        with Bench(vehicle=vehicle, keep_trace=True) as bench:
            tester = bench.tester()
            seen = tester.identify(), tester.scan()
            log = bench.write_trace(folder, vehicle)[0]
            return str(log), bench.car.car_map(), *seen

    return record


def workshop_tester(path: str, car: CarMap, world: World, **options: object) -> WorkshopTester:
    channel = open_channel("replay", path, {"bus": "obd", **options}, world)
    link = DiagnosticLink(world, [channel], car)
    return WorkshopTester(link=link, portal=None, entropy=None, today=lambda: b"")


@pytest.mark.parametrize("vehicle", ["vag-golf", "mb-eclass"])
@pytest.mark.parametrize("options", [{}, {"strict": True}, {"timing": "at_once"}, {"loop": True}], ids=str)
def test_a_recorded_session_identifies_and_scans_as_the_car_did(
    session: Callable, vehicle: str, options: dict[str, object]
) -> None:
    log, car, identified, scanned = session(vehicle)
    times = []
    for _ in range(2):
        tester = workshop_tester(log, car, World(), **options)
        assert tester.identify() == identified
        assert tester.scan() == scanned
        times.append(tester.link.world.now_ns)
    assert times[0] == times[1]


@pytest.mark.realtime
def test_the_same_recording_replays_in_real_time(session: Callable) -> None:
    log, car, identified, _ = session("vag-golf")
    with real_world() as world:
        tester = workshop_tester(log, car, world, timing="at_once")
        assert tester.identify() == identified


def test_what_was_never_recorded_ends_in_no_answer_and_the_next_request_goes_on(session: Callable) -> None:
    log, car, identified, _ = session("vag-golf")
    tester = workshop_tester(log, car, World())
    with pytest.raises(NoAnswer):
        tester.link.request("cluster", b"\x22\x12\x34")
    assert tester.identify() == identified


def test_what_was_never_recorded_is_told_by_name_when_strict(session: Callable) -> None:
    log, car, _, _ = session("vag-golf")
    tester = workshop_tester(log, car, World(), strict=True)
    with pytest.raises(ReplayDiverged, match=r"was sent, and the log has .* next with the identifier 714") as told:
        tester.link.request("cluster", b"\x22\x12\x34")
    assert told.value.sent.data[:4] == b"\x03\x22\x12\x34"
    assert told.value.expected is not None
    with pytest.raises(ReplayDiverged):  # the car is gone, as an adapter would be
        tester.identify()


# ---- the times


def test_an_answer_comes_as_long_after_the_request_as_it_did(tmp_path: Path) -> None:
    desk = Desk(written(tmp_path))
    desk.run(100)
    desk.send("0322F19000000000")
    assert desk.run(1000) == [(105, "0462F19041AAAAAA"), (107, "03"), (117, "04")]
    assert desk.sent == [frame(ASK, "0322F19000000000")]
    desk.send("0210030000000000")
    assert desk.run(1000) == [(1150, "065003003201F4AA"), (1155, "05")]
    assert desk.channel.last_rx_timestamp_ns == 1_767_225_600_095 * MS


def test_at_once_nothing_is_waited_for(tmp_path: Path) -> None:
    desk = Desk(written(tmp_path), timing="at_once")
    desk.run(100)
    desk.send("0210030000000000")
    assert desk.sent == []
    assert desk.run(0) == [(100, "065003003201F4AA"), (100, "05")]


def test_before_the_first_request_the_log_comes_by_its_time(tmp_path: Path) -> None:
    desk = Desk(written(tmp_path), sent_ids=[ASK])
    assert desk.run(100) == [(0, "01"), (10, "02")]
    desk.send("0322F19000000000")
    assert desk.run(10) == [(105, "0462F19041AAAAAA"), (107, "03")]


def test_a_request_ends_what_comes_before_the_first_one(tmp_path: Path) -> None:
    desk = Desk(written(tmp_path), sent_ids=[ASK])
    assert desk.run(5) == [(0, "01")]
    desk.send("0322F19000000000")
    assert desk.run(50) == [(10, "0462F19041AAAAAA"), (12, "03"), (22, "04")]


def test_the_tester_is_known_by_the_requests_that_were_answered(tmp_path: Path) -> None:
    assert Desk(written(tmp_path)).run(1000) == [(0, "01"), (10, "02")]


@pytest.mark.parametrize(
    ("request_", "answer", "found"),
    [
        ("0322F190", "0462F19041", True),
        ("0322F190", "037F2231", True),
        ("0322F190", "100E62F190413231", True),
        ("100A2EF190000102", "036EF190", True),
        ("0322F190", "0450030032", False),
        ("0462F19041", "0322F190", False),
        ("0822F190", "0462F19041", False),
        ("0922F19000000000", "0462F19041", False),
        ("0322F190", "0162", True),
        ("0322F190", "017F", False),
        ("", "0462F19041", False),
    ],
)
def test_a_request_is_what_a_uds_answer_answers(request_: str, answer: str, found: bool) -> None:
    log = [(0, frame(ASK, request_)), (5, frame(ANSWER, answer))]
    assert askers(log) == (frozenset((ASK,)) if found else frozenset())


def test_an_answer_that_comes_too_late_or_with_the_same_identifier_is_none() -> None:
    for can_id, when_ns in ((ANSWER, 7 * 10**9), (ASK, 5)):
        assert askers([(0, frame(ASK, "0322F190")), (when_ns, frame(can_id, "0462F19041"))]) == frozenset()


def test_an_identifier_that_also_carries_something_else_is_no_testers() -> None:
    log = [(0, frame(ASK, "0322F190")), (5, frame(ANSWER, "0462F19041")), (6, frame(ASK, "FF00"))]
    assert askers(log) == frozenset()
    fd = [(0, Frame(ASK, b"\x00\x03\x22\xf1\x90" + bytes(7), fd=True)), (5, frame(ANSWER, "0462F19041"))]
    assert askers(fd) == {ASK}


def test_a_tester_that_was_not_known_is_learnt_from_what_is_sent(tmp_path: Path) -> None:
    log = [(0, frame(0x55, "0102")), (1, frame(0x56, "AA")), (5, frame(0x55, "0203")), (6, frame(0x56, "BB"))]
    desk = Desk(written(tmp_path, log))
    assert desk.run(2) == [(0, "0102"), (1, "AA")]
    desk.send("0102", 0x55)
    assert desk.run(100) == [(3, "AA")]


def test_with_no_tester_the_whole_log_comes_by_its_time_and_again_in_a_loop(tmp_path: Path) -> None:
    whole = [(float(when_ms), recorded.data.hex().upper()) for when_ms, recorded in DIALOGUE]
    assert Desk(written(tmp_path), sent_ids=[]).run(1000) == whole
    period_ms = 95 + LOOP_PAUSE_NS / MS
    again = [(when_ms + period_ms, data) for when_ms, data in whole]
    assert Desk(written(tmp_path), sent_ids=[], loop=True).run(2 * period_ms - 1) == whole + again
    once = Desk(written(tmp_path), sent_ids=[], loop=True, timing="at_once").run(period_ms)
    assert [when_ms for when_ms, _ in once] == [0] * 10 + [period_ms] * 10


# ---- what is the same


def test_padding_and_the_pause_of_a_flow_control_need_not_be_the_same(tmp_path: Path) -> None:
    log = [
        (0, frame(ASK, "0322F190CCCCCCCC")),
        (1, frame(ANSWER, "101462F190575657")),
        (2, frame(ASK, "300000CCCCCCCCCC")),
        (3, frame(ANSWER, "215A5A5A43445A53")),
        (4, frame(ASK, "300800CCCCCCCCCC")),
        (5, Frame(ASK, b"\x00\x09" + bytes(range(9)) + b"\xcc", fd=True)),
        (6, frame(ANSWER, "01FF")),
        (7, frame(ASK, "")),
        (8, frame(ANSWER, "01EE")),
    ]
    desk = Desk(written(tmp_path, log), strict=True, timing="at_once")
    for sent, answer in (
        (frame(ASK, "0322F190"), "101462F190575657"),
        (frame(ASK, "30000A0000000000"), "215A5A5A43445A53"),
        (frame(ASK, "3008F1"), None),
        (Frame(ASK, b"\x00\x09" + bytes(range(9)) + b"\xaa", fd=True), "01FF"),
        (frame(ASK, ""), "01EE"),
    ):
        desk.channel.send(sent)
        assert [data for _, data in desk.run(1)] == ([answer] if answer else [])
    desk.send("3004000000000000")
    assert isinstance(desk.faults[0], ReplayDiverged)


def test_tester_present_without_answer_may_come_at_any_time(tmp_path: Path) -> None:
    desk = Desk(written(tmp_path), strict=True)
    for text in ("023E80", "023E80", "0322F190", "023E80", "021003", "023E80"):
        desk.send(text)
        desk.run(100)
    assert desk.faults == []
    assert [recorded.data[1] for _, recorded in desk.heard if recorded.can_id == ANSWER] == [0x62, 0x50]


def test_requests_with_two_identifiers_may_change_turns(tmp_path: Path) -> None:
    log = [
        (0, frame(0x714, "0211")),
        (1, frame(0x77E, "0251")),
        (2, frame(0x713, "0212")),
        (3, frame(0x77D, "0252")),
        (4, frame(EXTENDED | 0x714, "0213")),
        (5, frame(EXTENDED | 0x77E, "0253")),
    ]
    desk = Desk(written(tmp_path, log), sent_ids=[0x714, 0x713, EXTENDED | 0x714], strict=True)
    desk.send("0212", 0x713)
    desk.send("0213", EXTENDED | 0x714)
    desk.send("0211", 0x714)
    assert [data for _, data in desk.run(10)] == ["0252", "0253", "0251"]
    assert desk.faults == []


def test_a_faster_tester_hears_each_cyclic_identifier_from_the_newest_place_alone(tmp_path: Path) -> None:
    log = [(0, frame(ASK, "0211"))]
    log += [(5 + 10 * number, frame(CYCLIC, f"{number:02X}")) for number in range(10)]
    log += [(100, frame(ASK, "0212")), (101, frame(ANSWER, "0252")), (105, frame(CYCLIC, "AA"))]
    desk = Desk(written(tmp_path, log))
    desk.send("0211")
    assert desk.run(20) == [(5, "00"), (15, "01")]
    desk.send("0212")
    assert desk.run(1000) == [(21, "0252"), (25, "AA")]


def test_a_frame_that_comes_later_in_the_log_skips_what_lies_between_unless_strict(tmp_path: Path) -> None:
    desk = Desk(written(tmp_path))
    desk.send("0210030000000000")
    assert [data for _, data in desk.run(100)] == ["065003003201F4AA", "05"]
    desk.send("0322F19000000000")
    assert desk.run(100) == []
    assert desk.faults == []


def test_in_a_loop_the_beginning_comes_after_the_end(tmp_path: Path) -> None:
    desk = Desk(written(tmp_path), loop=True, timing="at_once")
    for text in ("021003", "0322F190", "0322F190", "021003"):
        desk.send(text)
        assert desk.run(1)


def test_after_the_end_there_is_silence_or_when_strict_a_fault_that_says_so(tmp_path: Path) -> None:
    for strict in (False, True):
        desk = Desk(written(tmp_path), strict=strict)
        for text in ("0322F190", "021003", "021003"):
            desk.send(text)
            heard = desk.run(1000)
        assert heard == []
        assert len(desk.faults) == strict
    assert "has nothing more next with the identifier 7E0" in str(desk.faults[0])
    assert isinstance(desk.faults[0], ChannelLost)
    desk.send("0322F190")
    assert desk.run(1000) == []
    assert len(desk.faults) == 1


def test_when_strict_the_fault_says_what_was_expected_and_where(tmp_path: Path) -> None:
    desk = Desk(written(tmp_path), strict=True)
    desk.send("0322F191")
    assert str(desk.faults[0]).endswith(
        "Frame(7E0#0322F191) was sent, and the log has Frame(7E0#0322F19000000000), 0.015000 s from its beginning, "
        "next with the identifier 7E0"
    )


def test_a_listener_may_ask_on_from_inside_and_close(tmp_path: Path) -> None:
    desk = Desk(written(tmp_path), timing="at_once")
    desk.channel.listen([ANSWER], lambda _: desk.send("021003"))
    desk.send("0322F190")
    desk.run(1)
    assert [recorded.data[1] for _, recorded in desk.heard if recorded.can_id == ANSWER] == [0x62, 0x50]
    late = Desk(written(tmp_path), sent_ids=[])
    late.channel.listen([CYCLIC], lambda _: late.channel.close())
    late.run(100)
    assert late.heard == []
    with pytest.raises(ChannelClosed):
        late.send("00")


# ---- logs


@pytest.mark.parametrize("name", ["car.log", "car.asc", "car.blf"])
def test_logs_of_each_format_are_read(tmp_path: Path, name: str) -> None:
    desk = Desk(written(tmp_path, name=name), sent_ids=[])
    assert [data for _, data in desk.run(1000)] == [recorded.data.hex().upper() for _, recorded in DIALOGUE]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("none.log", None, "there is no log .*none.log"),
        ("empty.log", b"", "holds no frame"),
        ("odd.log", b"(1.0) can0 7E0#0211\n(zzz\n", r"odd.log:2: no frame as candump writes it"),
        ("binary.log", bytes(range(256)), "binary.log:1: no frame"),
        ("odd.blf", b"not a BLF file at all" * 20, "no BLF file"),
        ("car.xyz", b"1", "no trace format has this suffix"),
        ("car", b"1", "no trace format has this suffix"),
        ("prose.asc", b"it was a dark and stormy night\n", "no ASC file"),
        ("two.log", b"(1.0) can0 7E0#0211\n(1.1) can1 7E0#0211\n", "several buses, can0, can1: choose"),
    ],
)
def test_what_is_no_log_is_one_sentence(tmp_path: Path, name: str, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ChannelUnavailable, match=says) as told:
        open_channel("replay", str(tmp_path / name), {}, World())
    assert "\n" not in str(told.value)


def test_a_bus_of_the_log_is_chosen_by_name_or_number(tmp_path: Path) -> None:
    path = tmp_path / "two.log"
    path.write_text("(1.0) can0 100#01\n(1.1) 1 100#02\n(1.2) can0 100#R\n(1.3) can0 20000080#00\n")
    for bus, data in (("can0", "01"), (1, "02"), ("1", "02")):
        assert [heard for _, heard in Desk(str(path), bus=bus, sent_ids=[]).run(100)] == [data]
    with pytest.raises(ChannelUnavailable, match="has no bus 'can9'; it has can0, 1"):
        Desk(str(path), bus="can9")


def test_a_log_that_is_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_log, "MAX_FRAMES", 3)
    with pytest.raises(ChannelUnavailable, match="more than 3 frames"):
        Desk(written(tmp_path))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"speed": 2}, "no option 'speed'; it has bus, sent_ids, timing, loop, strict"),
        ({"timing": "slow"}, "timing is one of recorded, at_once, not 'slow'"),
        ({"loop": "yes"}, "loop is true or false"),
        ({"strict": 1}, "strict is true or false"),
        ({"sent_ids": 0x7E0}, r"list of identifiers, such as \[0x7E0"),
        ({"sent_ids": ["7E0"]}, "list of identifiers"),
    ],
)
def test_options_are_checked(tmp_path: Path, options: dict[str, object], says: str) -> None:
    with pytest.raises(LocalMisuse, match=says):
        Desk(written(tmp_path), **options)


def test_of_the_contract_a_recording_keeps_what_one_end_can_show_and_skips_the_rest(tmp_path: Path) -> None:
    place = Place(driver="replay", channel=written(tmp_path))
    results = {result.check.name: result for result in run_contract(Setup(one=place, peer=place, virtual=True))}
    assert all(result.verdict is not Verdict.FAILED for result in results.values()), results
    passed = {name for name, result in results.items() if result.verdict is Verdict.PASSED}
    assert passed >= {"confirmed-once", "confirmed-after-send", "closed-refuses", "unknown-option", "missing-channel"}
    assert not passed & {"classic-frames", "order", "burst", "isotp-classic", "foreign-frames"}
    assert "nobody hears" in results["order"].reason
