"""`tools/with-vcan` as a person or a CI job uses it: real interfaces, and a command that does not notice where it runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools/with-vcan"
PATIENCE_S = 280
"""A guest boots in seconds; the first time its kernel is fetched."""
NOTHING_TO_BE_HAD = 125
WHAT_IS_THERE = """
import json, os, socket, sys
print("to standard error", file=sys.stderr)
interfaces = {}
for name in os.listdir("/sys/class/net"):
    with open(f"/sys/class/net/{name}/mtu") as mtu, open(f"/sys/class/net/{name}/flags") as flags:
        interfaces[name] = {"mtu": int(mtu.read()), "up": bool(int(flags.read(), 16) & 1)}
with socket.socket(socket.AF_CAN, socket.SOCK_RAW, 1) as car, socket.socket(socket.AF_CAN, socket.SOCK_RAW, 1) as tester:
    heard = None
    if "vxcan0" in interfaces:
        car.bind(("vxcan0",))
        tester.bind(("vxcan1",))
        tester.settimeout(20)
        car.send(bytes(16))
        heard = tester.recv(16) == bytes(16)
print(json.dumps({
    "interfaces": interfaces, "cable": heard, "argv": sys.argv[1:], "cwd": os.getcwd(), "stdin": sys.stdin.read(),
    "mine": os.environ.get("MINE"), "told": {key: value for key, value in os.environ.items() if key.startswith("WITH_VCAN_")},
}))
sys.exit(7)
"""


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str


def with_vcan(*words: str, cwd: Path | None = None, tool: Path = TOOL, **more: str) -> Ran:
    done = subprocess.run(
        [tool, *words],
        cwd=cwd,
        env=os.environ | more,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def unless_not_to_be_had(ran: Ran) -> Ran:
    if ran.status == NOTHING_TO_BE_HAD:
        pytest.skip(ran.err.strip())
    return ran


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """One call for all that one call can show: through a symlink, from a folder elsewhere with a space in its name."""
    folder = tmp_path_factory.mktemp("a folder")
    link = folder / "linked"
    link.symlink_to(TOOL)
    words = ("--ifaces", "3", "--", sys.executable, "-c", WHAT_IS_THERE, "two words", "it's $HOME", "--ifaces", "")
    return unless_not_to_be_had(with_vcan(*words, cwd=folder, tool=link, MINE="kept\nas it is"))


@pytest.fixture
def there(ran: Ran) -> dict[str, object]:
    found = json.loads(ran.out)
    assert isinstance(found, dict)
    return found


pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_the_interfaces_are_there_up_and_take_can_fd(there: dict[str, object]) -> None:
    interfaces = there["interfaces"]
    assert isinstance(interfaces, dict)
    for name in ("vcan0", "vcan1", "vcan2"):
        assert interfaces[name] == {"mtu": 72, "up": True}


def test_the_cable_carries_from_one_end_to_the_other(there: dict[str, object]) -> None:
    if there["cable"] is None:
        pytest.skip("this kernel has no vxcan")
    assert there["cable"] is True


def test_the_exit_status_is_the_commands(ran: Ran) -> None:
    assert ran.status == 7


def test_standard_output_and_error_come_apart_and_nothing_else_with_them(ran: Ran) -> None:
    assert ran.err == "to standard error\n"
    assert ran.out.count("\n") == 1


def test_arguments_directory_and_environment_are_kept(there: dict[str, object]) -> None:
    assert there["argv"] == ["two words", "it's $HOME", "--ifaces", ""]
    assert str(there["cwd"]).endswith("a folder0")
    assert there["mine"] == "kept\nas it is"
    assert there["stdin"] == ""


def test_the_command_is_told_what_it_was_promised(there: dict[str, object]) -> None:
    told = there["told"]
    assert isinstance(told, dict)
    assert told["WITH_VCAN_IFACES"].split()[:3] == ["vcan0", "vcan1", "vcan2"]
    assert told["WITH_VCAN_KERNEL"] in {"host", "uml"}


def test_a_command_that_is_not_there_has_the_status_that_a_shell_gives_it() -> None:
    ran = unless_not_to_be_had(with_vcan("no-such-command"))
    assert (ran.status, ran.out) == (127, "")
    assert ran.err == "with-vcan: there is no command no-such-command\n"


def test_a_command_that_takes_too_long_is_ended() -> None:
    ran = unless_not_to_be_had(with_vcan("sleep", "1000", WITH_VCAN_TIMEOUT="10"))
    assert ran.status == 124


def test_ending_it_ends_the_command_wherever_it_runs() -> None:
    # the command's own line shows that it has begun; what it says last would show that it was let go on
    process = subprocess.Popen(
        [TOOL, "sh", "-c", "echo begun; sleep 1000; echo over"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    begun = process.stdout.readline()
    if not begun:
        pytest.skip(process.communicate()[1].strip())
    os.killpg(process.pid, signal.SIGTERM)
    out, _ = process.communicate(timeout=60)  # comes back when nobody holds the pipe any more
    assert out == ""
    assert process.returncode in {143, -signal.SIGTERM}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no command"),
        (("--",), "no command"),
        (("--kernel", "uml"), "no command"),
        (("--bogus", "true"), "--bogus"),
        (("--kern", "host", "true"), "--kern"),
        (("--kernel", "windows", "true"), "windows"),
        (("--ifaces", "0", "true"), "from 1 to 64"),
        (("--ifaces", "two", "true"), "from 1 to 64"),
        (("--isotp", "--kernel", "uml", "true"), "--kernel qemu"),
    ],
    ids=str,
)
def test_a_wrong_call_is_refused_with_a_sentence(words: tuple[str, ...], said: str) -> None:
    ran = with_vcan(*words)
    assert (ran.status, ran.out) == (2, "")
    usage, sentence = ran.err.splitlines()
    assert usage.startswith("usage: with-vcan [--kernel auto|host|uml|qemu] [--ifaces N]")
    assert said in sentence


def test_help_explains_kernels_environment_and_exit_status() -> None:
    ran = with_vcan("--help")
    assert (ran.status, ran.err) == (0, "")
    for word in ("uml", "qemu", "WITH_VCAN_TIMEOUT", "WITH_VCAN_IFACES", "exit status", "125"):
        assert word in ran.out


@pytest.mark.parametrize(
    ("kernel", "said"),
    [("host", "vcan"), ("uml", "no apt-get to fetch user-mode-linux"), ("qemu", "qemu-system-x86_64 is missing")],
)
def test_where_nothing_is_to_be_had_one_sentence_says_why(tmp_path: Path, kernel: str, said: str) -> None:
    """A machine without ip, apt-get and qemu, whose root does not come to our help."""
    for command in ("sh", "dirname", "readlink", "python3"):
        found = sys.executable if command == "python3" else f"/usr/bin/{command}"
        (tmp_path / command).symlink_to(found)
    cache = str(tmp_path / "cache")
    ran = with_vcan("--kernel", kernel, "--ifaces", "64", "true", PATH=str(tmp_path), XDG_CACHE_HOME=cache)
    if kernel == "host" and ran.status == 127:  # it went as far as the command, which is not on this path
        pytest.skip("this machine has 64 vcan interfaces")
    assert (ran.status, ran.out) == (NOTHING_TO_BE_HAD, "")
    assert ran.err.startswith("with-vcan: ")
    assert ran.err.count("\n") == 1
    assert said in ran.err


@pytest.mark.parametrize("variable", ["WITH_VCAN_TIMEOUT", "WITH_VCAN_MEMORY"])
def test_a_setting_that_is_no_number_is_refused(variable: str) -> None:
    ran = with_vcan("--kernel", "uml", "true", **{variable: "soon"})
    assert (ran.status, ran.err) == (NOTHING_TO_BE_HAD, f"with-vcan: {variable} is a whole number, not 'soon'\n")
