"""Bench files: the ready ones load; what is wrong with one is said with file, line, key and what to do."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.bench import Bench
from bench.bench_file import VIRTUAL, CarAt, bench_names, load_bench
from bench.vehicle_file import load_vehicle
from wire.errors import ConfigError, NotOnThisCarrier
from wire.plain import to_plain

READY = ("paced", "slcan", "socketcan-hil", "tester-only", "udp", "vcan", "virtual")
CARRIER = "{driver: python_can, channel: x, options: {interface: virtual}}"
SERVED = f"title: T\ncar: served\nbuses: {{obd: {CARRIER}}}\ntester: {CARRIER}\n"


def written(folder: Path, text: str) -> str:
    path = folder / "own.yaml"
    path.write_text(text)
    return str(path)


def test_each_ready_file_loads_and_has_a_case_here() -> None:
    assert set(READY) <= set(bench_names())
    for name in bench_names():
        spec = load_bench(name)
        assert spec.name == name
        assert spec.title
        if spec.vehicle is not None:
            load_vehicle(spec.vehicle)


def test_what_the_virtual_file_says_is_what_there_is_without_a_file() -> None:
    assert to_plain(load_bench("virtual")) | {"path": None} == to_plain(VIRTUAL)


def test_every_ready_bench_is_json() -> None:
    for name in bench_names():
        assert json.loads(json.dumps(to_plain(load_bench(name))))["name"] == name


def test_a_served_bench_says_all_that_its_file_says(tmp_path: Path) -> None:
    text = """\
title: All of it
vehicle: my-car.yaml
clock: real
car: {at: served, paced: true, control: run/car.sock}
buses:
  obd: {driver: python_can, channel: can0, options: {interface: socketcan, fd: true, depth: {of: [1, 2]}}}
tester: {driver: socketcan, channel: can1, options: {fd: false}, isotp: kernel, delta_p2: 70 ms}
portal: {at: "https://portal.example/", keys: keys/set.json, reviews: 3 s}
longest_wait: 2 min
"""
    spec = load_bench(written(tmp_path, text))
    assert to_plain(spec) | {"vehicle": None, "path": None, "control": None, "portal": None} == {
        "name": "own",
        "title": "All of it",
        "path": None,
        "vehicle": None,
        "virtual_time": False,
        "car": "served",
        "paced": True,
        "control": None,
        "buses": {
            "obd": {
                "driver": "python_can",
                "channel": "can0",
                "options": {"interface": "socketcan", "fd": True, "depth": {"of": [1, 2]}},
            }
        },
        "tester": {
            "carrier": {"driver": "socketcan", "channel": "can1", "options": {"fd": False}},
            "kernel_isotp": True,
            "delta_p2_ns": 70_000_000,
        },
        "portal": None,
        "longest_wait_ns": 120_000_000_000,
    }
    assert (spec.portal.url, spec.portal.review_ns) == ("https://portal.example", 3_000_000_000)


def test_paths_are_read_from_where_the_file_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "benches").mkdir()
    (tmp_path / "elsewhere").mkdir()
    text = SERVED.replace("car: served", "car: {at: served, control: run/car.sock}")
    text += "vehicle: cars/mine.yaml\nportal: {keys: keys/set.json, keys_folder: ../own}\n"
    written(tmp_path / "benches", text)
    monkeypatch.chdir(tmp_path / "elsewhere")
    spec = load_bench("../benches/own.yaml")
    folder = Path("../benches")
    assert spec.vehicle == str(folder / "cars/mine.yaml")
    assert spec.control == folder / "run/car.sock"
    assert spec.portal.keys == str(folder / "keys/set.json")
    assert spec.portal.keys_folder == folder / "../own"
    assert load_bench(written(tmp_path, SERVED + "vehicle: mb-eclass\n")).vehicle == "mb-eclass"
    url = "https://portal.example/v1/keys"
    assert load_bench(written(tmp_path, SERVED + f"portal: {{keys: '{url}'}}\n")).portal.keys == url


@pytest.mark.parametrize(
    ("car", "clock", "virtual", "paced"),
    [
        (None, None, True, True),
        ("here", None, True, True),
        ("here", "virtual", True, True),
        ("here", "real", False, False),
        ("{at: here, paced: true}", "real", False, True),
        ("{at: here, paced: false}", None, True, False),
        ("{at: here}", None, True, True),
    ],
)
def test_a_car_here_is_in_virtual_time_and_paced_unless_the_file_says_otherwise(
    tmp_path: Path, car: str | None, clock: str | None, virtual: bool, paced: bool
) -> None:
    text = "title: T\n" + (f"car: {car}\n" if car else "") + (f"clock: {clock}\n" if clock else "")
    spec = load_bench(written(tmp_path, text))
    assert (spec.car, spec.virtual_time, spec.paced) == (CarAt.HERE, virtual, paced)


@pytest.mark.parametrize("car", ["served", "elsewhere", "real"])
def test_a_car_that_is_not_here_is_in_real_time(tmp_path: Path, car: str) -> None:
    buses = f"buses: {{obd: {CARRIER}}}\n" if car == "served" else ""
    spec = load_bench(written(tmp_path, f"title: T\ncar: {car}\n{buses}tester: {CARRIER}\n"))
    assert (spec.car.value, spec.virtual_time, spec.paced) == (car, False, False)


@pytest.mark.parametrize(
    ("text", "line", "key", "says"),
    [
        ("", None, "", "is empty"),
        ("- title: T", 1, "", "expected a mapping"),
        ("car: here", 1, "", "missing key 'title'"),
        ("title: 5", 1, "title", "expected text"),
        ("title: T\nvehicel: x", 2, "vehicel", "did you mean 'vehicle'"),
        ("title: T\nclock: wall", 2, "clock", "unknown value 'wall'"),
        ("title: T\ncar: sreved", 2, "car", "did you mean 'served'"),
        ("title: T\ncar:", 2, "car", "expected a mapping"),
        ("title: T\ncar: {paced: true}", 2, "car", "missing key 'at'"),
        ("title: T\ncar: {at: here, pased: true}", 2, "car.pased", "did you mean 'paced'"),
        ("title: T\ncar: {at: here, paced: 1}", 2, "car.paced", "expected true or false"),
        ("title: T\ncar: {at: here, control: x}", 2, "car.control", "nobody steers it through a socket"),
        (f"title: T\ncar: {{at: real, control: x}}\ntester: {CARRIER}", 2, "car.control", "nobody steers it"),
        (
            f"title: T\ncar: {{at: real, paced: true}}\ntester: {CARRIER}",
            2,
            "car.paced",
            "take the time that they take",
        ),
        (
            SERVED + "clock: virtual",
            5,
            "clock",
            "virtual time ends at this process, and the car is served: clock: real",
        ),
        (f"title: T\ncar: real\nclock: virtual\ntester: {CARRIER}", 3, "clock", "the car is real: clock: real"),
        ("title: T\ncar: served", 1, "", "say under 'tester' through which driver and channel it is reached"),
        ("title: T\ncar: real", 1, "", "the car is real: say under 'tester'"),
        (
            f"title: T\ncar: served\ntester: {CARRIER}",
            1,
            "",
            "say under 'buses' which driver and channel carry its bus 'obd'",
        ),
        (
            f"title: T\ncar: served\nbuses: {{chassis: {CARRIER}}}\ntester: {CARRIER}",
            1,
            "",
            "or let the tester sit on the bench (driver: python_can, options: {interface: sgwbench})",
        ),
        (f"title: T\nbuses: {{obd: {CARRIER}}}", 2, "buses", "stands in this process, its buses are virtual"),
        (f"title: T\ncar: here\ntester: {CARRIER}", 3, "tester", "'tester' has no place here"),
        (f"title: T\ncar: real\nbuses: {{obd: {CARRIER}}}\ntester: {CARRIER}", 3, "buses", "its buses are where it is"),
        (SERVED.replace("python_can", "pyhton_can", 1), 3, "buses.obd.driver", "did you mean 'python_can'"),
        (SERVED + "\ntester: x", 6, "tester", "this key stands here twice"),
        ("title: T\ncar: real\ntester: can0", 3, "tester", "expected a mapping"),
        ("title: T\ncar: real\ntester: {channel: can0}", 3, "tester", "missing key 'driver'"),
        ("title: T\ncar: real\ntester: {driver: python_can}", 3, "tester", "missing key 'channel'"),
        ("title: T\ncar: real\ntester: {driver: python_can, channel: 0}", 3, "tester.channel", "put it in quotes"),
        (
            "title: T\ncar: real\ntester: {driver: python_can, channel: x, options: 5}",
            3,
            "tester.options",
            "expected a mapping",
        ),
        ("title: T\ncar: real\ntester: {driver: python_can, channel: x, isotp: linux}", 3, "tester.isotp", "'linux'"),
        (
            "title: T\ncar: real\ntester: {driver: python_can, channel: x, isotp: kernel}",
            3,
            "tester.isotp",
            "driver: socketcan",
        ),
        ("title: T\ncar: real\ntester: {driver: python_can, channel: x, delta_p2: 50}", 3, "tester.delta_p2", "50"),
        ("title: T\ncar: real\ntester: {driver: python_can, channel: x, delta: 1 s}", 3, "tester.delta", "delta_p2"),
        (
            SERVED.replace("options: {interface: virtual}}}", "isotp: own}}"),
            3,
            "buses.obd.isotp",
            "unknown key 'isotp'",
        ),
        ("title: T\nportal: here", 2, "portal", "expected a mapping"),
        ("title: T\nportal: {url: x}", 2, "portal.url", "unknown key 'url'"),
        ("title: T\nportal: {at: portal.example}", 2, "portal.at", "'here' or at a URL"),
        ("title: T\nportal: {at: 'ftp://portal.example'}", 2, "portal.at", "not at 'ftp://portal.example'"),
        ("title: T\nportal: {at: 'https://'}", 2, "portal.at", "'here' or at a URL"),
        ("title: T\nportal: {at: 'https://:80'}", 2, "portal.at", "'here' or at a URL"),
        ("title: T\nportal: {at: 'http://[::1'}", 2, "portal.at", "'here' or at a URL"),
        ("title: T\nportal: {at: 'http://portal:port'}", 2, "portal.at", "'here' or at a URL"),
        ("title: T\nportal: {reviews: soon}", 2, "portal.reviews", "soon"),
        ("title: T\nlongest_wait: 10", 2, "longest_wait", "10"),
        ("title: T\nlongest_wait: -1 s", 2, "longest_wait", "-1 s"),
        ("title: T\nvehicle: 5", 2, "vehicle", "expected text"),
        ("title: !!python/name:os.system T", 1, "", "tags have no place here"),
        ("title: [", 1, "", "not YAML"),
    ],
)
def test_what_is_wrong_is_said_with_file_line_key_and_what_to_do(
    tmp_path: Path, text: str, line: int | None, key: str, says: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as wrong:
        load_bench(path)
    error = wrong.value
    assert (error.path, error.key) == (path, key)
    assert error.line == line
    assert says in error.problem
    assert "\n" not in str(error)


def test_a_name_that_is_no_bench_is_answered_with_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no bench 'pased'; did you mean 'paced'\?"):
        load_bench("pased")
    with pytest.raises(ConfigError, match=r"no bench '.*own\.yaml' in"):
        load_bench(str(tmp_path / "own.yaml"))


WORDS = st.sampled_from(
    (
        "title",
        "car",
        "served",
        "here",
        "real",
        "at",
        "buses",
        "obd",
        "tester",
        "portal",
        "keys",
        "clock",
        "options",
        "driver",
    )
)
YAML = st.recursive(
    WORDS | st.none() | st.integers() | st.text(alphabet="abc:/[]{}&*-! \n", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(WORDS, YAML, max_size=5))
def test_no_file_whatever_it_says_ends_in_anything_but_a_bench_or_one_sentence(content: dict) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.yaml"
        path.write_text(json.dumps({"title": "T"} | content))
        with contextlib.suppress(ConfigError):
            assert load_bench(str(path)).path == path


def test_a_bench_in_real_time_here_refuses_a_long_wait_and_looks_inside_a_unit(tmp_path: Path) -> None:
    path = written(tmp_path, "title: T\nclock: real\nlongest_wait: 20 ms\n")
    with Bench(file=path, vehicle="vag-golf") as bench:
        assert bench.tester().identify().vin == bench.car.spec.vin
        bench.sleep(seconds=0.01)
        with pytest.raises(NotOnThisCarrier, match=r"a wait of 0\.021 s"):
            bench.sleep(seconds=0.021)
        assert bench.car.unit("cluster").server.reachable
