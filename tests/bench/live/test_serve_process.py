"""`sgw-bench serve`, `watch` and `control` as a person, a supervisor and a parent process use them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import COMMAND, Here, environment, here
from served_car import PATIENCE_S, Served, eventually, paced_file, served_here

from bench.live.client import ControlClient, ServerLost
from bench.live.service import ServiceManager
from wire.clock import RealClock, stopwatch
from wire.world import World

pytestmark = [pytest.mark.realtime, pytest.mark.slow]


@pytest.fixture
def sgw_bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    return here(monkeypatch, capsys)


@contextlib.contextmanager
def serving(folder: Path, *more: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    """`sgw-bench serve` with output into pipes, ready; killed at the end if it still runs."""
    command = [*COMMAND, "serve", "--bench", str(paced_file(folder)), "--control", str(folder / "car.sock"), *more]
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment(**env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", process.stderr.read() if process.stderr else ""
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def ended(process: subprocess.Popen[str]) -> str:
    """Wait for a clean end and return the log."""
    assert process.stderr is not None
    log = process.stderr.read()
    assert process.wait(PATIENCE_S) == 0, log
    return log


# ---- begin and end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_with_status_0_and_the_socket_gone(tmp_path: Path, number: int) -> None:
    with serving(tmp_path) as process:
        control = tmp_path / "car.sock"
        assert control.is_socket()
        process.send_signal(number)
        log = ended(process)
        assert not control.exists()
    lines = log.splitlines()
    assert all(line.startswith("sgw-bench: ") for line in lines)
    assert f"serving Golf-like car, J533 and SFD, WVWZZZCDZSW000001; virtual buses; control socket {control}" in log
    assert "ended after 0 requests" in lines[-1]


def test_it_ends_with_its_parent_when_asked_to(tmp_path: Path) -> None:
    with serving(tmp_path, "--with-parent") as process:
        assert process.stdin is not None
        process.stdin.write("this is no end\n")
        process.stdin.flush()
        with contextlib.closing(ControlClient(tmp_path / "car.sock")) as client:
            assert client.line("clear-faults") == "done"
        process.stdin.close()
        assert "ended" in ended(process)


def test_a_log_that_nobody_reads_any_more_does_not_end_the_car(tmp_path: Path) -> None:
    with serving(tmp_path) as process:
        assert process.stderr is not None
        process.stderr.close()
        with contextlib.closing(ControlClient(tmp_path / "car.sock")) as client:
            for _ in range(3):
                assert client.line("vehicle: {bonnet: open}") == "done"
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


def test_another_server_at_the_same_socket_is_refused_and_the_first_goes_on(tmp_path: Path, sgw_bench: Here) -> None:
    with serving(tmp_path) as process:
        done = sgw_bench("serve", "--bench", "own.yaml", "--control", str(tmp_path / "car.sock"), cwd=tmp_path)
        assert done.returncode == 2
        assert "a car is served at" in done.stderr.splitlines()[-1]
        with contextlib.closing(ControlClient(tmp_path / "car.sock")) as client:
            assert client.line("clear-faults") == "done"
        process.terminate()
        ended(process)


# ---- what is wrong is said in one sentence


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--bench", "vcam"), r"no bench 'vcam'; did you mean 'vcan'\?"),
        (("--bench", "own.yaml", "--vehicle", "vag-gulf"), "no vehicle 'vag-gulf'; did you mean 'vag-golf'"),
        (
            ("--bench", "virtual"),
            "the car of bench 'virtual' is 'here': only one that is 'served' can be; `sgw-bench benches` lists such",
        ),
        (("--bench", "tester-only"), "the car of bench 'tester-only' is 'real'"),
        (("--bench", "broken.yaml"), r"broken.yaml:2: car: unknown value 'sreved'; did you mean 'served'\?"),
        (("--bench", "rear.yaml"), "'vag-golf' has no bus 'rear'; it has: obd"),
        (("--bench", "gone.yaml"), "slcan:/dev/ttyNOSUCH"),
        (("--bench", "own.yaml", "--control", "broken.yaml"), "this is no socket, and is left alone"),
        (("--bench", "own.yaml", "--control", "x" * 120), "no control socket can be made here"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_sentence_with_status_2(
    sgw_bench: Here, tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    paced_file(tmp_path)
    carrier = "{driver: python_can, channel: /dev/ttyNOSUCH, options: {interface: slcan}}"
    (tmp_path / "broken.yaml").write_text("title: T\ncar: sreved\n")
    (tmp_path / "rear.yaml").write_text(
        f"title: T\ncar: served\nbuses: {{obd: {carrier}, rear: {carrier}}}\ntester: {carrier}\n"
    )
    (tmp_path / "gone.yaml").write_text(f"title: T\ncar: served\nbuses: {{obd: {carrier}}}\ntester: {carrier}\n")
    done = sgw_bench("serve", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert len([line for line in done.stderr.splitlines() if re.search(says, line)]) == 1, done.stderr
    assert "Traceback" not in done.stderr


# ---- the service manager


@pytest.fixture
def notified(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(PATIENCE_S)
        yield listener


def test_a_service_manager_is_told_ready_alive_and_stopping(tmp_path: Path, notified: socket.socket) -> None:
    with serving(tmp_path, NOTIFY_SOCKET=notified.getsockname(), WATCHDOG_USEC="30000") as process:
        said = [notified.recv(4096).decode() for _ in range(5)]
        assert sum(each == "READY=1\nSTATUS=serving vag-golf" for each in said) == 1
        assert said.count("WATCHDOG=1") == 4
        process.terminate()
        while (word := notified.recv(4096)) == b"WATCHDOG=1":
            pass
        assert word == b"STOPPING=1"
        ended(process)


def test_signs_of_life_go_on_when_another_vehicle_is_put_on_the_bench(tmp_path: Path, notified: socket.socket) -> None:
    with serving(tmp_path, NOTIFY_SOCKET=notified.getsockname(), WATCHDOG_USEC="30000") as process:
        with contextlib.closing(ControlClient(tmp_path / "car.sock")) as client:
            client.call("put", vehicle="mb-eclass")
            while select.select([notified], [], [], 0)[0]:
                notified.recv(4096)
            assert notified.recv(4096) == b"WATCHDOG=1"
        process.terminate()
        ended(process)


@pytest.mark.parametrize(
    ("environment_", "alive"),
    [
        ({}, False),
        ({"WATCHDOG_USEC": "1000000"}, True),
        ({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getpid())}, True),
        ({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}, False),
        ({"WATCHDOG_USEC": "soon"}, False),
    ],
)
def test_signs_of_life_are_for_who_is_watched(
    environment_: dict[str, str], alive: bool, notified: socket.socket
) -> None:
    world = World()
    ServiceManager({"NOTIFY_SOCKET": notified.getsockname(), **environment_}).keep_alive(world)
    world.run_for(10**9)
    count = 0
    while select.select([notified], [], [], 0)[0]:
        assert notified.recv(4096) == b"WATCHDOG=1"
        count += 1
    assert count == (4 if alive else 0)


def test_a_service_manager_that_is_gone_or_does_not_read_holds_nobody_up(
    tmp_path: Path, notified: socket.socket
) -> None:
    ServiceManager({}).tell("READY=1")
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).tell("READY=1")
    deaf = ServiceManager({"NOTIFY_SOCKET": notified.getsockname()})
    passed = stopwatch()
    for _ in range(1000):
        deaf.tell("WATCHDOG=1")
    assert passed() < PATIENCE_S / 2


def test_an_abstract_address_of_a_service_manager_is_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        name = f"sgw-bench-test-{os.getpid()}"
        listener.bind(f"\0{name}")
        listener.settimeout(PATIENCE_S)
        ServiceManager({"NOTIFY_SOCKET": f"@{name}"}).tell("READY=1", "STATUS=well")
        assert listener.recv(100) == b"READY=1\nSTATUS=well"


# ---- watch and control


@pytest.fixture(scope="module")
def car() -> Iterator[Served]:
    with served_here() as made:
        yield made


def test_control_does_one_thing_after_another_and_prints_what_came(
    car: Served, sgw_bench: Here, tmp_path: Path
) -> None:
    done = sgw_bench("control", "vehicle: {bonnet: open}", "state", "--control", str(car.control), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, _, rest = done.stdout.partition("\n")
    assert first == "done"
    assert json.loads(rest)["bonnet"] == "open"


def test_control_finds_the_socket_by_the_bench_file(car: Served, sgw_bench: Here, tmp_path: Path) -> None:
    path = paced_file(tmp_path)
    (tmp_path / "here").symlink_to(car.control.parent)
    path.write_text(path.read_text().replace("paced: true}", "paced: true, control: here/car.sock}"))
    (tmp_path / "elsewhere").mkdir()
    done = sgw_bench("control", "clear-faults", "--bench", "../own.yaml", cwd=tmp_path / "elsewhere")
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_control_says_what_was_wrong_and_stops_there(car: Served, sgw_bench: Here, tmp_path: Path) -> None:
    done = sgw_bench("control", "vehicel: {}", "vehicle: {bonnet: closed}", "--control", str(car.control), cwd=tmp_path)
    assert done.returncode == 2
    assert "did you mean 'vehicle'" in done.stderr
    assert done.stdout == ""
    assert car.server.car.state.bonnet_open


@pytest.mark.parametrize("command", [("control", "state"), ("watch",)])
def test_where_no_car_is_served_both_say_how_to_start_one(
    sgw_bench: Here, tmp_path: Path, command: tuple[str, ...]
) -> None:
    done = sgw_bench(*command, "--bench", str(paced_file(tmp_path)), cwd=tmp_path, XDG_RUNTIME_DIR=str(tmp_path))
    assert done.returncode == 2
    assert "start one with `sgw-bench serve`" in done.stderr
    assert done.stderr.count("\n") == 1


def test_watch_ends_when_the_car_does(tmp_path: Path) -> None:
    with served_here() as car:
        command = [*COMMAND, "watch", "--control", str(car.control)]
        with subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True) as watcher:
            assert eventually(lambda: car.server.control and car.server.control.connections)
            car.server.end()
            assert eventually(car.closed)
            out, _ = watcher.communicate(timeout=PATIENCE_S)
    assert watcher.returncode == 0
    assert out == "" or "cluster" in out


# ---- in a terminal


class Terminal:
    """A pseudo-terminal in which one command runs."""

    def __init__(self, words: list[str], folder: Path) -> None:
        self.folder = folder
        self.master, slave = pty.openpty()
        self.shown = ""
        self.process = subprocess.Popen(
            [*COMMAND, *words],
            cwd=folder,
            env=environment(TERM="xterm", COLUMNS="120", LINES="40"),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - its own terminal, for Ctrl-C
        )
        os.close(slave)

    def see(self, words: str) -> bool:
        """Read until these words are on the screen."""
        waited = stopwatch()
        while words not in self.shown and waited() < PATIENCE_S:
            if not self.read(0.1) and self.process.poll() is not None:
                break
        return words in self.shown

    def read(self, timeout_s: float) -> bool:
        if not select.select([self.master], [], [], timeout_s)[0]:
            return False
        try:
            data = os.read(self.master, 65_536)
        except OSError:  # the other end is closed
            return False
        self.shown += data.decode(errors="replace")
        return bool(data)

    def press_ctrl_c(self) -> None:
        os.write(self.master, b"\x03")

    def end(self) -> int:
        waited = stopwatch()
        while self.process.poll() is None and waited() < PATIENCE_S:
            self.read(0.05)
        while self.read(0):
            pass
        if self.process.poll() is None:
            self.process.kill()
        os.close(self.master)
        return self.process.wait(PATIENCE_S)


ENTER, LEAVE, SHOW_CURSOR = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25h"


def test_in_a_terminal_serve_shows_the_car_and_ctrl_c_gives_the_terminal_back(tmp_path: Path) -> None:
    place = tmp_path / "with a space"
    place.mkdir()
    screen = Terminal(["serve", "--bench", str(paced_file(place)), "--control", str(place / "car.sock")], place)
    assert screen.see("nobody at the socket"), screen.shown
    assert ENTER in screen.shown
    assert screen.see("cluster"), screen.shown
    with contextlib.closing(ControlClient(place / "car.sock")) as client:
        client.line("vehicle: {bonnet: open}")
    assert screen.see("bonnet open"), screen.shown
    screen.press_ctrl_c()
    assert screen.end() == 0, screen.shown
    assert LEAVE in screen.shown
    assert SHOW_CURSOR in screen.shown
    assert "Traceback" not in screen.shown
    assert "ended after" in screen.shown.rpartition(LEAVE)[2]
    assert not (place / "car.sock").exists()


def test_in_a_terminal_a_bench_file_that_is_wrong_is_one_sentence_and_no_view(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(
        "title: T\ncar: served\nbuses: {obd: {driver: pyhton_can, channel: x}}\ntester: {driver: virtual, channel: x}\n"
    )
    screen = Terminal(["serve", "--bench", str(path)], tmp_path)
    assert screen.end() == 2
    assert "did you mean 'python_can'" in screen.shown
    assert ENTER not in screen.shown


def test_in_a_terminal_a_car_that_cannot_be_served_says_why(tmp_path: Path) -> None:
    carrier = "{driver: python_can, channel: /dev/ttyNOSUCH, options: {interface: slcan}}"
    path = tmp_path / "own.yaml"
    path.write_text(f"title: T\ncar: served\nbuses: {{obd: {carrier}}}\ntester: {carrier}\n")
    screen = Terminal(["serve", "--bench", str(path)], tmp_path)
    assert screen.end() == 2
    assert "slcan:/dev/ttyNOSUCH" in screen.shown
    assert "Traceback" not in screen.shown
    assert ENTER not in screen.shown


def test_a_view_whose_car_is_killed_ends_with_the_terminal_restored(tmp_path: Path) -> None:
    screen = Terminal(
        ["serve", "--bench", str(paced_file(tmp_path)), "--control", str(tmp_path / "car.sock")], tmp_path
    )
    assert screen.see("nobody at the socket"), screen.shown
    with contextlib.closing(ControlClient(tmp_path / "car.sock")) as client, contextlib.suppress(ServerLost):
        client.call("end")
    assert screen.end() == 0, screen.shown
    assert LEAVE in screen.shown


def test_ctrl_c_ends_the_watching_and_not_the_car(car: Served, tmp_path: Path) -> None:
    screen = Terminal(["watch", "--control", str(car.control)], tmp_path)
    assert screen.see("cluster"), screen.shown
    screen.press_ctrl_c()
    assert screen.end() == 0
    assert LEAVE in screen.shown
    assert car.ask("clear-faults") == "done"
    assert isinstance(car.server.clock, RealClock)
