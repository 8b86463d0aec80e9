"""`sgw-bench vci`: a third party checks its own driver by one command, which names what is wrong with it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import yaml
from command_line import CHECKOUT, here, in_a_process
from slcan_adapter import desk

from bench.cli_vci import _flow
from wire.errors import CarrierFault

FAULTY = """
from functools import partial
from cable import PLUGGED_IN, CableChannel, CableDriver
from vci_driver.api import ChannelClosed, FoundChannel
from vci_driver.channel import BaseChannel
from wire.errors import LocalMisuse
from wire.frame import Frame

class Twice(CableChannel):
    def confirm(self, frame):
        super().confirm(frame)
        super().confirm(frame)

class Disorder(CableChannel):
    kept = None
    def deliver(self, frame, timestamp_ns=None):
        if frame.can_id == 0x100 and frame.data[0] % 2 == 0:
            self.kept = frame
            return
        super().deliver(frame)
        if self.kept is not None:
            super().deliver(self.kept)
            self.kept = None

class Raising(CableChannel):
    def deliver(self, frame, timestamp_ns=None):
        raise KeyError("no such handle")

class Early(CableChannel):
    def _transmit(self, frame):
        self.confirm(frame)
        for other in PLUGGED_IN:
            if other is not self:
                other.world.post(partial(other.deliver, frame))

class Late(CableChannel):
    def confirm(self, frame):
        self.world.call_at(self.world.now_ns + 20_000_000, lambda: super(Late, self).confirm(frame))

class HearsItself(CableChannel):
    def _transmit(self, frame):
        super()._transmit(frame)
        self.world.post(partial(self.deliver, frame))

class TakesForeign(CableChannel):
    def deliver(self, frame, timestamp_ns=None):
        super().deliver(frame)
        self.confirm(frame)

class Deaf(CableChannel):
    def deliver(self, frame, timestamp_ns=None):
        pass

class Truncates(CableChannel):
    def deliver(self, frame, timestamp_ns=None):
        super().deliver(Frame(frame.can_id, frame.data[:8], frame.fd, frame.brs))

class Unfiltered(CableChannel):
    def listen(self, can_ids, listener):
        super().listen(None, listener)

class Loses(CableChannel):
    room = 500
    def deliver(self, frame, timestamp_ns=None):
        self.room -= 1
        if self.room >= 0:
            super().deliver(frame)

class Immortal(CableChannel):
    def send(self, frame):
        if self.closed:
            return
        super().send(frame)

class Ghost(CableChannel):
    def _shut(self):
        pass
    def deliver(self, frame, timestamp_ns=None):
        for listener in self._listen_all:
            listener(frame)

        for listener in self._table.get(frame.can_id, ()):
            listener(frame)

class ClosesOnce(CableChannel):
    def close(self):
        if self.closed:
            raise RuntimeError("closed already")
        super().close()

class Voltage(CableChannel):
    def supply_voltage_mv(self):
        return 12.6

class Stamps(CableChannel):
    ticks = 0
    def deliver(self, frame, timestamp_ns=None):
        self.ticks -= 1
        super().deliver(frame, self.ticks)

class Plug(CableChannel):
    def unplug(self):
        self.lose("gone")
        if self.on_fault is not None:
            self.on_fault(self.fault)

class NoFd(CableChannel):
    fd = False
    def send(self, frame):
        CableChannel.fd = True
        self._transmit(frame)

class Nervous(CableChannel):
    def _transmit(self, frame):
        super()._transmit(frame)
        from wire.errors import CarrierFault
        self.tell(CarrierFault("hm"))

class FaultyDriver(CableDriver):
    def open(self, channel, options, world):
        PLUGGED_IN[:] = [plugged for plugged in PLUGGED_IN if plugged.world is world]
        if options:
            super().open(channel, options, world)
        if channel not in ("left", "right"):
            super().open(channel, options, world)
        PLUGGED_IN.append(KINDS[self.name](world, f"{self.name}:{channel}"))
        return PLUGGED_IN[-1]

class Lax(CableDriver):
    def open(self, channel, options, world):
        return super().open("left" if "not-there" in channel else channel, {}, world)

class Blunt(CableDriver):
    def open(self, channel, options, world):
        if options:
            raise LocalMisuse("no")
        if channel not in ("left", "right"):
            raise FileNotFoundError(channel)
        return super().open(channel, options, world)

class Finds(CableDriver):
    def detect(self):
        return (FoundChannel(driver=self.name, channel="left", description="the left end", options={"x": 1}),)

class Misnamed(CableDriver):
    pass

KINDS = {kind.__name__.lower(): kind for kind in (
    Twice, Disorder, Raising, Early, Late, HearsItself, TakesForeign, Deaf, Truncates, Unfiltered, Loses, Immortal, Ghost,
    ClosesOnce, Voltage, Stamps, Plug, NoFd, Nervous)}

def _make(base, label):
    return type(base.__name__, (base,), {"name": label, "__doc__": "Faulty on purpose."})

def __getattr__(label):
    if label in KINDS:
        return _make(FaultyDriver, label)
    for base in (Lax, Blunt, Finds):
        if label == base.__name__.lower():
            return _make(base, label)
    raise AttributeError(label)
"""

NAMED = {
    "twice": ("confirmed-once", "one frame was sent, and confirmed 2 times"),
    "disorder": ("order", "frames arrived in another order than they were sent"),
    "raising": ("classic-frames", "raised inside the world, which stops it: KeyError: 'no such handle'"),
    "early": ("confirmed-after-send", "on_sent was called from inside send"),
    "late": ("confirmed-first", "the answer was heard before the request was confirmed"),
    "hearsitself": ("confirmed-once", "the sender heard its own frame"),
    "takesforeign": ("foreign-frames", "a frame that the peer sent was taken for the confirmation of one's own"),
    "deaf": ("classic-frames", "did not arrive within"),
    "truncates": ("fd-frames", "arrived as Frame(123##0001020304050607)"),
    "unfiltered": ("filters", "the listener to 714 heard"),
    "loses": ("burst", "of 600 frames 500 arrived, and no FramesLost was told"),
    "immortal": ("closed-refuses", "send on a closed channel did not raise ChannelClosed"),
    "ghost": ("closed-deaf", "a closed channel heard"),
    "closesonce": ("close-twice", "raised RuntimeError: closed already"),
    "voltage": ("voltage", "the supply is 12.6: it is told in millivolts"),
    "stamps": ("timestamps", "run backwards: [-1, -2, -3]"),
    "plug": ("lost-once", "ChannelLost is told once; told were ['ChannelLost', 'ChannelLost']"),
    "nofd": ("fd-refused", "a CAN FD frame was taken by a channel that carries classic CAN only"),
    "nervous": ("order", "told a fault where nothing went wrong: CarrierFault: hm"),
    "lax": ("unknown-option", "the option 'sgw_no_such_option' was taken"),
    "blunt": ("missing-channel", "raised FileNotFoundError (left-not-there) and not ChannelUnavailable"),
    "finds": ("detect", "detect() found 'left'"),
    "misnamed": ("name", "the driver's name is not the one it is registered by"),
}
"""Each deliberate fault: the check that finds it, and how it says so."""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the third-party package of docs/drivers.md, and faulty relatives of it."""
    text = (CHECKOUT / "docs/drivers.md").read_text()
    example = re.search(r"^```python cable\.py\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert example is not None
    (tmp_path / "cable.py").write_text(example[1])
    (tmp_path / "faulty.py").write_text(FAULTY)
    info = tmp_path / "sgw_bench_cable-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sgw-bench-cable\nVersion: 1.0\n")
    points = ["cable = cable:CableDriver", "misnamed = faulty:Misnamed", "broken = nowhere:Driver"]
    points += [f"{name} = faulty:{name}" for name in NAMED if name != "misnamed"]
    (info / "entry_points.txt").write_text("\n".join(["[sgw_bench.drivers]", *points, ""]))
    return tmp_path


def vci(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return in_a_process("vci", *words, cwd=folder, PYTHONPATH=f"{CHECKOUT}:{folder}", COLUMNS="200")


def rows(output: str) -> dict[str, tuple[str, str]]:
    """Return {check: (verdict, reason)} of a table."""
    found = re.findall(r"^(passed|failed|skipped) +\d+ ms +(\S+) +(.*)$", output, re.MULTILINE)
    return {name: (verdict, reason) for verdict, name, reason in found}


@pytest.mark.slow
@pytest.mark.realtime
def test_a_third_party_checks_its_driver_by_one_command(installed: Path) -> None:
    done = vci(installed, "check", "cable", "--channel", "left", "--peer", "right")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    told = rows(done.stdout)
    assert len(told) == 27
    assert {name for name, (verdict, _) in told.items() if verdict != "passed"} == {
        "fd-refused",
        "timestamps",
        "lost-once",
    }
    assert "cable: 24 passed, 3 skipped" in done.stdout


@pytest.mark.realtime
@pytest.mark.parametrize("fault", NAMED)
def test_a_fault_of_a_driver_is_named(
    installed: Path, fault: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(installed))
    for module in ("cable", "faulty"):
        monkeypatch.setitem(sys.modules, module, None)  # so that it is forgotten when the test ends
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr("vci_driver.contract_rig.PATIENCE_NS", 200_000_000)
    monkeypatch.setattr("vci_driver.contract_traffic.PATIENT_NS", 200_000_000)
    done = here(monkeypatch, capsys)(
        "vci", "check", fault, "--channel", "left", "--peer", "right", cwd=installed, COLUMNS="200"
    )
    check, says = NAMED[fault]
    verdict, reason = rows(done.stdout)[check]
    assert (done.returncode, verdict) == (1, "failed"), done.stdout
    assert says in reason
    assert "Traceback" not in done.stdout + done.stderr


def test_without_a_peer_the_rest_is_skipped_and_says_so(installed: Path) -> None:
    done = vci(installed, "check", "cable", "--channel", "left")
    told = rows(done.stdout)
    assert done.returncode == 0, done.stdout
    assert told["order"] == ("skipped", "no second channel on the bus was named: --peer")
    assert told["closed-refuses"][0] == "passed"


def test_the_list_has_the_drivers_the_broken_one_with_its_fault_and_the_channels(installed: Path) -> None:
    done = vci(installed, "list")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^cable +a package +Opens the ends of a cable\.", done.stdout, re.MULTILINE)
    assert re.search(r"^virtual +sgw-bench +Opens", done.stdout, re.MULTILINE)
    assert "cannot be loaded: driver 'broken' cannot be loaded: No module named 'nowhere'" in done.stdout
    assert "could not look broken" in done.stdout
    line = next(line for line in done.stdout.splitlines() if "driver: finds" in line)
    assert yaml.safe_load(line) == {"tester": {"driver": "finds", "channel": "left", "options": {"x": 1}}}


def test_a_channel_is_one_line_of_yaml_whatever_it_is_called() -> None:
    for name, options in (("can0", {}), ("ff15::1", {"a": "b: c", "f": True, "n": 5, "o": Path("x")})):
        line = _flow("python_can", name, options)
        place = yaml.safe_load(line)
        assert "\n" not in line
        assert place["channel"] == name
        assert place.get("options", {}) == {key: str(v) if key == "o" else v for key, v in options.items()}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("nothing",), "which channel of 'nothing'? Say --channel"),
        (("nothing", "--channel", "x"), "no VCI driver is called 'nothing'"),
        (("python_can", "--channel", "x"), "needs the option interface"),
        (("python_can", "--channel", "x", "--option", "interface"), "an option is KEY=VALUE"),
        (("python_can", "--channel", "x", "--option", "=1"), "an option is KEY=VALUE"),
        (("python_can", "--channel", "x", "--option", "interface=]"), "python-can has no interface ']'"),
        (("replay", "--channel", "none.log", "--virtual-time"), "there is no log 'none.log'"),
    ],
)
def test_a_call_that_is_wrong_is_one_sentence_and_status_2(
    tmp_path: Path,
    words: tuple[str, ...],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    done = here(monkeypatch, capsys)("vci", "check", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.realtime
def test_two_adapters_are_checked_with_the_plug_pulled_by_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [word for pair in ("interface=slcan", "sleep_after_open=0") for word in ("--option", pair)]
    with desk({}, {}) as stand:
        done = here(monkeypatch, capsys)(
            *("vci", "check", "python_can", "--channel", stand.paths[0], "--peer", stand.paths[1], *options),
            *("--peer-option", "bitrate=500000", "--no-fd", "--unplug", "false"),
            cwd=tmp_path,
            COLUMNS="200",
        )
    told = rows(done.stdout)
    assert done.returncode == 1
    assert [name for name, (verdict, _) in told.items() if verdict == "failed"] == ["lost-once"]
    assert "the command 'false' ended with 1" in told["lost-once"][1]
    assert told["fd-refused"][0] == "passed"
    assert told["fd-frames"] == ("skipped", "classic CAN only")


def test_a_recording_is_checked_in_virtual_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "car.log").write_text("(1.0) can0 7E0#0322F190\n(1.1) can0 7E8#0462F19041\n")
    done = here(monkeypatch, capsys)(
        *("vci", "check", "replay", "--channel", "car.log", "--peer", "car.log", "--virtual-time"), cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout
    assert "a recording answers what was recorded" in done.stdout


def test_on_a_machine_without_adapters_the_list_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("vci_driver.registry.detect", lambda: ((), {"blind": CarrierFault("no licence")}))
    monkeypatch.setattr("vci_driver.registry.driver_names", lambda: ("virtual", "lost"))
    monkeypatch.setattr("vci_driver.registry._foreign", lambda: {"lost": EntryPoint("lost", "nowhere:X", "g")})
    done = here(monkeypatch, capsys)("vci", "list", cwd=tmp_path, COLUMNS="200")
    assert done.returncode == 0
    assert "cannot be loaded: driver 'lost'" in done.stdout
    assert "no channel was detected" in done.stdout
    assert "could not look blind: no licence" in done.stdout


@pytest.mark.realtime
def test_a_driver_that_opens_nothing_but_errors_has_its_rows_say_so(
    installed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Awful:
        name = "awful"

        def open(self, *_: object) -> None:
            raise ZeroDivisionError("oh")

    monkeypatch.setattr("vci_driver.registry.driver", lambda _: Awful())
    done = here(monkeypatch, capsys)("vci", "check", "awful", "--channel", "x", cwd=installed, COLUMNS="200")
    assert done.returncode == 1
    assert {reason[:37] for _, reason in rows(done.stdout).values()} == {"raised ZeroDivisionError: oh (expected"[:37]}


def test_the_virtual_driver_needs_no_channel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = here(monkeypatch, capsys)("vci", "check", "virtual", cwd=tmp_path)
    assert done.returncode == 0
    assert "virtual: 25 passed, 2 skipped" in done.stdout
