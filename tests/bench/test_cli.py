"""The command line: what a person types, what they read, the exit status, and one clear sentence for what was wrong."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import struct
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree as ET

import can
import pytest
from command_line import COMMAND, Here, environment, here, in_a_process
from jsonschema import Draft202012Validator
from scapy.utils import RawPcapNgReader

from bench.vehicle_file import FOLDER
from scenarios.library import LIBRARY, find

FAILING = "title: Coding needs no unlock, or does it\nvehicle: vag-golf\nsteps:\n  - identify\n  - unlock: cluster\n  - scan\n"
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


@pytest.fixture
def sgw_bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    return here(monkeypatch, capsys)


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    path = tmp_path / "my failing.yaml"
    path.write_text(FAILING)
    return path


# ---- what works


def test_scenarios_run_by_name_pattern_tag_and_file_together(sgw_bench: Here, tmp_path: Path) -> None:
    done = sgw_bench(
        "run", "vag-global-scan", "mb-global-*", "@happy", str(LIBRARY / "mb-deauthenticate.yaml"), cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    names = {
        "vag-global-scan",
        "mb-global-scan",
        "mb-deauthenticate",
        *(scenario.name for scenario in find(["@happy"])),
    }
    assert {"vag-chain-happy", "vag-sfd2-chain-happy", "mb-chain-happy", "mb-seed-chain-happy"} < names
    for name in names:
        assert re.search(rf"^{name} .* passed ", done.stdout, re.MULTILINE)
    assert f"{len(names)} passed in " in done.stdout
    assert done.stderr == ""


def test_list_names_every_scenario_with_what_it_shows(sgw_bench: Here, tmp_path: Path) -> None:
    done = sgw_bench("list", cwd=tmp_path)
    assert done.returncode == 0
    for scenario in find([]):
        assert re.search(rf"^{scenario.name} ", done.stdout, re.MULTILINE)
        assert scenario.title.split()[0] in done.stdout


def test_list_takes_the_same_words_as_run(sgw_bench: Here, tmp_path: Path) -> None:
    done = sgw_bench("list", "@scan", cwd=tmp_path)
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["scenario", "mb-global-scan", "vag-global-scan"]


def test_repeat_plays_with_seeds_that_count_up_from_the_first(sgw_bench: Here, tmp_path: Path) -> None:
    done = sgw_bench("run", "vag-global-scan", "--seed", "41", "--repeat", "3", cwd=tmp_path)
    assert done.stdout.splitlines()[1].split()[-1] == "41-43"
    assert "3 passed" in done.stdout


def test_verbose_shows_every_step_under_its_scenario(sgw_bench: Here, tmp_path: Path) -> None:
    done = sgw_bench("run", "-v", "vag-global-scan", "vag-relock-on-command", cwd=tmp_path)
    lines = done.stdout.splitlines()
    assert lines[0] == "vag-global-scan, seed 0"
    assert lines[1].split()[:2] == ["passed", "scan:"]
    assert lines[2] == "vag-relock-on-command, seed 0"


def test_the_demo_tells_the_chain_for_both_makes_and_the_witness_agrees(sgw_bench: Here, tmp_path: Path) -> None:
    done = sgw_bench("demo", cwd=tmp_path)
    assert done.returncode == 0
    for words in ("Golf-like", "E-class-like", "unlocks the cluster", "it has closed by itself  cluster is locked"):
        assert words in done.stdout
    assert done.stdout.count("saw nothing wrong") == 2


def test_the_schema_is_json_that_an_editor_can_use(sgw_bench: Here, tmp_path: Path) -> None:
    done = sgw_bench("schema", cwd=tmp_path)
    Draft202012Validator.check_schema(json.loads(done.stdout))


@pytest.mark.parametrize(
    "words", [("run", "vag-chain-happy", "-v"), ("list",), ("demo",), ("run", "nope"), ("--help",)]
)
def test_output_to_a_pipe_has_no_control_characters(words: tuple[str, ...], tmp_path: Path) -> None:
    done = in_a_process(*words, cwd=tmp_path)
    assert not CONTROL.search(done.stdout + done.stderr)


def test_the_help_documents_the_exit_status(sgw_bench: Here, tmp_path: Path) -> None:
    text = " ".join(sgw_bench("run", "--help", cwd=tmp_path).stdout.split())
    for words in ("0 all passed", "1 a scenario failed", "2 the call or a file was wrong", "130 interrupted"):
        assert words in text


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_the_command_without_a_traceback(tmp_path: Path) -> None:
    shell = f"{shlex.join(COMMAND)} list | head -1"
    done = subprocess.run(
        ["bash", "-c", shell], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.startswith("scenario ")
    assert done.stderr == ""


# ---- a scenario that fails


def test_a_failure_shows_step_place_expectation_outcome_and_seed(sgw_bench: Here, failing: Path) -> None:
    done = sgw_bench("run", failing.name, "--seed", "5", cwd=failing.parent)
    assert done.returncode == 1
    shown = dict(line.strip().split(None, 1) for line in done.stdout.splitlines() if line.startswith("  "))
    assert shown["step"] == "2: unlock cluster"
    assert shown["where"] == "my failing.yaml:5"
    assert shown["expected"] == "a positive answer"
    assert "not logged" in shown["came"]
    assert shown["seed"] == "5"
    assert "1 failed in " in done.stdout


@pytest.mark.slow
def test_the_replay_command_fails_in_the_same_way(failing: Path) -> None:
    first = in_a_process("run", failing.name, "--seed", "5", "--repeat", "2", cwd=failing.parent).stdout
    commands = re.findall(r"replay +sgw-bench (.*)", first)
    assert len(commands) == 2
    for turn, command in enumerate(commands):
        again = in_a_process(*shlex.split(command), cwd=failing.parent)
        assert again.returncode == 1
        reports = [part.partition("\n\n")[0] for part in first.split("failed my failing\n")[1:]]
        assert reports[turn] in again.stdout


@pytest.mark.parametrize("name", ["-dash.yaml", "-folder/mine.yaml", "@at.yaml"])
def test_a_file_whose_name_looks_like_an_option_or_a_tag_is_replayed_as_the_file_that_it_is(
    sgw_bench: Here, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(FAILING)
    first = sgw_bench("run", f"./{name}", cwd=tmp_path)
    replay = re.search(r"replay +sgw-bench (.*)", first.stdout)
    assert replay is not None
    assert f"./{name}" in replay[1]
    again = sgw_bench(*shlex.split(replay[1]), cwd=tmp_path)
    assert (again.returncode, again.stderr) == (1, "")
    assert "1 failed in " in again.stdout


def test_one_failure_among_many_fails_the_run_and_the_rest_is_played(sgw_bench: Here, failing: Path) -> None:
    done = sgw_bench("run", "vag-global-scan", failing.name, "mb-global-scan", cwd=failing.parent)
    assert done.returncode == 1
    assert "2 passed, 1 failed" in done.stdout


# ---- files that others read


def test_junit_is_xml_with_counts_and_the_replay_command(sgw_bench: Here, failing: Path) -> None:
    out = failing.parent / "reports" / "junit.xml"
    words = ("run", "vag-global-scan", failing.name, "--repeat", "2", "--junit", str(out))
    assert sgw_bench(*words, cwd=failing.parent).returncode == 1
    root = ET.fromstring(out.read_bytes())  # noqa: S314 - our own file
    (suite,) = root
    for element in (root, suite):
        assert [element.get(key) for key in ("tests", "failures", "errors", "skipped")] == ["4", "2", "0", "0"]
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == [
        "vag-global-scan[0]",
        "vag-global-scan[1]",
        "my failing[0]",
        "my failing[1]",
    ]
    failure = cases[3].find("failure")
    assert failure is not None
    assert "line 5, unlock cluster: expected a positive answer" in (failure.get("message") or "")
    assert "replay: sgw-bench run 'my failing.yaml' --seed 1" in (failure.text or "")
    assert [case.find("failure") for case in cases[:2]] == [None, None]


def test_traces_are_read_by_python_can_and_by_scapy_and_agree(sgw_bench: Here, tmp_path: Path) -> None:
    done = sgw_bench("run", "vag-global-scan", "--seed", "3", "--trace", "traces", cwd=tmp_path)
    assert done.returncode == 0
    assert "traces in traces" in done.stdout
    stem = tmp_path / "traces" / "vag-global-scan-3"
    with can.LogReader(stem.with_suffix(".log")) as reader:
        messages = list(reader)
    with RawPcapNgReader(str(stem.with_suffix(".pcapng"))) as packets:
        frames = [(*struct.unpack_from(">IB3x", data), data[8:]) for data, _ in packets]
    assert len(messages) == len(frames) > 50
    assert [m.arbitration_id for m in messages] == [can_id & 0x1FFF_FFFF for can_id, _, _ in frames]
    assert [bytes(m.data) for m in messages] == [data[:size] for _, size, data in frames]
    assert {m.channel for m in messages} >= {"obd", "powertrain", "body"}
    for suffix in (".asc", ".blf"):
        with can.LogReader(stem.with_suffix(suffix)) as reader:
            assert [(m.arbitration_id, m.data) for m in reader] == [(m.arbitration_id, m.data) for m in messages]


def test_only_the_traces_that_are_wanted_are_written(sgw_bench: Here, tmp_path: Path) -> None:
    done = sgw_bench("run", "vag-global-scan", "--trace", "traces", "--trace-format", "blf,candump", cwd=tmp_path)
    assert done.returncode == 0
    assert sorted(path.name for path in (tmp_path / "traces").iterdir()) == [
        "vag-global-scan-0.blf",
        "vag-global-scan-0.log",
    ]


# ---- calls that are wrong


def _vehicle(old: str, new: str) -> str:
    text = (FOLDER / "vag-golf.yaml").read_text()
    assert old in text
    return text.replace(old, new)


def _on(vehicle: str) -> str:
    return f"title: On a car of my own\nvehicle: {vehicle}\nsteps:\n  - identify\n"


FILES = {
    "verb.yaml": "title: A\nvehicle: vag-golf\nsteps:\n  - login\n  - unlok: cluster\n",
    "not-a-token.bin": b"\x00\xff\xfe",
    "on-no-car.yaml": _on("vag-gofl"),
    "on-wrong-vin.yaml": _on("wrong-vin.yaml"),
    "wrong-vin.yaml": _vehicle("WVWZZZCDZSW000001", "WVW123"),
    "on-wrong-unit.yaml": _on("wrong-unit.yaml"),
    "wrong-unit.yaml": _vehicle("vag/cluster", "vag/clustre"),
    "on-wrong-bus.yaml": _on("wrong-bus.yaml"),
    "wrong-bus.yaml": _vehicle("vag/cluster, bus: body", "vag/cluster, bus: boby"),
    "on-wrong-key.yaml": _on("wrong-key.yaml"),
    "wrong-key.yaml": _vehicle("odometer_km", "odometer"),
    "on-missing-car.yaml": _on("./none.yaml"),
    "no-such-channel.yaml": "title: A\nvehicle: vag-golf\nsteps:\n  - fault: {kind: drop, bus: can7}\n",
}
WRONG_CALLS = [
    (("run", "vag-chain-hapy"), "did you mean 'vag-chain-happy'?"),
    (("run", "nothing-like-it-at-all"), "there are: backend-away"),
    (("run", "none.yaml"), "no scenario, file or folder 'none.yaml'"),
    (("list", "nope"), "no scenario, file or folder 'nope'"),
    (("run", "empty"), "empty: no scenario file (*.yaml) in this folder"),
    (("run", "verb.yaml"), "verb.yaml:5: steps[1].unlok: unknown verb 'unlok'; did you mean 'unlock'?"),
    (("run", "not-a-token.bin"), "not-a-token.bin: is not UTF-8 text"),
    (("run", "on-no-car.yaml"), "on-no-car.yaml:2: vehicle: no vehicle 'vag-gofl'; did you mean 'vag-golf'?"),
    (("run", "on-missing-car.yaml"), "on-missing-car.yaml:2: vehicle: no vehicle 'none.yaml'"),
    (("run", "on-wrong-vin.yaml"), "wrong-vin.yaml:4: vin: a VIN has 17 letters and digits, 'WVW123'"),
    (("run", "on-wrong-unit.yaml"), "wrong-unit.yaml:14: ecus.cluster.profile: "),
    (("run", "on-wrong-bus.yaml"), "wrong-bus.yaml:14: ecus.cluster.bus: unknown value 'boby'; did you mean 'body'?"),
    (("run", "on-wrong-key.yaml"), "wrong-key.yaml:5: odometer: unknown key 'odometer'; did you mean 'odometer_km'?"),
    (("run", "no-such-channel.yaml"), "no-such-channel.yaml:4: bus: vehicle 'vag-golf' has no bus 'can7'"),
    (("run", "vag-global-scan", "--junit", "empty"), "empty: Is a directory"),
    (("run", "vag-global-scan", "--junit", "verb.yaml/junit.xml"), "verb.yaml: is a file, a folder is needed"),
    (("run", "vag-global-scan", "--trace", "verb.yaml"), "verb.yaml: is a file, a folder is needed"),
    (("run", "vag-global-scan", "--junit", "/proc/none/junit.xml"), "/proc/none: No such file or directory"),
    (
        ("run", "vag-global-scan", "--trace", "empty", "--trace-format", "candump,bfl"),
        "sgw-bench: unknown trace format 'bfl'; did you mean 'blf'?",
    ),
    (("run", "vag-global-scan", "--trace-format", "blf"), "no trace is written without --trace DIR"),
    (("run", "vag-global-scan", "--seed", "x"), "Invalid value for '--seed'"),
    (("run", "vag-global-scan", "--repeat", "0"), "greater than or equal to 1"),
    (("run", "--sead", "1"), "No such option: --sead"),
    (("runn",), "No such command 'runn'"),
]


@pytest.fixture(scope="module")
def wrong_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wrong")
    (folder / "empty").mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


@pytest.mark.parametrize(("words", "says"), WRONG_CALLS, ids=[" ".join(words) for words, _ in WRONG_CALLS])
def test_a_wrong_call_is_one_clear_sentence_status_2_and_nothing_is_played(
    sgw_bench: Here, words: tuple[str, ...], says: str, wrong_files: Path
) -> None:
    done = sgw_bench(*words, cwd=wrong_files, COLUMNS="300")
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    if done.stderr.startswith("sgw-bench: "):
        assert done.stderr.count("\n") == 1


def test_a_text_that_is_not_a_token_fails_its_step_in_words(sgw_bench: Here, tmp_path: Path) -> None:
    steps = "  - reach: logged-in\n  - export-request: cluster\n  - import-token: {ecu: cluster, text: not a token}\n"
    (tmp_path / "mine.yaml").write_text(f"title: A\nvehicle: vag-golf\nsteps:\n{steps}")
    done = sgw_bench("run", "mine.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert re.search(r"came +failed: not a token: ", done.stdout)
    assert "Traceback" not in done.stderr


INTERRUPTIBLE = (sys.executable, "-m", "bench.cli")
"""Without -W error: Ctrl-C between the opening of a file and the block that closes it is a warning of Python's."""


def _hear_ctrl_c() -> None:
    """Where the tests run in the background, the shell has told them to ignore Ctrl-C; who types it has not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
@pytest.mark.parametrize("command", [("run", "--repeat", "1000"), ("run", "-v", "--repeat", "1000")])
def test_ctrl_c_ends_cleanly_with_status_130(command: tuple[str, ...], tmp_path: Path) -> None:
    started = tmp_path / "traces"
    process = subprocess.Popen(
        [*INTERRUPTIBLE, *command, "--trace", str(started)],
        cwd=tmp_path,
        preexec_fn=_hear_ctrl_c,  # noqa: PLW1509 - no thread runs here
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while process.poll() is None and not list(started.glob("*.pcapng")):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 130
    assert errors == ""


def test_the_version_is_the_installed_one(sgw_bench: Here, tmp_path: Path) -> None:
    done = sgw_bench("--version", cwd=tmp_path)
    assert done.stdout.strip() == f"sgw-bench {version('sgw-bench')}"


def test_an_interrupted_run_says_how_far_it_came_and_leaves_a_whole_report(sgw_bench: Here, tmp_path: Path) -> None:
    out = tmp_path / "junit.xml"
    out.write_text("yesterday's, all green")
    words = ("run", "vag-token-replay", "--repeat", "100000", "--junit", str(out))
    with subprocess.Popen(
        [*INTERRUPTIBLE, *words, "-v"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=_hear_ctrl_c,  # noqa: PLW1509 - no thread runs here
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline()  # it plays, and has taken the older report away
        running.send_signal(signal.SIGINT)
        said = running.stdout.read()
        running.wait(timeout=60)
    assert running.returncode == 130
    assert re.search(r"interrupted after \d+ of 100000", said)
    assert int(ET.fromstring(out.read_bytes()).get("tests") or "-1") >= 0  # noqa: S314 - our own file


def test_a_folder_plays_its_scenarios_and_those_below_and_leaves_the_files_of_the_car_alone(
    sgw_bench: Here, tmp_path: Path
) -> None:
    scenario = "title: One\nvehicle: CAR\nsteps:\n  - identify:\n    expect: {units: [gateway, cluster]}\n"
    (tmp_path / "car.yaml").write_text(
        "title: Small\nmake: vag\nvin: WVWZZZAAZTW000044\ngateway: {profile: vag-j533, ecu: vag/gateway}\n"
        "functional_ids: [0x700]\nbuses: [obd, body]\necus:\n  cluster: {profile: mine.yaml, bus: body}\n"
        "tester: {installed_units_did: 0x2A26}\n"
    )
    (tmp_path / "mine.yaml").write_text("extends: vag/cluster\naddress: 0x36\n")
    (tmp_path / "one.yaml").write_text(scenario.replace("CAR", "car.yaml"))
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "two.yml").write_text(scenario.replace("CAR", "../car.yaml"))
    done = sgw_bench("run", ".", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_a_report_goes_through_a_link_or_pipe_and_does_not_take_its_place(sgw_bench: Here, tmp_path: Path) -> None:
    link, real, pipe = tmp_path / "link.xml", tmp_path / "real.xml", tmp_path / "pipe"
    real.write_text("")
    link.symlink_to(real)
    assert sgw_bench("run", "vag-global-scan", "--junit", str(link), cwd=tmp_path).returncode == 0
    assert link.is_symlink()
    assert ET.fromstring(real.read_bytes()).get("tests") == "1"  # noqa: S314 - our own file
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR)
    try:
        assert sgw_bench("run", "vag-global-scan", "--junit", str(pipe), cwd=tmp_path).returncode == 0
        assert ET.fromstring(os.read(held, 1 << 16)).get("tests") == "1"  # noqa: S314 - our own pipe
        assert pipe.is_fifo()
    finally:
        os.close(held)
