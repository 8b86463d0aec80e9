"""Judge: other people's testers on the served car, and other people's readers of what it recorded."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import can
import can_utils
import isotp
import pytest
import udsoncan
from can.io import CanutilsLogReader
from channel_pair import real_world
from udsoncan.client import Client
from udsoncan.connections import PythonIsoTpConnection
from udsoncan.exceptions import NegativeResponseException
from vcan_bench import SOCKET_FOLDER, Serving, Stranger, bench_file, serving

from vci_driver.linux_can.raw_socket import ask_stamp_ns
from wire.clock import NS_PER_MS, NS_PER_US
from wire.frame import EXTENDED_MASK, Frame

pytestmark = [pytest.mark.judge("foreign testers"), pytest.mark.realtime, pytest.mark.slow]

VIN, PART_NUMBER = "WVWZZZCDZSW000001", "5WA907530B"
GATEWAY, CLUSTER = (0x710, 0x77A), (0x714, 0x77E)
STMIN_NS = 1 * NS_PER_MS
STAMPS_APART_NS = 50 * NS_PER_US
"""The kernel stamps with its calendar, which may be slewed against the clock that the car waits by."""
SESSION_IDS = [0x710, 0x77A, 0x710, 0x77A, 0x77A]
"""Request, first frame, flow control, two consecutive frames: the VIN is read."""
FORMATS = ("candump", "asc", "blf", "pcapng")
DATA = {
    0xF190: udsoncan.AsciiCodec(17),
    0xF187: udsoncan.AsciiCodec(10),
    0x0600: udsoncan.DidCodec("8s"),
}


@pytest.fixture
def car(tmp_path: Path) -> Iterator[Serving]:
    with serving(tmp_path, str(bench_file(tmp_path))) as made:
        yield made


@contextlib.contextmanager
def foreign_client(ids: tuple[int, int]) -> Iterator[Client]:
    """udsoncan over python-can-isotp over python-can's socketcan, as their manuals say."""
    address = isotp.Address(isotp.AddressingMode.Normal_11bits, txid=ids[0], rxid=ids[1])
    with can.Bus(interface="socketcan", channel="vcan0") as bus:
        notifier = can.Notifier(bus, [])
        stack = isotp.NotifierBasedCanStack(bus, notifier, address=address, params={"tx_padding": 0x55})
        config = {**udsoncan.configs.default_client_config, "data_identifiers": DATA}
        config |= {"request_timeout": 20, "p2_timeout": 10, "p2_star_timeout": 10, "use_server_timing": False}
        try:
            with Client(PythonIsoTpConnection(stack), config=config) as client:
                yield client
        finally:
            notifier.stop()


@pytest.mark.vcan
def test_udsoncan_over_can_isotp_reads_and_is_refused_what_is_locked(car: Serving) -> None:
    with foreign_client(GATEWAY) as client:
        assert client.read_data_by_identifier(0xF190).service_data.values[0xF190] == VIN
        assert client.read_data_by_identifier(0xF187).service_data.values[0xF187] == PART_NUMBER
    from bench.live.client import ControlClient

    with contextlib.closing(ControlClient(car.control)) as control:
        control.line("vehicle: {bonnet: open}")
    with foreign_client(CLUSTER) as client:
        client.change_session(3)
        with pytest.raises(NegativeResponseException) as refused:
            client.write_data_by_identifier(0x0600, (bytes(range(1, 9)),))
        assert refused.value.response.code == 0x33
    state = car.state()
    assert (state["violations"], state["faults"]) == ([], [])


@pytest.mark.vcan
def test_scapys_soft_socket_reads_the_vin(car: Serving) -> None:
    script = f"""
from scapy.config import conf
conf.contribs["CANSocket"] = {{"use-python-can": False}}
from scapy.contrib.cansocket import CANSocket
from scapy.contrib.isotp import ISOTPSoftSocket
from scapy.contrib.automotive.uds import UDS, UDS_RDBI
with CANSocket("vcan0") as bus, ISOTPSoftSocket(bus, tx_id={GATEWAY[0]:#x}, rx_id={GATEWAY[1]:#x}, basecls=UDS) as tester:
    answer = tester.sr1(UDS() / UDS_RDBI(identifiers=[0xF190]), timeout=20, verbose=False)
    print(bytes(answer).hex())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "62f190" + VIN.encode().hex(), done.stderr
    assert car.state()["faults"] == []


@pytest.mark.kernel_isotp
def test_isotpsend_and_isotprecv_read_the_vin() -> None:
    folder = SOCKET_FOLDER / "sgw-bench-isotp-test"
    folder.mkdir(exist_ok=True)
    ids = ("-s", f"{GATEWAY[0]:X}", "-d", f"{GATEWAY[1]:X}")
    try:
        with serving(folder, str(bench_file(folder))) as car, real_world() as world:
            with can_utils.listening(world, "isotprecv", *ids, "vcan0") as kernel:
                can_utils.run("isotpsend", *ids, "-p", "55", "vcan0", typed="22 F1 90")
                answer = bytes.fromhex(can_utils.ended(kernel))
            assert answer == b"\x62\xf1\x90" + VIN.encode()
            assert car.state()["faults"] == []
    finally:
        shutil.rmtree(folder)


# ---- what is recorded


@pytest.mark.vcan
def test_every_recording_of_a_session_reads_back_as_the_frames_that_candump_saw(tmp_path: Path) -> None:
    traces = tmp_path / "traces"
    more = ("--trace", str(traces), "--trace-format", ",".join(FORMATS))
    with serving(tmp_path, str(bench_file(tmp_path)), *more) as car, real_world() as world:
        with can_utils.listening(world, "candump", "-l", "-n", str(len(SESSION_IDS)), "vcan0", cwd=tmp_path) as candump:
            with foreign_client(GATEWAY) as client:
                assert client.read_data_by_identifier(0xF190).service_data.values[0xF190] == VIN
            can_utils.ended(candump)
        car.end()
    (witness,) = tmp_path.glob("candump-*.log")
    with CanutilsLogReader(witness) as reader:
        seen = [frame_of(message) for message in reader]
    assert [can_id for can_id, _ in seen] == SESSION_IDS
    for suffix in ("log", "asc", "blf"):
        (path,) = traces.glob(f"*.{suffix}")
        with can.LogReader(path) as reader:
            assert [frame_of(message) for message in reader if on_obd(message)] == seen, suffix
    (path,) = traces.glob("*.pcapng")
    assert by_tshark(path) == seen


def on_obd(message: can.Message) -> bool:
    """The first bus of a recording; python-can counts channels from 0, or gives a candump log's name."""
    return message.channel in (0, "obd", None)


def frame_of(message: can.Message) -> tuple[int, bytes]:
    return message.arbitration_id & EXTENDED_MASK, bytes(message.data)


def by_tshark(path: Path) -> list[tuple[int, bytes]]:
    from kernel_can import require_command

    require_command("tshark", "tshark")
    words = ["tshark", "-r", str(path), "-T", "json", "-e", "can.id", "-e", "data.data", "-e", "can.len"]
    words += ["-e", "frame.interface_name", "-Y", 'frame.interface_name == "obd"']
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    layers = [packet["_source"]["layers"] for packet in json.loads(done.stdout)]
    return [(int(layer["can.id"][0], 0), bytes.fromhex(layer["data.data"][0].replace(":", ""))) for layer in layers]


# ---- real time, done well


@pytest.mark.vcan
def test_a_separation_time_of_a_millisecond_is_kept_and_one_thread_does_it_all(tmp_path: Path) -> None:
    more = ("--trace", str(tmp_path / "traces"), "--trace-format", "candump,blf")
    with serving(tmp_path, str(bench_file(tmp_path)), *more) as car:
        gaps_ns: list[int] = []
        with contextlib.closing(Stranger("vcan0", [GATEWAY[1]])) as tester:
            ask_stamp_ns(tester.socket)  # for the kernel to keep stamps from now on
            for _ in range(20):
                gaps_ns += gaps_of_one_answer(tester)
        assert min(gaps_ns) >= STMIN_NS - STAMPS_APART_NS
        assert len(list(Path(f"/proc/{car.process.pid}/task").iterdir())) == 1
        assert car.state()["faults"] == []


def gaps_of_one_answer(tester: Stranger) -> list[int]:
    """Read the VIN with STmin 1 ms; return the gaps between the consecutive frames by the kernel's stamps."""
    tester.send(Frame(GATEWAY[0], b"\x03\x22\xf1\x90\x55\x55\x55\x55"))
    stamps_ns, left = [], 0
    while True:
        data = tester.hear().data
        stamp_ns = ask_stamp_ns(tester.socket)
        assert stamp_ns is not None
        if data[0] >> 4 == 1:
            left = -(-(data[1] - 6) // 7)
            tester.send(Frame(GATEWAY[0], b"\x30\x00\x01\x55\x55\x55\x55\x55"))
        else:
            assert data[0] >> 4 == 2, data.hex(" ")
            stamps_ns.append(stamp_ns)
            left -= 1
            if left == 0:
                return [later - earlier for earlier, later in itertools.pairwise(stamps_ns)]
