"""slcan adapters through python-can: what the adapter refuses, loses or garbles is told, and a pulled plug is one event."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from car_process import CAR, LONG, LONG_VALUE, PATIENT, profile, unit_on
from channel_pair import real_world
from contract_rows import SLCAN
from slcan_adapter import Desk, SlcanAdapter, desk

from vci_driver.api import ChannelLost, ChannelUnavailable, FramesLost, InterfaceMissing, RawChannel
from vci_driver.link import DiagnosticLink
from vci_driver.link_peer import LinkOptions
from vci_driver.registry import open_channel
from wire.clock import stopwatch
from wire.errors import CarrierFault, LocalMisuse
from wire.frame import EXTENDED, Frame
from wire.world import World

S = 10**9
FRAME = Frame(0x714, b"\x02\x3e\x00")
pytestmark = pytest.mark.realtime


@pytest.fixture
def world() -> Iterator[World]:
    with real_world() as made:
        yield made


def opened(world: World, stand: Desk, number: int = 0, **more: object) -> tuple[RawChannel, list[CarrierFault]]:
    channel = open_channel("python_can", stand.paths[number], {**SLCAN, **more}, world)
    faults: list[CarrierFault] = []
    channel.on_fault = faults.append
    return channel, faults


# ---- the emulated adapter itself, against the manual


@pytest.mark.parametrize(
    ("talk", "answers"),
    [
        ("S6\rO\r", "\r\r"),
        ("O\rO\r", "\r\a"),
        ("C\r", "\a"),
        ("O\rS6\rC\r", "\r\a\r"),
        ("S9\r", "\a"),
        ("s031C\rO\r", "\r\r"),
        ("t10021133\r", "\a"),
        ("O\rt10021133\rT0000010021133\r", "\rz\rZ\r"),
        ("O\rt1002113\rt1009112233445566778899\rxyz\r", "\r\a\a\a"),
        ("L\rt10021133\r", "\r\a"),
        ("O\rr1002\rR000001002\r", "\rz\rZ\r"),
        ("Y2\rO\rd1009" + 24 * "A" + "\rb100F" + 128 * "0" + "\rD000001000\rB000001000\r", "\r\rz\rz\rZ\rZ\r"),
        ("Y3\rV\rN\rF\r", "\aV1013\rNA123\r\a"),
        ("O\rF\r", "\rF00\r"),
        ("Z1\rZ2\r\r", "\r\a\r"),
    ],
)
def test_the_emulated_adapter_answers_as_the_manual_says(talk: str, answers: str) -> None:
    adapter = SlcanAdapter(lambda *_: None)
    adapter.from_host(talk.encode())
    assert adapter.to_host.decode() == answers


def test_the_emulated_adapter_takes_lines_in_pieces_and_tells_frames_with_the_time() -> None:
    heard: list[str] = []
    adapter = SlcanAdapter(lambda _, line: heard.append(line), room=20)
    for piece in (b"Z1\rO", b"\rt7", b"140\r"):
        adapter.from_host(piece)
    assert heard == ["t7140"]
    adapter.to_host.clear()
    adapter.from_bus("t71411122")
    adapter.from_bus("t71411122")
    assert adapter.to_host == b"t714111220A1B\r"
    adapter.to_host.clear()
    adapter.from_host(b"F\rF\r")
    assert (bytes(adapter.to_host), adapter.lost) == (b"F09\rF00\r", 1)


# ---- opening


def test_an_adapter_is_set_up_and_opened(world: World) -> None:
    with desk({}) as stand:
        channel, _ = opened(world, stand)
        assert stand.adapters[0].is_open
        assert "S6" in stand.adapters[0].commands
        channel.close()
        channel.close()


@pytest.mark.parametrize(
    ("adapter", "says"),
    [
        ({"refuses": ("S6",)}, r"refuses the bit rate 500000 \(S6\)"),
        ({"refuses": ("O",)}, r"refuses to open its channel \(O\); does it need the option bitrate"),
    ],
)
def test_what_the_adapter_refuses_is_told_in_one_sentence(world: World, adapter: dict, says: str) -> None:
    with desk(adapter) as stand:
        with pytest.raises(ChannelUnavailable, match=says):
            opened(world, stand)
        stand.adapters[0].refuses = ()
        channel, _ = opened(world, stand)  # the port was given back
        channel.close()


def test_an_adapter_that_listens_only_is_opened_so(world: World) -> None:
    with desk({}) as stand:
        channel, _ = opened(world, stand, listen_only=True)
        assert stand.adapters[0].listen_only
        channel.close()


def test_an_adapter_whose_firmware_answers_nothing_is_put_up_with(world: World) -> None:
    with desk({"silent": True}, {"silent": True}) as stand:
        (one, _), (two, _) = opened(world, stand), opened(world, stand, 1)
        heard: list[Frame] = []
        two.listen(None, heard.append)
        one.send(FRAME)
        assert world.run_until(lambda: bool(heard), 5 * S)
        one.close()
        two.close()


def test_an_adapter_that_is_in_use_is_not_disturbed(world: World) -> None:
    with desk({}) as stand:
        channel, _ = opened(world, stand)
        asked = len(stand.adapters[0].commands)
        with pytest.raises(ChannelUnavailable, match=f"slcan:{stand.paths[0]} is in use by another program"):
            opened(world, stand)
        assert len(stand.adapters[0].commands) == asked
        channel.close()


def test_a_port_that_is_not_there_or_no_port_is_one_sentence(world: World, tmp_path: object) -> None:
    with pytest.raises(ChannelUnavailable, match=r"/dev/no-such-port cannot be opened: .*No such file"):
        open_channel("python_can", "/dev/no-such-port", SLCAN, world)
    with pytest.raises(ChannelUnavailable, match="cannot be opened"):
        open_channel("python_can", str(tmp_path), SLCAN, world)


def test_without_pyserial_it_says_what_to_install(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("can.interfaces.slcan.serial", None)
    with pytest.raises(InterfaceMissing, match=r"serial module is not installed.*install 'sgw-bench\[serial\]'"):
        open_channel("python_can", "/dev/ttyUSB0", SLCAN, world)


@pytest.mark.parametrize(("option", "meant"), [("bitrat", "bitrate"), ("sleep", None)])
def test_a_misspelt_option_is_told(world: World, option: str, meant: str | None) -> None:
    hint = f"Did you mean {meant!r}" if meant else "It has bitrate"
    with desk({}) as stand, pytest.raises(LocalMisuse, match=rf"slcan has no option '{option}'.*{hint}|{hint}"):
        opened(world, stand, **{option: 500_000})


def test_a_system_without_such_locks_opens_the_port_all_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with desk({}) as stand:
        monkeypatch.setitem(sys.modules, "fcntl", None)
        channel, _ = opened(world, stand)
        channel.close()


# ---- frames


def test_several_lines_in_one_read_and_lines_in_pieces_are_all_heard(world: World) -> None:
    with desk({}) as stand:
        channel, faults = opened(world, stand)
        heard: list[Frame] = []
        channel.listen(None, heard.append)
        stand.say(0, b"z\rt10011A\r\rZ\rT0000010011B\rt1")
        assert world.run_until(lambda: len(heard) == 2, 5 * S)
        stand.say(0, b"0021")
        world.run_for(S // 50)
        stand.say(0, b"122\rt1030\r")
        assert world.run_until(lambda: len(heard) == 4, 5 * S)
        assert heard == [
            Frame(0x100, b"\x1a"),
            Frame(EXTENDED | 0x100, b"\x1b"),
            Frame(0x100, b"\x11\x22"),
            Frame(0x103, b""),
        ]
        assert faults == []
        channel.close()


@pytest.mark.parametrize("line", [b"t\r", b"t71\r", b"T12345678\r", b"tXYZ0\r", b"\xff\xfe\r", b"t714Z00\r", b"T1\r"])
def test_a_line_that_is_no_frame_is_one_lost_frame_and_not_the_end(world: World, line: bytes) -> None:
    with desk({}) as stand:
        channel, faults = opened(world, stand)
        heard: list[Frame] = []
        channel.listen(None, heard.append)
        stand.say(0, line + b"t7140\r")
        assert world.run_until(lambda: bool(heard), 5 * S)
        assert [type(fault) for fault in faults] == [FramesLost]
        assert "no frame" in str(faults[0])
        channel.close()


def test_a_frame_that_the_adapter_refuses_is_told_as_lost(world: World) -> None:
    with desk({"refuses": ("t",)}) as stand:
        channel, faults = opened(world, stand)
        channel.send(FRAME)
        assert world.run_until(lambda: bool(faults), 5 * S)
        assert isinstance(faults[0], FramesLost)
        assert faults[0].count == 1
        assert "the adapter refused 1 frames" in str(faults[0])
        channel.close()


def test_an_adapter_whose_buffer_runs_over_is_asked_and_the_loss_told(world: World) -> None:
    with desk({}, {"room": 2000}) as stand:
        (one, _), (two, faults) = opened(world, stand), opened(world, stand, 1)
        for number in range(1200):
            one.send(Frame(0x100, number.to_bytes(8, "big")))
        assert world.run_until(lambda: bool(faults), 10 * S)
        assert stand.adapters[1].lost
        assert "receive buffer ran over (status flags 09)" in str(faults[0])
        one.close()
        two.close()


def test_an_adapter_that_knows_no_flags_is_not_asked_for_them(world: World) -> None:
    with desk({"knows_flags": False}) as stand:
        channel, faults = opened(world, stand)
        world.run_for(S)
        assert stand.adapters[0].commands.count("F") == 1
        assert faults == []
        channel.close()


# ---- a whole link, and the plug


def test_a_link_reads_4095_bytes_over_two_adapters() -> None:
    with desk({}, {}) as stand, unit_on(stand.paths[1], SLCAN, profile()), real_world() as world:
        channel, faults = opened(world, stand)
        link = DiagnosticLink(world, [channel], CAR, LinkOptions(isotp=PATIENT, overall_limit_ns=30 * S))
        answer = link.request("engine", b"\x22" + LONG.to_bytes(2, "big"))
        assert answer == b"\x62" + LONG.to_bytes(2, "big") + LONG_VALUE
        assert len(answer) == 4095
        assert faults == []
        channel.close()


def test_a_pulled_adapter_is_told_once_by_name_and_prints_nothing(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    with desk({}) as stand:
        channel, faults = opened(world, stand)
        stand.pull(0)
        assert world.run_until(lambda: bool(faults), 5 * S)
        channel.send(FRAME)
        world.run_for(S)  # past the next question for the flags
        assert [type(fault) for fault in faults] == [ChannelLost]
        assert stand.paths[0] in str(faults[0])
        channel.close()
    assert capfd.readouterr() == ("", "")


def test_a_pulled_adapter_ends_a_request_that_is_under_way(world: World) -> None:
    with desk({}) as stand:
        channel, _ = opened(world, stand)
        link = DiagnosticLink(world, [channel], CAR, LinkOptions(isotp=PATIENT, p2_ns=60 * S))
        world.run_for(0)
        world.call_at(world.now_ns + S // 10, lambda: stand.pull(0))
        with pytest.raises(ChannelLost, match="still plugged in"):
            link.request("engine", b"\x22\xf1\x90")
        channel.close()


def test_no_descriptor_stays_open(world: World) -> None:
    with desk({}) as stand:
        opened(world, stand)[0].close()  # what is loaded once is loaded now
        before = len(list(Path("/proc/self/fd").iterdir()))
        opened(world, stand)[0].close()
        lost, faults = opened(world, stand)
        assert len(list(Path("/proc/self/fd").iterdir())) > before
        lost.close()
        assert len(list(Path("/proc/self/fd").iterdir())) == before
        stand.pull(0)
        assert faults == []


def test_a_plug_that_was_pulled_between_two_requests_is_told_by_the_next_at_once(world: World) -> None:
    with desk({}) as stand:
        channel, _ = opened(world, stand)
        link = DiagnosticLink(world, [channel], CAR, LinkOptions(isotp=PATIENT))
        stand.pull(0)
        passed = stopwatch()
        with pytest.raises(ChannelLost, match="still plugged in"):
            link.request("engine", b"\x22\xf1\x90")
        with pytest.raises(ChannelLost):
            link.send_functional(b"\x3e\x00")
        assert passed() < 5
        channel.close()


# ---- where a port has no descriptor, a thread reads


@pytest.fixture
def no_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> int:
        raise NotImplementedError

    monkeypatch.setattr("can.interfaces.slcan.slcanBus.fileno", refuse)


@pytest.mark.usefixtures("no_descriptor")
def test_a_thread_tells_the_same_of_lines_flags_and_the_plug(world: World) -> None:
    with desk({"refuses": ("t7",)}) as stand:
        channel, faults = opened(world, stand)
        heard: list[Frame] = []
        channel.listen(None, heard.append)
        stand.say(0, b"T1\rt71401A\r\xff\r")
        assert world.run_until(lambda: len(faults) == 2, 5 * S)
        assert world.run_until(lambda: bool(heard), 5 * S)
        channel.send(FRAME)
        assert world.run_until(lambda: len(faults) == 3, 5 * S)
        assert all(isinstance(fault, FramesLost) for fault in faults)
        stand.pull(0)
        assert world.run_until(lambda: len(faults) == 4, 5 * S)
        assert isinstance(faults[3], ChannelLost)
        channel.close()


def test_a_port_that_takes_no_more_commands_is_lost(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: object) -> None:
        raise OSError(5, "Input/output error")

    with desk({}) as stand:
        channel, faults = opened(world, stand)
        monkeypatch.setattr("vci_driver.drivers.slcan_port.WatchedPort.ask_flags", gone)
        assert world.run_until(lambda: bool(faults), 5 * S)
        assert "does not take commands: [Errno 5]" in str(faults[0])
        channel.close()


def test_an_adapter_that_vanishes_while_it_is_opened_is_one_sentence(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with desk({}) as stand:

        def vanish(*_: object) -> bytes:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr("vci_driver.drivers.slcan_port._ask", vanish)
        with pytest.raises(ChannelUnavailable, match="Input/output error; is the adapter still plugged in"):
            opened(world, stand)


def test_an_adapter_on_a_busy_bus_is_opened_among_its_frames(world: World) -> None:
    with desk({}) as stand:
        stand.adapters[0].to_host += b"t7140\r" * 30
        stand.say(0, b"")
        channel, faults = opened(world, stand)
        assert faults == []
        channel.close()
