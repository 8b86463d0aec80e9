"""The control socket: what people and programs write to it is answered in lines; nothing that they write touches the car."""

from __future__ import annotations

import contextlib
import json
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from served_car import PATIENCE_S, Served, eventually, lines_of, served_here

from bench.live.client import ControlClient, ServerLost
from bench.live.control import BACKLOG_MAX_BYTES, CONNECTIONS_MAX, LINE_MAX_BYTES, ControlSocket, SocketInUse
from bench.live.server import CALLS, CarServer
from bench.live.verbs import CAR_VERBS
from scenarios.verbs import VERBS
from wire.clock import RealClock
from wire.errors import CarrierFault, ConfigError, LocalMisuse, NotOnThisCarrier
from wire.frame import Frame
from wire.frame_stream import encode
from wire.world import World

pytestmark = pytest.mark.realtime
ATTACH = b'{"call": "attach", "args": {"bus": "obd"}}\n'
READ_SESSION = Frame(0x710, b"\x03\x22\xf1\x86\x55\x55\x55\x55")


@pytest.fixture(scope="module")
def car() -> Iterator[Served]:
    with served_here() as made:
        yield made


def well(car: Served) -> bool:
    """Whether the car still answers, at its socket and on its bus (with the ignition on, whatever was done to it before)."""
    assert car.ask("vehicle: {ignition: true, supply-mv: 12600, asleep: false, battery: connected}") == "done"
    assert car.ask("clear-faults") == "done"
    with contextlib.closing(car.raw()) as guest:
        guest.sendall(ATTACH)
        assert b'"fd": false' in guest.recv(4096)
        guest.sendall(encode(0, READ_SESSION))
        heard = b""
        while b"\x62\xf1\x86" not in heard:
            more = guest.recv(4096)
            assert more
            heard += more
        return True


# ---- what people write


TROUBLE = '"name": "engine"'


@pytest.mark.parametrize(
    ("line", "answer", "key", "value"),
    [
        ("vehicle: {bonnet: open}", "done", "bonnet", "open"),
        ("{vehicle: {bonnet: closed}}", "done", "bonnet", "closed"),
        ("vehicle: {ignition: false, supply-mv: 11000}", "done", "supply_mv", 11000),
        ("vehicle: {ignition: true}", "done", "ignition", True),
        ("vehicle: {drive-km: 3}", "done", "odometer_km", None),
        ("vehicle: {speed-kmh: 0}\r", "done", "speed_kmh", 0),
        ("vehicle: {engine-rpm: 800}", "done", "engine_rpm", 800),
        ("rest-bus: true", "done", "rest_bus", True),
        ("rest-bus: {message: Fahrt_01, signal: Tempo, raw: 0, counter: frozen, checksum: wrong}", "done", "", None),
        ("rest-bus: {mesage: Fahrt_01}", None, "", None),
        ("rest-bus: {signal: Tempo}", None, "", None),
        ("rest-bus: false", "done", "rest_bus", False),
        ("reset-ecu: cluster", "done", "asleep", False),
        ("ecu-clock: {ecu: cluster, offset: 2 h}", "done", "asleep", False),
        ("ecu-clock: {ecu: cluster, set: false}", "done", "asleep", False),
        ("fault: {kind: drop, bus: obd, can-id: 1, count: 1}", "done", "faults", []),
        ("fault: {kind: delay, delay: 1 ms, of: cluster, from-now: 1 h}", None, "faults", []),
        ("clear-faults", "done", "faults", []),
        ("transport: {ecu: cluster, stmin: 2}", "done", "asleep", False),
        ('trouble-code: {ecu: engine, code: "02 99 00"}', "test of 029900 fails", "asleep", False),
        (
            'trouble-code: {ecu: engine, code: "029900", result: prepasses, times: 2}',
            "test of 029900 prepasses",
            "asleep",
            False,
        ),
    ],
)
def test_a_person_writes_the_scenarios_own_verbs(
    car: Served, line: str, answer: str | None, key: str, value: object
) -> None:
    if answer is None:
        with pytest.raises(ConfigError, match="line:1"):
            car.ask(line)
    else:
        assert car.ask(line) == answer
    state = car.ask("state")
    assert isinstance(state, dict)
    if value is not None:
        assert state[key] == value


def test_each_verb_for_the_car_has_a_case_above_and_is_a_scenarios_verb() -> None:
    assert set(CAR_VERBS) <= set(VERBS)
    assert set(CAR_VERBS) == {
        "vehicle",
        "rest-bus",
        "reset-ecu",
        "ecu-clock",
        "fault",
        "clear-faults",
        "transport",
        "trouble-code",
    }


def test_what_was_done_by_hand_stands_in_the_log(car: Served) -> None:
    car.ask("vehicle: {bonnet: open}")
    assert car.said[-1].startswith("vehicle")
    assert car.said[-1].endswith("done")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            "vehicel: {bonnet: open}",
            r"'vehicel' is nothing that can be done to a car from here; did you mean 'vehicle'\?",
        ),
        ("stat", r"did you mean 'state'\?"),
        ("unlock: cluster", "'unlock' is nothing that can be done"),
        ("login", "'login' is nothing that can be done"),
        ("vehicle: {bonet: open}", r"line:1: .*bonet.*did you mean 'bonnet'"),
        ("vehicle: {bonnet: ajar}", r"line:1: .*'ajar'"),
        ("vehicle: {supply-mv: 1000000}", "supply-mv"),
        ("vehicle: {}", "line"),
        ("vehicle:", "line"),
        ("vehicle: {bonnet: open}, reset-ecu: cluster", "line"),
        ("reset-ecu: clutch", "has no unit 'clutch'; there are: .*cluster"),
        ("transport: {ecu: clutch, stmin: 2}", "has no unit 'clutch'"),
        ("transport: {ecu: cluster, stmin: 300}", "stmin"),
        ("fault: {kind: drop, bus: odb}", "there is no bus 'odb'; there are: obd"),
        ("fault: {kind: melt}", "melt"),
        ('trouble-code: {ecu: engine, code: "02 99"}', "a trouble code of three bytes"),
        ("trouble-code: {ecu: engine, code: 29900}", "put them in quotes"),
        (
            'trouble-code: {ecu: engine, code: "12 34 56"}',
            "no trouble code 123456 in this unit; there are: 029900, 030000",
        ),
        ('trouble-code: {ecu: engine, code: "02 99 00", result: fail}', "did you mean 'fails'"),
        ("- vehicle: {bonnet: open}", "expected a mapping"),
        ("[", "not YAML"),
        ("!!python/object:os.system {}", "tags have no place"),
        ("17", "expected a mapping"),
        ("null", "expected a mapping"),
        ("\x1b[2J", "not YAML"),
    ],
)
def test_what_is_wrong_with_a_line_is_said_in_one_sentence(car: Served, line: str, says: str) -> None:
    with pytest.raises((ConfigError, LocalMisuse), match=says) as refused:
        car.ask(line)
    assert "\n" not in str(refused.value)


def test_a_line_that_is_two_is_refused_before_it_is_sent(car: Served) -> None:
    with contextlib.closing(car.client()) as client:
        with pytest.raises(LocalMisuse, match="one line"):
            client.line("vehicle:\n  bonnet: open")
        assert client.line("clear-faults") == "done"


# ---- what programs write


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"call": "fly"}', "there is no call 'fly'; there are: put"),
        ('{"call": []}', "there is no call"),
        ('{"call": {"a": 1}, "args": {}}', "there is no call"),
        ('{"call": null}', "there is no call None"),
        ('{"call": "reset", "args": []}', "there is no call|wrong arguments"),
        ('{"call": "reset"}', "call 'reset' with wrong arguments: 'name'"),
        ('{"call": "reset", "args": {"name": 5}}', "wrong arguments"),
        ('{"call": "reset", "args": {"name": ["x"]}}', "wrong arguments"),
        ('{"call": "reset", "args": {"name": "clutch"}}', "no unit 'clutch'"),
        ('{"call": "change", "args": {"change": {"bonnet_open": "yes"}}}', "bonnet_open"),
        ('{"call": "change", "args": {"change": {"bonet_open": true}}}', "did you mean 'bonnet_open'"),
        ('{"call": "set_transport", "args": {"name": "cluster", "change": {"padding": 300}}}', "padding is one byte"),
        ('{"call": "set_transport", "args": {"name": "cluster", "change": {"wait_frames": "x"}}}', "wait_frames"),
        ('{"call": "set_clock", "args": {"name": "cluster", "offset_s": "x", "is_set": true}}', "wrong arguments"),
        ('{"call": "set_clock", "args": {"name": "cluster", "offset_s": 1, "is_set": "x"}}', "wrong arguments"),
        ('{"call": "put_date_forward", "args": {"seconds": "x"}}', "wrong arguments"),
        ('{"call": "put_date_forward", "args": {"seconds": 1.5}}', "wrong arguments"),
        ('{"call": "put_date_forward", "args": {"seconds": 1e400}}', "wrong arguments"),
        (f'{{"call": "put_date_forward", "args": {{"seconds": {10**30}}}}}', "wrong arguments"),
        ('{"call": "put_date_forward", "args": {"seconds": 1' + "0" * 5000 + "}}", "not a call|wrong arguments"),
        ('{"call": "add_fault", "args": {"rule": {"kind": "melt"}}}', "melt"),
        (
            f'{{"call": "report_trouble", "args": {{{TROUBLE}, "code": "x", "result": "fails", "times": 1}}}}',
            "wrong arguments",
        ),
        (
            f'{{"call": "report_trouble", "args": {{{TROUBLE}, "code": -1, "result": "fails", "times": 1}}}}',
            "no trouble code",
        ),
        (
            f'{{"call": "report_trouble", "args": {{{TROUBLE}, "code": 1, "result": "fails", "times": 9999}}}}',
            "wrong arguments",
        ),
        (f'{{"call": "report_trouble", "args": {{{TROUBLE}, "code": 1, "result": "melts", "times": 1}}}}', "melts"),
        ('{"call": "put", "args": {"vehicle": "vag-gulf"}}', "did you mean 'vag-golf'"),
        ('{"call": "put", "args": {"vehicle": "a\\u0000.yaml"}}', "wrong arguments|no vehicle"),
        ('{"call": "put", "args": {"vehicle": 5}}', "wrong arguments"),
        ('{"call": "attach", "args": {"bus": "odb"}}', "there is no bus 'odb'; there are: obd"),
        ('{"call": "attach", "args": {"bus": []}}', "wrong arguments"),
        ('{"call": "audit", "args": {"record": {}}}', "audit_id"),
        ('{"call": ', "not a call|not YAML"),
        ('{"call": "state"} and more', "not a call|not YAML"),
        ('{"call": ' + "[" * 50_000, "not a call|not YAML|nested"),
        ("[" * 3_000, "not YAML|nested"),
    ],
    ids=lambda value: value[:60],
)
def test_a_wrong_call_is_refused_and_the_car_goes_on(car: Served, line: str, says: str) -> None:
    with pytest.raises((ConfigError, LocalMisuse), match=says):
        car.ask(line)
    assert well(car)


@pytest.mark.parametrize("line", ['{"args": {}, "call": "state"}', '{ "call" : "state" }', '  {"call": "state"}'])
def test_a_call_is_known_however_its_json_is_written(car: Served, line: str) -> None:
    state = car.ask(line)
    assert isinstance(state, dict)
    assert state["vehicle"] == "vag-golf"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
NAMES = sorted(set(CALLS) - {"end", "put", "clear"})
KEYS = ("name", "offset_s", "is_set", "seconds", "change", "rule", "bus", "record")
ARGS = st.dictionaries(st.sampled_from(KEYS), JSON | st.sampled_from(("cluster", "obd")), max_size=4)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(NAMES), args=ARGS)
def test_no_call_with_any_arguments_ends_the_car(car: Served, name: str, args: dict) -> None:
    with contextlib.suppress(ConfigError, LocalMisuse, NotOnThisCarrier):
        car.ask(json.dumps({"call": name, "args": args}))
    assert isinstance(car.ask("state"), dict)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60).map(lambda data: data.replace(b"\n", b" ")))
def test_no_bytes_on_a_line_end_the_car(car: Served, data: bytes) -> None:
    with contextlib.closing(car.raw()) as bare:
        bare.sendall(data + b"\nclear-faults\n")
        answers = lines_of(bare)
        if data.strip():
            assert "error" in next(answers)
        assert next(answers) == {"ok": "done"}


def test_the_car_still_answers_on_its_bus_after_all_that(car: Served) -> None:
    assert well(car)


def test_a_guest_waits_for_the_next_car_and_sits_on_its_bus(car: Served) -> None:
    with contextlib.closing(car.raw()) as guest:
        guest.sendall(ATTACH)
        assert b'"fd": false' in guest.recv(4096)
        car.call("clear")
        guest.sendall(encode(0, READ_SESSION))  # to nobody
        car.call("put", vehicle="vag-golf")
        guest.sendall(encode(0, READ_SESSION))
        heard = b""
        while b"\x62\xf1\x86" not in heard:
            more = guest.recv(4096)
            assert more
            heard += more


SMALL_CAR = """
title: A small car
make: vag
vin: WVWZZZAAZTW000042
gateway: {profile: vag-j533, ecu: vag/gateway}
functional_ids: [0x700]
buses: [obd, body]
ecus: {cluster: {profile: vag/cluster, bus: body}}
"""


def test_a_guest_of_a_bus_that_the_next_car_does_not_have_is_sent_away(car: Served, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL_CAR)
    with contextlib.closing(car.raw()) as guest:
        guest.sendall(ATTACH.replace(b"obd", b"infotainment"))
        assert b'"fd": false' in guest.recv(4096)
        car.call("put", vehicle=str(tmp_path / "small.yaml"))
        assert guest.recv(4096) == b""
    car.call("put", vehicle="vag-golf")


def test_an_empty_bench_has_no_bus_to_sit_on_until_a_car_is_put_there(car: Served) -> None:
    car.call("clear")
    with pytest.raises(LocalMisuse, match="no car stands on this bench"):
        car.call("attach", bus="obd")
    assert isinstance(car.ask("state"), dict)
    car.call("put", vehicle="vag-golf")
    assert well(car)


# ---- lines as they come


def test_a_line_may_come_in_pieces_and_two_in_one_packet(car: Served) -> None:
    with contextlib.closing(car.raw()) as bare:
        answers = lines_of(bare)
        for piece in (b"clear-", b"fau", b"lts", b"\n"):
            bare.sendall(piece)
        assert next(answers) == {"ok": "done"}
        bare.sendall(b"clear-faults\n\n   \nclear-faults\nnonsense: 1\ncle")
        assert next(answers) == next(answers) == {"ok": "done"}
        assert next(answers)["error"]["kind"] == "ConfigError"
        bare.sendall(b"ar-faults\n")
        assert next(answers) == {"ok": "done"}


def test_what_is_not_text_is_refused_and_the_connection_goes_on(car: Served) -> None:
    with contextlib.closing(car.raw()) as bare:
        bare.sendall(b"\xff\xfe\nclear-faults\n")
        answers = lines_of(bare)
        assert next(answers)["error"] == {"kind": "ConfigError", "text": "a line is UTF-8 text"}
        assert next(answers) == {"ok": "done"}


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_of_two_megabytes_ends_the_connection_with_a_sentence(car: Served, end: bytes) -> None:
    with contextlib.closing(car.raw()) as bare:
        with contextlib.suppress(ConnectionError):
            bare.sendall(b"x" * 2 * LINE_MAX_BYTES + end)
        answers = list(lines_of(bare))
        assert "at most 1000000 bytes" in answers[0]["error"]["text"]
    assert well(car)


def test_a_long_verb_is_refused_at_once_since_reading_it_would_hold_up_the_car(car: Served) -> None:
    with pytest.raises(ConfigError, match="a verb has at most"):
        car.ask("vehicle: {" + "bonnet: open, " * 5_000 + "}")


def test_forty_connections_are_served_or_turned_away_and_leave_room_when_they_go(car: Served) -> None:
    bare = [car.raw() for _ in range(40)]
    served, refused = 0, 0
    for each in bare:
        with contextlib.suppress(ConnectionError):
            each.sendall(b"clear-faults\n")
        answer = next(lines_of(each), None)
        if answer == {"ok": "done"}:
            served += 1
        else:
            refused += 1
            assert answer is None or "connections" in answer["error"]["text"]
    assert (served, refused) == (CONNECTIONS_MAX, 40 - CONNECTIONS_MAX)
    for each in bare:
        each.close()
    assert eventually(lambda: not car.server.control.connections)
    assert well(car)


def test_who_is_turned_away_is_told_why(car: Served) -> None:
    bare = [car.raw() for _ in range(CONNECTIONS_MAX)]
    assert eventually(lambda: len(car.server.control.connections) == CONNECTIONS_MAX)
    with contextlib.closing(car.client()) as one_more, pytest.raises((ServerLost, LocalMisuse), match="connections"):
        one_more.line("state")
    for each in bare:
        each.close()
    assert eventually(lambda: not car.server.control.connections)


def test_a_client_that_goes_in_the_middle_of_a_line_leaves_no_trace(car: Served) -> None:
    bare = car.raw()
    bare.sendall(b'{"call": "reset", "args": {"na')
    assert eventually(lambda: car.server.control.connections)
    bare.close()
    assert eventually(lambda: not car.server.control.connections)
    assert well(car)


def test_a_client_that_goes_before_its_answers_leaves_no_trace(car: Served) -> None:
    bare = car.raw()
    bare.sendall(b"state\n" * 200)
    bare.close()
    assert eventually(lambda: not car.server.control.connections)
    assert well(car)


# ---- readers that are slow


def test_a_reader_of_frames_that_is_too_slow_is_dropped_and_the_car_goes_on(car: Served) -> None:
    slow = car.raw()
    slow.sendall(ATTACH)
    assert slow.recv(4096)
    guests = len(car.server.control.connections)
    (connection,) = [each for each in car.server.control.connections if each.on_frame is not None]
    flood = encode(0, Frame(1, bytes(8))) * 4096

    def push() -> None:
        for _ in range(BACKLOG_MAX_BYTES // len(flood) * 3):
            connection.send(flood)

    car.server.world.post(push)
    assert eventually(lambda: len(car.server.control.connections) == guests - 1)
    assert well(car)
    slow.close()


def test_answers_wait_for_a_reader_that_takes_his_time_across_a_change_of_vehicle(car: Served) -> None:
    with contextlib.closing(car.raw()) as slow:
        asked = 150
        slow.sendall(b"state\n" * asked)
        assert eventually(lambda: any(each.waiting for each in car.server.control.connections))
        car.call("put", vehicle="vag-golf")  # a new world: what waited in the old one is not forgotten
        answers = lines_of(slow)
        assert sum("ok" in next(answers) for _ in range(asked)) == asked


# ---- the socket itself


def serving(path: Path) -> tuple[RealClock, ControlSocket]:
    clock = RealClock()
    world = World(clock=clock)
    try:
        return clock, ControlSocket(path, clock, lambda: world, lambda _connection, line: line)
    except BaseException:
        clock.close()
        raise


def test_the_socket_is_for_this_user_only_and_goes_with_its_server(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "car.sock"
    clock, control = serving(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    control.close()
    clock.close()
    assert not path.exists()


def test_a_socket_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "car.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
        dead.listen()
    clock, control = serving(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.connect(str(path))
    control.close()
    clock.close()


def test_a_socket_in_use_is_refused_in_one_sentence(car: Served) -> None:
    with pytest.raises(SocketInUse, match=r"a car is served at .* already: end that one, or name another 'control'"):
        serving(car.control)
    assert issubclass(SocketInUse, CarrierFault)
    assert well(car)


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "thesis.txt"
    path.write_text("dear reader")
    with pytest.raises(ConfigError, match="is no socket"):
        serving(path)
    assert path.read_text() == "dear reader"


def test_a_path_that_is_too_long_for_a_socket_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no control socket can be made here: .*too long"):
        serving(tmp_path / ("x" * 120))


def test_without_unix_sockets_both_ends_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    with pytest.raises(NotOnThisCarrier, match="no Unix sockets"):
        ControlClient(tmp_path / "car.sock")
    clock = object.__new__(RealClock)
    with pytest.raises(NotOnThisCarrier, match="no Unix sockets"):
        ControlSocket(tmp_path / "car.sock", clock, World, lambda _c, line: line)


# ---- the client


def test_where_nobody_serves_the_client_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(ServerLost, match=r"no car is served at .*; start one with `sgw-bench serve`"):
        ControlClient(tmp_path / "nobody.sock")


def test_a_server_that_ends_is_named_to_who_still_asks() -> None:
    with served_here() as car:
        client = car.client()
        assert client.line("clear-faults") == "done"
    with pytest.raises(ServerLost, match="is gone"):
        client.line("state")
    client.close()


def test_a_server_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.live.client.PATIENCE_S", 0.05)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as mute:
        mute.bind(str(tmp_path / "mute.sock"))
        mute.listen()
        client = ControlClient(tmp_path / "mute.sock")
        with pytest.raises(ServerLost, match="is gone: timed out"):
            client.line("state")
        client.close()


def test_many_programs_ask_at_once_and_each_gets_its_own_answers(car: Served) -> None:
    wrong: list[object] = []

    def ask(number: int) -> None:
        with contextlib.closing(car.client()) as client:
            for _ in range(20):
                try:
                    client.line(f"nonsense-{number}: 1")
                except ConfigError as error:
                    if f"nonsense-{number}" not in str(error):
                        wrong.append(error)
                if client.call("bus_of", name="cluster") != car.server.car.bus_of("cluster"):
                    wrong.append("bus")

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not wrong


def test_end_ends_the_server() -> None:
    with served_here() as car:
        assert car.call("end") is None
        assert eventually(lambda: car.server.ending)
        assert isinstance(car.server, CarServer)
