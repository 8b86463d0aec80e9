"""The registry: drivers by name, loaded when used, extended by installed packages, and errors that suggest."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest
from channel_pair import real_world

from vci_driver import registry
from vci_driver.api import ChannelUnavailable, FoundChannel, InterfaceMissing
from wire.can_bus import CanBus
from wire.errors import LocalMisuse, NotOnThisCarrier
from wire.frame import Frame
from wire.world import World

FOREIGN = """
from vci_driver.api import FoundChannel
from wire.errors import CarrierFault

class Driver:
    name = "bench_adapter"
    def open(self, channel, options, world):
        return ("opened", channel, dict(options))
    def detect(self):
        return (FoundChannel(driver="bench_adapter", channel="7", description="adapter 7"),)

class Blind(Driver):
    def detect(self):
        raise CarrierFault("no licence")

def broken():
    raise ImportError("no module named 'vendor_library'")
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Install a package with drivers: `install(name="module:attribute", ...)`."""
    monkeypatch.setitem(sys.modules, "foreign_driver", None)  # so that it is forgotten when the test ends
    monkeypatch.delitem(sys.modules, "foreign_driver")

    def add(**points: str) -> None:
        (tmp_path / "foreign_driver.py").write_text(FOREIGN)
        info = tmp_path / "foreign_driver-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign-driver\nVersion: 1.0\n")
        lines = [f"{name} = {target}" for name, target in points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[sgw_bench.drivers]", *lines, ""]))
        monkeypatch.syspath_prepend(str(tmp_path))

    return add


def no_detection_of_python_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("can.detect_available_configs", lambda interfaces: [])


# ---- names


def test_the_shipped_drivers_are_there() -> None:
    assert registry.driver_names()[:2] == ("virtual", "python_can")
    for name in ("virtual", "python_can"):
        assert registry.driver(name).name == name


@pytest.mark.parametrize(
    ("name", "meant"), [("python-can", "python_can"), ("virtuel", "virtual"), ("pythoncan", "python_can")]
)
def test_an_unknown_driver_gets_a_suggestion_and_the_list(name: str, meant: str) -> None:
    with pytest.raises(registry.UnknownDriver, match=f"{name!r}. Did you mean {meant!r}") as error:
        registry.open_channel(name, "can0", {}, World())
    assert "virtual, python_can" in str(error.value)
    assert isinstance(error.value, LocalMisuse)


@pytest.mark.parametrize("name", ["j2534", "", "zzz"])
def test_an_unknown_driver_that_resembles_nothing_gets_the_list_alone(name: str) -> None:
    with pytest.raises(registry.UnknownDriver, match="There are: virtual, python_can") as error:
        registry.driver(name)
    assert "Did you mean" not in str(error.value)


# ---- loading


@pytest.mark.slow
def test_importing_the_registry_loads_no_driver_and_no_library() -> None:
    code = (
        "import sys, vci_driver.registry as r\n"
        "r.driver_names()\n"
        "loaded = [m for m in sys.modules if m == 'can' or m.startswith(('can.', 'vci_driver.drivers', 'udsoncan'))]\n"
        "assert not loaded, loaded\n"
        "r.driver('virtual')\n"
        "assert 'can' not in sys.modules\n"
        "r.driver('python_can')\n"
        "assert 'can' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_a_driver_whose_library_is_missing_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "can", None)  # as if python-can were not installed
    monkeypatch.delitem(sys.modules, "vci_driver.drivers.python_can", raising=False)
    with pytest.raises(InterfaceMissing, match=r"'python_can' cannot be loaded: .*can.*install what it needs"):
        registry.driver("python_can")


# ---- drivers of other packages


def test_an_installed_package_brings_its_driver(install: object) -> None:
    install(bench_adapter="foreign_driver:Driver")
    assert registry.driver_names() == (*registry.DRIVERS, "bench_adapter")
    opened = registry.open_channel("bench_adapter", "7", {"bitrate": 500_000}, World())
    assert opened == ("opened", "7", {"bitrate": 500_000})
    with pytest.raises(registry.UnknownDriver, match="Did you mean 'bench_adapter'"):
        registry.driver("bench-adaptor")


def test_an_installed_package_cannot_replace_a_shipped_driver(install: object) -> None:
    install(virtual="foreign_driver:Driver", python_can="foreign_driver:Driver")
    assert registry.driver_names() == tuple(registry.DRIVERS)
    assert registry.driver("virtual").name == "virtual"
    assert registry.driver("python_can").name == "python_can"


@pytest.mark.parametrize("target", ["foreign_driver:broken", "foreign_driver:Nothing", "no_such_module:Driver"])
def test_a_foreign_driver_that_cannot_be_loaded_is_named(install: object, target: str) -> None:
    install(lame=target)
    with pytest.raises(InterfaceMissing, match="'lame' cannot be loaded"):
        registry.driver("lame")


# ---- looking for channels


def test_what_is_found_and_what_could_not_look_are_both_told(install: object, monkeypatch: pytest.MonkeyPatch) -> None:
    no_detection_of_python_can(monkeypatch)
    install(bench_adapter="foreign_driver:Driver", blind="foreign_driver:Blind", lame="no_such_module:Driver")
    found, failed = registry.detect()
    assert found == (FoundChannel(driver="bench_adapter", channel="7", description="adapter 7"),)
    assert sorted(failed) == ["blind", "lame"]
    assert "no licence" in str(failed["blind"])


def test_what_python_can_finds_can_be_opened_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"interface": "pcan", "channel": "PCAN_USBBUS1", "supports_fd": True}
    monkeypatch.setattr("can.detect_available_configs", lambda names: [config] if names == ["pcan"] else [])
    (channel,) = registry.driver("python_can").detect()
    assert (channel.driver, channel.channel, channel.options["interface"]) == ("python_can", "PCAN_USBBUS1", "pcan")
    assert "pcan PCAN_USBBUS1" in channel.description


def test_looking_asks_every_interface_but_socketcand_which_waits_for_a_beacon(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("can.detect_available_configs", lambda interfaces: asked.extend(interfaces) or [])
    assert registry.driver("python_can").detect() == ()
    assert {"socketcan", "pcan", "kvaser", "vector", "udp_multicast"} <= set(asked)
    assert not {"socketcand", "serial"} & set(asked)
    with real_world() as world, pytest.raises(LocalMisuse, match="socketcand:nowhere"):  # named, it is opened as ever
        registry.open_channel("python_can", "nowhere", {"interface": "socketcand"}, world)


@pytest.mark.slow
def test_looking_prints_nothing_about_the_libraries_that_are_not_installed() -> None:
    code = (
        "import sys, logging, vci_driver.registry as r\n"
        "found, failed = r.detect()\n"
        "assert not failed, failed\n"
        "assert 'can.interfaces.socketcand' not in sys.modules\n"
        "logging.getLogger('can').warning('later')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "later\n")


def test_who_set_up_logging_still_reads_what_python_can_says(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def grumble(interfaces: object) -> list[object]:
        logging.getLogger("can.pcan").warning("no uptime library")
        return []

    monkeypatch.setattr("can.detect_available_configs", grumble)
    before = list(logging.getLogger().handlers)
    registry.driver("python_can").detect()
    assert "no uptime library" in caplog.text
    assert logging.getLogger().handlers == before


# ---- the virtual driver's own options


def test_a_virtual_channel_measures_the_voltage_of_the_vehicle_it_was_given() -> None:
    world = World()
    bus = CanBus(world, "obd")
    channel = registry.open_channel("virtual", "obd", {"bus": bus, "supply_mv": lambda: 12_600}, world)
    assert channel.supply_voltage_mv() == 12_600
    bare = registry.open_channel("virtual", "obd", {"bus": bus}, world)
    with pytest.raises(NotOnThisCarrier, match="pass supply_mv"):
        bare.supply_voltage_mv()


def test_a_virtual_channel_that_does_not_exist_says_why() -> None:
    world = World()
    bus = CanBus(world, "obd")
    for options, channel, error, says in (
        ({}, "obd", ChannelUnavailable, "needs the option bus"),
        ({"bus": "obd"}, "obd", ChannelUnavailable, "needs the option bus"),
        ({"bus": bus}, "body", ChannelUnavailable, "'body' does not exist: the bus passed is 'obd'"),
        ({"bus": bus, "bitrate": 5}, "obd", LocalMisuse, "no option 'bitrate'; it has bus, name, supply_mv"),
        ({"bus": bus, "supply_mv": 12_600}, "obd", LocalMisuse, "function"),
        ({"bus": CanBus(World(), "obd")}, "obd", LocalMisuse, "another world"),
    ):
        with pytest.raises(error, match=says):
            registry.open_channel("virtual", channel, options, world)


def test_pulling_the_plug_is_told_once_each_time_and_putting_it_back_is_possible() -> None:
    world = World()
    bus = CanBus(world, "obd")
    channel = registry.open_channel("virtual", "obd", {"bus": bus}, world)
    other, heard, faults = bus.attach("other"), [], []
    other.listen(None, heard.append)
    channel.on_fault = faults.append
    channel.unplug()
    channel.send(Frame(0x1, b"lost"))
    world.run_for(10**7)
    assert "pulled out" in str(faults[0])
    channel.replug()
    channel.send(Frame(0x1, b"there"))
    world.run_for(10**7)
    assert [frame.data for frame in heard] == [b"there"]
    assert len(faults) == 1
