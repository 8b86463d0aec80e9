"""A tester beside a car that is none of ours: all it has is the bus, on a system without Unix's means too."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from channel_pair import multicast_port, require_multicast

from bench.bench_file import load_bench
from bench.live.reach import ServedProcess

pytestmark = pytest.mark.realtime
PLACE = "driver: python_can, channel: 239.74.163.2, options: {{interface: udp_multicast, port: {port}, hop_limit: 0}}"

LIKE_WINDOWS = """
import select, socket, signal, sys
import can.interfaces.udp_multicast  # python-can's own way here; a tester on Windows has another adapter
for module, names in ((select, ("epoll", "poll")), (socket, ("AF_UNIX", "AF_CAN", "AF_NETLINK"))):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
import os
for name in ("getuid", "geteuid", "fork"):
    delattr(os, name)
sys.modules["fcntl"] = None
def socketpair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here = socket.create_connection(listener.getsockname())
        return here, listener.accept()[0]
socket.socketpair = socketpair
import selectors
selectors.DefaultSelector = selectors.SelectSelector
"""
"""What Python lacks on Windows, taken away before anything of ours is imported."""

STORY = """
from bench import Bench, NotOnThisCarrier, VehicleChange
from udsoncan.exceptions import NegativeResponseException

with Bench(file="alone.yaml") as bench:
    tester = bench.tester("validated")
    print(tester.identify().vin, len(tester.scan()))
    try:
        bench.car.change(VehicleChange(bonnet_open=True))
    except NotOnThisCarrier as reason:
        print(reason)
    tester.login()
    try:
        tester.unlock("gateway")
        print("open")
    except Exception as error:
        print(error)
    try:
        tester.write_coding("cluster", bytes(8))
    except NegativeResponseException as refused:
        print("refused", hex(refused.response.code))
    print(bench.findings().violations, bench.findings().requests_seen > 10)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bench file that serves a car, and one for a tester beside a car that nobody here steers."""
    require_multicast()
    made = tmp_path_factory.mktemp("alone")
    place = PLACE.format(port=multicast_port())
    car = f"title: A car\nvehicle: mb-eclass\ncar: served\nbuses: {{obd: {{{place}}}}}\ntester: {{{place}}}\n"
    alone = f"title: A tester\nvehicle: mb-eclass\ncar: real\ntester: {{{place}, delta_p2: 5 s}}\n"
    (made / "car.yaml").write_text(car)
    (made / "alone.yaml").write_text(alone)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("prelude", ["", LIKE_WINDOWS], ids=["here", "without Unix's means"])
def test_it_does_over_the_bus_what_can_be_done_there_and_says_what_cannot(folder: Path, prelude: str) -> None:
    car = ServedProcess(load_bench(str(folder / "car.yaml")))
    try:
        done = subprocess.run(
            [sys.executable, "-c", prelude + textwrap.dedent(STORY)],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        car.close()
    assert done.returncode == 0, done.stderr
    vin_and_units, bonnet, unlock, coding, findings = done.stdout.splitlines()
    assert vin_and_units == "W1KZZZ2130A000001 8"
    assert "the car on this bench is real: nobody here can set" in bonnet
    assert "open" not in unlock, "the car does not know this back end"
    assert coding.startswith("refused")
    assert findings == "() True"


@pytest.mark.slow
def test_a_car_that_must_be_served_says_what_the_system_lacks(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIKE_WINDOWS + "from bench import Bench\nBench(file='car.yaml').vehicle()"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "this system has no Unix sockets" in done.stderr.splitlines()[-1]
