"""The python-can interface `sgwbench`: any python-can program sits on any bus of a served car, and hears when it is gone."""

from __future__ import annotations

import asyncio
import contextlib
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import can
import isotp
import pytest
from command_line import environment
from served_car import PATIENCE_S, Served, paced_file, served, served_here

from bench.bench_file import load_bench
from bench.vehicle_file import FOLDER as VEHICLES
from vci_driver.sgwbench_can import SgwBenchBus
from wire import served_places
from wire.errors import ConfigError
from wire.frame import EXTENDED

pytestmark = pytest.mark.realtime
GATEWAY, ANSWER = 0x710, 0x77A
READ_SESSION = bytes.fromhex("03 22 F1 86 55 55 55 55")
SESSION = bytes.fromhex("04 62 F1 86 01")
VIN = b"WVWZZZCDZSW000001"


@pytest.fixture(scope="module")
def car() -> Iterator[Served]:
    with served_here() as made:
        yield made


@pytest.fixture
def obd(car: Served) -> Iterator[can.BusABC]:
    with sit(car) as bus:
        yield bus


def sit(car: Served, channel: str = "obd", **more: object) -> can.BusABC:
    return can.Bus(interface="sgwbench", channel=channel, control=str(car.control), **more)


def message(can_id: int = GATEWAY, data: bytes = READ_SESSION, **more: object) -> can.Message:
    return can.Message(arbitration_id=can_id, data=data, **{"is_extended_id": False, **more})


# ---- frames


def test_a_request_is_answered_with_time_stamps_of_this_machine(obd: can.BusABC) -> None:
    import time

    began_s = time.time()
    obd.send(message())
    answer = obd.recv(PATIENCE_S)
    assert answer is not None
    assert (answer.arbitration_id, bytes(answer.data[:5])) == (ANSWER, SESSION)
    assert answer.is_rx
    assert not answer.is_extended_id
    assert began_s - 1 <= answer.timestamp <= time.time() + 1
    assert "sgwbench obd" in str(obd)


def test_where_nothing_comes_receiving_ends_with_nothing(obd: can.BusABC) -> None:
    assert obd.recv(0) is None
    assert obd.recv(0.01) is None


def test_another_program_hears_both_question_and_answer(car: Served, obd: can.BusABC) -> None:
    with sit(car) as other:
        obd.send(message())
        heard = [other.recv(PATIENCE_S) for _ in range(2)]
    assert [each and each.arbitration_id for each in heard] == [GATEWAY, ANSWER]


def test_filters_let_through_what_they_name(car: Served, obd: can.BusABC) -> None:
    with sit(car, can_filters=[{"can_id": ANSWER, "can_mask": 0x7FF, "extended": False}]) as other:
        obd.send(message())
        heard = other.recv(PATIENCE_S)
        assert heard is not None
        assert heard.arbitration_id == ANSWER
        assert other.recv(0.02) is None


@pytest.mark.parametrize("own", [True, False])
def test_ones_own_frames_come_back_only_when_asked_for_and_say_that_they_are(car: Served, own: bool) -> None:
    with sit(car, receive_own_messages=own) as bus:
        bus.send(message())
        heard = [bus.recv(PATIENCE_S) for _ in range(1 + own)]
    assert [each and (each.arbitration_id, each.is_rx) for each in heard] == [(GATEWAY, False)] * own + [(ANSWER, True)]


def test_the_descriptor_is_readable_as_long_as_a_frame_waits(car: Served, obd: can.BusABC) -> None:
    with sit(car) as other:
        assert not select.select([obd], [], [], 0)[0]
        for number in range(3):
            other.send(message(0x100 + number, b""))
        for number in range(3):
            assert select.select([obd.fileno()], [], [], PATIENCE_S)[0]
            heard = obd.recv(0)
            assert heard is not None
            assert heard.arbitration_id == 0x100 + number
        assert not select.select([obd], [], [], 0)[0]


def test_long_identifiers_and_empty_frames_go_through_as_they_are(car: Served, obd: can.BusABC) -> None:
    with sit(car) as other:
        obd.send(message(0x18DA10F1, b"", is_extended_id=True))
        heard = other.recv(PATIENCE_S)
        assert heard is not None
        assert (heard.arbitration_id, heard.is_extended_id, heard.dlc) == (0x18DA10F1, True, 0)
        assert heard.arbitration_id < EXTENDED


def test_buses_behind_the_gateway_can_be_sat_on_too(car: Served, obd: can.BusABC) -> None:
    cluster = bytes.fromhex("03 22 F1 86 55 55 55 55")
    with sit(car, "body") as body:
        assert body.recv(0) is None
        obd.send(message(0x714, cluster))
        heard = [body.recv(PATIENCE_S) for _ in range(2)]
    assert heard[0] is not None
    assert (heard[0].arbitration_id, bytes(heard[0].data[:4])) == (0x714, cluster[:4])
    assert heard[1] is not None
    assert bytes(heard[1].data[:5]) == SESSION


def test_frames_come_in_the_order_in_which_they_were_sent(car: Served, obd: can.BusABC) -> None:
    with sit(car) as other:
        for number in range(500):
            obd.send(message(0x100, number.to_bytes(2)))
        heard = [other.recv(PATIENCE_S) for _ in range(500)]
    assert [each and int.from_bytes(each.data) for each in heard] == list(range(500))


# ---- what this bus cannot carry


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (can.Message(arbitration_id=1, data=bytes(12), is_fd=True, is_extended_id=False), "classic CAN"),
        (can.Message(arbitration_id=1, is_remote_frame=True, dlc=8, is_extended_id=False), "remote frames"),
        (can.Message(arbitration_id=1, is_error_frame=True, is_extended_id=False), "error frames"),
        (can.Message(arbitration_id=0x800, data=b"", is_extended_id=False), "0x800"),
        (can.Message(arbitration_id=1, data=bytes(9), is_extended_id=False), "9"),
    ],
)
def test_what_the_bus_cannot_carry_is_refused_by_name_and_the_place_is_kept(
    obd: can.BusABC, wrong: can.Message, says: str
) -> None:
    with pytest.raises(can.CanOperationError, match=says):
        obd.send(wrong)
    obd.send(message())
    answer = obd.recv(PATIENCE_S)
    assert answer is not None
    assert bytes(answer.data[:5]) == SESSION


def test_on_an_fd_bus_long_frames_go_through_with_their_bit_rate_switch(tmp_path: Path) -> None:
    text = (VEHICLES / "vag-golf.yaml").read_text().replace("[obd, powertrain,", "[{name: obd, fd: true}, powertrain,")
    (tmp_path / "fd.yaml").write_text(text)
    with served(load_bench(str(paced_file(tmp_path, "fd.yaml")))) as car, sit(car) as one, sit(car) as two:
        assert one.protocol is can.CanProtocol.CAN_FD
        one.send(message(0x100, bytes(range(64)), is_fd=True, bitrate_switch=True))
        heard = two.recv(PATIENCE_S)
    assert heard is not None
    assert (bytes(heard.data), heard.is_fd, heard.bitrate_switch) == (bytes(range(64)), True, True)


# ---- other people's tools


def test_a_notifier_calls_its_listeners_from_its_thread(car: Served, obd: can.BusABC) -> None:
    reader = can.BufferedReader()
    notifier = can.Notifier(obd, [reader], timeout=0.05)
    try:
        obd.send(message())
        answer = reader.get_message(PATIENCE_S)
    finally:
        notifier.stop()
    assert answer is not None
    assert answer.arbitration_id == ANSWER


def test_a_notifier_waits_in_an_event_loop_without_a_thread(car: Served, obd: can.BusABC) -> None:
    async def ask() -> list[int]:
        reader = can.AsyncBufferedReader()
        notifier = can.Notifier(obd, [reader], loop=asyncio.get_running_loop())
        threads = threading.active_count()
        try:
            answers = []
            for _ in range(3):
                obd.send(message())
                answers.append((await asyncio.wait_for(reader.get_message(), PATIENCE_S)).arbitration_id)
            assert threading.active_count() == threads
            return answers
        finally:
            notifier.stop()

    assert asyncio.run(ask()) == [ANSWER] * 3


@pytest.mark.judge("foreign testers")
def test_can_isotp_reads_the_vin_through_it(car: Served, obd: can.BusABC) -> None:
    notifier = can.Notifier(obd, [], timeout=0.05)
    address = isotp.Address(isotp.AddressingMode.Normal_11bits, txid=GATEWAY, rxid=ANSWER)
    stack = isotp.NotifierBasedCanStack(
        obd, notifier, address=address, params={"tx_padding": 0x55, "blocking_send": False}
    )
    stack.start()
    try:
        stack.send(bytes.fromhex("22 F1 90"))
        assert stack.recv(block=True, timeout=PATIENCE_S) == bytes.fromhex("62 F1 90") + VIN
    finally:
        stack.stop()
        notifier.stop()


@pytest.mark.judge("foreign testers")
def test_scapys_uds_reads_the_vin_through_it(car: Served) -> None:
    from scapy.contrib.automotive.uds import UDS, UDS_RDBI
    from scapy.contrib.cansocket_python_can import PythonCANSocket
    from scapy.contrib.isotp import ISOTPSoftSocket

    can_socket = PythonCANSocket(interface="sgwbench", channel="obd", control=str(car.control))
    try:
        with ISOTPSoftSocket(can_socket, tx_id=GATEWAY, rx_id=ANSWER, basecls=UDS, padding=True) as tester:
            answer = tester.sr1(UDS() / UDS_RDBI(identifiers=[0xF190]), timeout=PATIENCE_S, verbose=False)
        assert answer is not None
        assert VIN in bytes(answer)
    finally:
        can_socket.close()


@pytest.mark.slow
def test_python_cans_own_logger_finds_the_only_car_by_itself(tmp_path: Path) -> None:
    (tmp_path / "sgw-bench").mkdir(mode=0o700)
    with served_here() as car:
        (tmp_path / "sgw-bench" / "own.sock").symlink_to(car.control)
        command = [sys.executable, "-u", "-m", "can.logger", "-i", "sgwbench", "-c", "obd"]
        with (
            subprocess.Popen(
                command,
                env=environment(XDG_RUNTIME_DIR=str(tmp_path)),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            ) as logger,
            sit(car) as tester,
        ):
            assert logger.stdout is not None
            assert b"sgwbench obd" in logger.stdout.readline()
            assert b"Started" in logger.stdout.readline()
            tester.send(message())
            assert b"710" in logger.stdout.readline()
            assert b"77a" in logger.stdout.readline().lower()
            logger.send_signal(signal.SIGINT)
            logger.communicate(timeout=PATIENCE_S)


# ---- the car is gone, or was never there


def test_a_car_that_ends_is_an_operation_error_by_name_for_senders_and_readers() -> None:
    with served_here() as car:
        bus = sit(car)
        reader: list[BaseException] = []

        def read() -> None:
            try:
                bus.recv(PATIENCE_S)
            except can.CanOperationError as error:
                reader.append(error)

        thread = threading.Thread(target=read)
        thread.start()
    thread.join(PATIENCE_S)
    assert "sgwbench obd: the car is not served any more" in str(reader[0])
    with pytest.raises(can.CanOperationError, match="not served any more"):
        bus.recv(0)
    with pytest.raises(can.CanOperationError, match="not served any more"):
        bus.send(message())
    bus.shutdown()


def test_another_vehicle_on_the_bench_is_heard_and_asked_on_the_same_bus(car: Served) -> None:
    with sit(car) as bus:
        car.call("put", vehicle="vag-golf")
        bus.send(can.Message(arbitration_id=0x710, data=b"\x03\x22\xf1\x86", is_extended_id=False))
        answer = bus.recv(PATIENCE_S)
        assert answer is not None
        assert answer.data[:4] == b"\x04\x62\xf1\x86"


def test_a_bus_that_the_car_has_not_is_refused_with_those_that_it_has(car: Served) -> None:
    with pytest.raises(can.CanInitializationError, match="there is no bus 'can0'; there are: obd, powertrain"):
        sit(car, "can0")


def test_where_no_car_is_served_one_sentence_says_how_to_start_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(served_places.ENVIRONMENT, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(can.CanInitializationError, match="no car is served by this user: start one with") as refused:
        can.Bus(interface="sgwbench", channel="obd")
    assert "\n" not in str(refused.value)
    with pytest.raises(can.CanInitializationError, match=r"no place on bus 'obd' of a served car: .*No such file"):
        can.Bus(interface="sgwbench", channel="obd", control=str(tmp_path / "gone.sock"))


@pytest.mark.parametrize(
    "says", [b"", b"220 mail.example ESMTP\n", b"[]\n", b'{"ok": null}\n', b"17\n", b"x" * 70_000, b"\xff\n"]
)
def test_what_answers_there_and_is_no_served_car_is_refused_in_one_sentence(tmp_path: Path, says: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stranger:
        stranger.bind(str(tmp_path / "s.sock"))
        stranger.listen()

        def answer() -> None:
            peer, _ = stranger.accept()
            with peer, contextlib.suppress(OSError):
                peer.sendall(says)
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(4096):
                    pass

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(can.CanInitializationError, match="no place on bus 'obd' of a served car"):
            SgwBenchBus(control=tmp_path / "s.sock")
        thread.join(PATIENCE_S)


def test_garbage_in_the_stream_of_frames_is_an_operation_error(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stranger:
        stranger.bind(str(tmp_path / "s.sock"))
        stranger.listen()

        def answer() -> None:
            peer, _ = stranger.accept()
            with peer:
                with contextlib.suppress(ConnectionError):
                    peer.recv(4096)
                peer.sendall(b'{"ok": {"bus": "obd", "fd": false}}\n' + b"\xff" * 300)
                with contextlib.suppress(ConnectionError):
                    peer.recv(4096)

        thread = threading.Thread(target=answer)
        thread.start()
        with (
            SgwBenchBus(control=tmp_path / "s.sock") as bus,
            pytest.raises(can.CanOperationError, match="not a stream"),
        ):
            bus.recv(PATIENCE_S)
        thread.join(PATIENCE_S)


# ---- finding it


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(served_places.ENVIRONMENT, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return served_places.runtime_folder()


def test_the_only_car_is_found_and_one_that_was_killed_does_not_count(car: Served, runtime: Path) -> None:
    (runtime / "mine.sock").symlink_to(car.control)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(runtime / "dead.sock"))
    assert served_places.find_control() == runtime / "mine.sock"
    with can.Bus(interface="sgwbench", channel="obd") as bus:
        bus.send(message())
        assert bus.recv(PATIENCE_S) is not None


def test_several_cars_are_listed_and_the_environment_chooses(
    car: Served, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        (runtime / f"{name}.sock").symlink_to(car.control)
    with pytest.raises(ConfigError, match=r"several cars are served: name one control socket .*one\.sock, .*two\.sock"):
        served_places.find_control()
    monkeypatch.setenv(served_places.ENVIRONMENT, str(runtime / "two.sock"))
    assert served_places.find_control() == runtime / "two.sock"


def test_a_folder_for_sockets_that_is_not_ours_or_cannot_be_made_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "file"))
    with pytest.raises(ConfigError, match="this folder for sockets cannot be had"):
        served_places.runtime_folder()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = served_places.runtime_folder()
    assert folder.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr("os.getuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(ConfigError, match="belongs to another user: set XDG_RUNTIME_DIR"):
        served_places.runtime_folder()
