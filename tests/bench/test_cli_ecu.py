"""`sgw-bench ecu`: from somebody else's document or recording to a profile that a vehicle file can name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Here, here, in_a_process
from odx_door import door
from talk_file import Recorder, write_log

from bench import Bench, VehicleChange
from ecu_sim.profile_file import load_profile

CAR = """
title: A car with a unit of somebody else
make: vag
vin: WVWZZZAAZTW000042
odometer_km: 150
gateway: {profile: vag-j533, ecu: vag/gateway}
functional_ids: [0x700]
buses: [obd, body]
ecus:
  door: {profile: door.yaml, bus: body}
"""


PLAY = """
title: The door of somebody else answers on the bus
vehicle: car.yaml
steps:
  - vehicle: {bonnet: open}
  - request: {ecu: door, bytes: "22 01 01"}
    expect: {answer: "62 01 01 7D"}
  - request: {ecu: door, bytes: "10 03"}
    expect: {answer: "50 03 00 28 01 90"}
"""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    return here(monkeypatch, capsys)


@pytest.fixture(scope="module")
def pdx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return door().write(tmp_path_factory.mktemp("odx") / "door.pdx")


def talk() -> Recorder:
    recorder = Recorder().ask("10 01", "50 01 00 32 01 F4").ask("22 F1 87", "62 F1 87 35 48 30 39 35")
    recorder.ask("10 03", "50 03 00 32 01 F4").ask("27 01", "67 01 DE AD BE EF").ask("27 02 01 02 03 04", "67 02")
    return recorder.ask("22 10 01", "62 10 01 01").ask("22 10 01", "62 10 01 02")


# ---- import


def test_a_document_becomes_a_unit_that_answers_in_a_car(run: Here, pdx: Path, tmp_path: Path) -> None:
    done = run("ecu", "import", str(pdx), "--value", "Read_Temperature.temperature=85", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "door.yaml: 9 services, 11 identifiers, 2 routines, 2 trouble codes, 1 security level" in done.stdout
    assert "door: {profile: door.yaml, bus: body}" in done.stdout
    assert "then try: sgw-bench serve --vehicle" in done.stdout
    (tmp_path / "car.yaml").write_text(CAR)
    (tmp_path / "play.yaml").write_text(PLAY)
    assert "1 passed" in run("run", "play.yaml", cwd=tmp_path).stdout


def test_what_was_left_out_is_shown_is_in_the_file_and_fails_when_strict(run: Here, tmp_path: Path) -> None:
    maker = door()
    maker.service("Forward_Flip", [maker.const("SID", 0xBA, 0)], [maker.const("SID", 0xFA, 0)])
    path = maker.write(tmp_path / "flip.pdx")
    done = run("ecu", "import", str(path), "--strict", "--output", "flip.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert "Forward_Flip" in done.stdout
    assert "not understood: service (1)" in done.stdout
    text = (tmp_path / "flip.yaml").read_text()
    assert "# not_imported: what the source says and this profile does not (1):" in text
    assert "# - service Forward_Flip: the bench has no service BA" in text
    assert run("ecu", "import", str(path), "--force", "--output", "flip.yaml", cwd=tmp_path).returncode == 0


def test_many_findings_are_cut_short_on_the_screen_and_whole_in_the_file(run: Here, tmp_path: Path) -> None:
    maker = door()
    for number in range(40):
        maker.service(f"Odd_{number}", [maker.const("SID", 0xBA, 0)], None)
    path = maker.write(tmp_path / "odd.pdx")
    done = run("ecu", "import", str(path), cwd=tmp_path)
    assert "... and 10 more; the file lists all" in done.stdout
    assert "Odd_39" in (tmp_path / "door.yaml").read_text()


def test_a_profile_that_is_there_is_not_written_over(run: Here, pdx: Path, tmp_path: Path) -> None:
    (tmp_path / "door.yaml").write_text("mine")
    done = run("ecu", "import", str(pdx), cwd=tmp_path)
    assert done.returncode == 2
    assert "door.yaml is there already; --force" in done.stderr
    assert (tmp_path / "door.yaml").read_text() == "mine"


def test_a_profile_that_nobody_could_read_is_not_written(
    run: Here, pdx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wire.strict_yaml.MAX_FILE_BYTES", 1000)
    done = run("ecu", "import", str(pdx), cwd=tmp_path)
    assert (done.returncode, "more than 1000 bytes" in done.stderr) == (2, True)
    assert not (tmp_path / "door.yaml").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--value", "nonsense"], "SERVICE.PARAMETER=VALUE"),
        (["--output", "door.yml"], "ends in .yaml"),
        (["--request-id", "714"], "as in 0x714"),
        (["--request-id", "0xFFFFFFFF"], "as in 0x714"),
        (["--address", "0x10000"], "at most 0xffff"),
        (["--variant", "Gate"], "there are: Door, Door_base"),
        (["--request-id", "0x7A9"], "are all different"),
    ],
)
def test_a_call_that_is_wrong_is_one_sentence(
    run: Here, pdx: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    done = run("ecu", "import", str(pdx), *words, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "door.yaml").exists()


def test_identifiers_of_29_bits_are_taken_with_bit_31_and_without(run: Here, pdx: Path, tmp_path: Path) -> None:
    words = ["--request-id", "0x18DA42F1", "--response-id", "0x98DAF142", "--functional-id", "0x18DB33F1"]
    assert run("ecu", "import", str(pdx), *words, "--address", "0x42", cwd=tmp_path).returncode == 0
    profile = load_profile("door.yaml", tmp_path)
    assert (profile.request_id, profile.response_id) == (0x98DA42F1, 0x98DAF142)
    assert (profile.functional_ids, profile.address) == ((0x98DB33F1,), 0x42)


def test_a_trace_given_to_import_is_sent_to_clone(run: Here, tmp_path: Path) -> None:
    write_log(tmp_path / "talk.log", talk().lines)
    done = run("ecu", "import", "talk.log", cwd=tmp_path)
    assert (done.returncode, "sgw-bench ecu clone talk.log" in done.stderr) == (2, True)


def test_without_odxtools_one_sentence_says_what_to_install(
    run: Here, pdx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "odxtools", None)
    done = run("ecu", "import", str(pdx), cwd=tmp_path)
    assert (done.returncode, "pip install 'sgw-bench[odx]'" in done.stderr) == (2, True)


def test_the_help_loads_neither_odxtools_nor_the_importers(tmp_path: Path) -> None:
    heavy = ("odxtools", "ecu_sim", "bench.cli_ecu", "rich.table")
    script = f"import sys, bench.cli; sys.exit(any(name.startswith({heavy}) for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
    for words in (("ecu", "--help"), ("ecu", "-h"), ("ecu", "import", "--help"), ("ecu", "clone", "-h")):
        done = in_a_process(*words, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert " ".join(("ecu", *words[1:-1])) in done.stdout
    assert in_a_process("ecu", "steal", cwd=tmp_path).returncode == 2
    bare = in_a_process("ecu", cwd=tmp_path)
    assert "import" in bare.stdout + bare.stderr


# ---- clone


def test_a_recording_of_a_foreign_unit_becomes_a_profile(run: Here, tmp_path: Path) -> None:
    write_log(tmp_path / "talk.log", talk().lines)
    done = run("ecu", "clone", "talk.log", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "5 of 7 requests are answered byte for byte as in the trace, 2 as they can be" in done.stdout
    assert "clone-of-7a1.yaml: 3 services, 2 identifiers, 1 security level" in done.stdout
    assert load_profile("clone-of-7a1.yaml", tmp_path).dids[0xF187].value == b"5H095"
    assert run("ecu", "clone", "talk.log", "--strict", "--force", cwd=tmp_path).returncode == 1


def test_one_of_several_units_is_chosen_by_its_identifiers(run: Here, tmp_path: Path) -> None:
    other = Recorder(request_id=0x7E0, response_id=0x7E8).ask("22 F1 90", "62 F1 90 41")
    write_log(tmp_path / "two.log", talk().lines + other.lines)
    done = run("ecu", "clone", "two.log", cwd=tmp_path)
    assert done.returncode == 2
    assert "holds several ECUs; say which by --request-id and --response-id" in done.stderr
    assert "--request-id 0x7e0 --response-id 0x7e8" in done.stdout
    done = run(
        "ecu",
        "clone",
        "two.log",
        "--request-id",
        "0x7E0",
        "--title",
        "Engine",
        "--functional-id",
        "0x7DF",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert load_profile("engine.yaml", tmp_path).functional_ids == (0x7DF,)
    done = run("ecu", "clone", "two.log", "--request-id", "0x7E1", cwd=tmp_path)
    assert (done.returncode, "holds no such ECU" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.log"], "No such file"),
        (["talk.txt"], "no trace format has this suffix"),
        (["empty.log"], "holds no request that anybody answered"),
        (["cut.log"], "the last line is cut off"),
        (["talk.log", "--take", "middle"], "first or last"),
    ],
)
def test_a_trace_that_is_wrong_is_one_sentence(run: Here, tmp_path: Path, words: list[str], said: str) -> None:
    write_log(tmp_path / "talk.log", talk().lines)
    (tmp_path / "empty.log").write_text("")
    (tmp_path / "cut.log").write_text((tmp_path / "talk.log").read_text()[:-4])
    done = run("ecu", "clone", *words, cwd=tmp_path)
    assert (done.returncode, said in done.stderr, done.stderr.count("\n")) == (2, True, 1), done.stderr


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole chain on a simulated car, recorded: unlock, security access, coding, re-lock."""
    folder = tmp_path_factory.mktemp("golf")
    with Bench(vehicle="vag-golf", keep_trace=True) as bench:
        bench.car.change(VehicleChange(bonnet_open=True))
        tester = bench.tester("validated")
        tester.scan()
        tester.login()
        tester.unlock("cluster", role="after-sales")
        tester.security_access("cluster", 3)
        tester.write_coding("cluster", bytes(range(1, 9)))
        bench.sleep(minutes=2)
        bench.write_trace(folder, "golf", ["candump", "blf", "asc", "pcapng"])
    return folder


@pytest.mark.parametrize("name", ["golf.log", "golf.blf", "golf.asc", "golf.pcapng"])
def test_one_of_our_own_cars_is_cloned_from_every_format(run: Here, recorded: Path, tmp_path: Path, name: str) -> None:
    words = ["--request-id", "0x714", "--response-id", "0x77E", "--output", "cluster.yaml"]
    done = run("ecu", "clone", str(recorded / name), *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "heard on bus" in done.stdout
    said = done.stdout.split("cluster.yaml: ")[1]
    assert "otherwise" in said, "the count of trouble codes was asked for, and never their names"
    assert ", 1 otherwise" in said
    profile = load_profile("cluster.yaml", tmp_path)
    assert profile.dids[0xF187].value == b"5H0920700A"
    assert profile.functional_ids == (0x700,)
    assert profile.security[3].seed_len == 8
