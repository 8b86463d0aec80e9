"""`sgw-bench portal` as a person starts it: what it says, what it keeps, how it ends, and what it says when it cannot begin."""

import base64
import signal
import socket
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from command_line import in_a_process
from portal_process import PATIENCE_S, portal_process

from portal_sim.sql import schema
from portal_sim.sql.engine import opened
from vci_driver.portal_http import HttpPortal
from wire import portal_api as api
from wire.portal_control import CheckState, PutAccount
from wire.world import World

pytestmark = [pytest.mark.slow, pytest.mark.realtime]
EMAIL, PASSWORD = "tessa@workshop.example", "correct horse tessa battery"
ACCOUNT = PutAccount(email=EMAIL, password=PASSWORD, first_name="Tessa", last_name="Example")


def port(url: str, token: str = "") -> HttpPortal:
    return HttpPortal(url, World(), client=httpx.Client(base_url=url, timeout=PATIENCE_S), control_token=token or None)


def test_it_says_where_everything_is_and_keeps_it_until_the_next_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with portal_process(data, "--control-plane") as first:
        with port(first.url, first.control_token) as portal:
            portal.call(ACCOUNT)
            keys = portal.call(api.GetKeySet())
            portal.call(api.SignUp(email="mila@workshop.example", password=PASSWORD))
        assert {"portal at", "keys for vehicles at", "API described at", "data in", "database"} <= first.said.keys()
        first.signal(signal.SIGTERM)
        assert first.wait() == 0
    with portal_process(data, "--control-plane") as again, port(again.url, again.control_token) as portal:
        assert portal.call(api.PortalLogin(email=EMAIL, password=PASSWORD)).person == "Tessa Example"
        assert portal.call(api.GetKeySet()) == keys
        (mail,) = portal.call(api.ReadMail(email="mila@workshop.example"))
        portal.call(api.ConfirmEmail(link_code=mail.link_code))
    holds = in_a_process("portal", "audit", "verify", "--data", str(data), cwd=tmp_path)
    assert (holds.returncode, "the audit log holds: 2 records" in holds.stdout) == (0, True), holds.stderr


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_requests_in_flight_are_answered_before_it_ends(tmp_path: Path, ending: signal.Signals) -> None:
    """Argon2id at its real cost: some of these logins wait for their turn while the end is asked for."""
    with portal_process(tmp_path / "data", "--control-plane") as process:
        url = process.url
        with port(url, process.control_token) as portal:
            portal.call(ACCOUNT)
        arrived = threading.Barrier(9)

        def log_in(_: int) -> int:
            with httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
                client.get("/healthz")  # connected: what is sent now is in flight, not turned away
                arrived.wait(PATIENCE_S)
                with client.stream("POST", "/v1/sessions", json={"email": EMAIL, "password": PASSWORD}) as answer:
                    return answer.status_code if answer.read() else 0

        with ThreadPoolExecutor(8) as pool:
            answers = [pool.submit(log_in, number) for number in range(8)]
            arrived.wait(PATIENCE_S)
            with httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
                client.post("/v1/sessions", json={"email": EMAIL, "password": PASSWORD})  # behind theirs
            process.signal(ending)
            assert [each.result(PATIENCE_S) for each in answers] == [201] * 8
        assert process.wait() == 0
        assert process.out[-1].startswith("stopped")
        assert process.err == [] or "Traceback" not in "\n".join(process.err)


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = str(taken.getsockname()[1])
        ended = in_a_process("portal", "--port", number, "--data", str(tmp_path / "data"), cwd=tmp_path)
    assert ended.returncode == 2
    assert (
        ended.stderr
        == f"sgw-bench: 127.0.0.1:{number} cannot be listened at: address already in use; choose another --port\n"
    )


def test_two_do_not_work_in_one_folder(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with portal_process(data) as first:
        assert first.url
        ended = in_a_process("portal", "--port", "0", "--data", str(data), cwd=tmp_path)
    assert ended.returncode == 2
    assert "another portal (process " in ended.stderr
    assert ended.stderr.count("\n") == 1


def broken(data: Path, spoil: str) -> dict[str, str]:
    """Do something to a portal's folder, or to its environment."""
    if spoil == "another key":
        return {"SGW_BENCH_PORTAL_KEY": base64.b64encode(bytes(32)).decode()}
    if spoil == "no key":
        (data / "portal.key").write_text("not a key")
    elif spoil == "no database":
        (data / "portal.sqlite").write_bytes(b"not a database, but long enough to look like one" * 100)
        for beside in data.glob("portal.sqlite-*"):
            beside.unlink()
    elif spoil == "back-end keys":
        (data / "backend-keys.pem").write_text("no keys")
    return {}


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        ("another key", "made under another key"),
        ("no key", "no portal key: 32 bytes in base64"),
        ("no database", "no SQLite database"),
        ("back-end keys", "these are not a back end's keys"),
    ],
)
def test_what_it_cannot_start_with_is_one_sentence(tmp_path: Path, spoil: str, sentence: str) -> None:
    data = tmp_path / "data"
    with portal_process(data) as first:
        assert first.url
        first.signal(signal.SIGTERM)
        assert first.wait() == 0
    ended = in_a_process("portal", "--port", "0", "--data", str(data), cwd=tmp_path, **broken(data, spoil))
    assert ended.returncode == 2
    assert sentence in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert ended.stdout == ""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--database", "postgresql://portal:hush@127.0.0.1:1/portal"), "127.0.0.1:1/portal"),
        (("--database", "mysql://localhost/portal"), "known are"),
        (("--smtp", "pigeon://coop"), "--smtp"),
        (("--reviews", "soon"), "--reviews"),
        (("--reviewer", "no-such-file.yaml"), "no-such-file.yaml"),
        (("--host", "no.such.host.invalid"), "choose another --host"),
        (("--public-url", "ftp://x"), "public URL"),
    ],
)
def test_options_that_cannot_be_are_one_sentence(tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    ended = in_a_process("portal", "--port", "0", "--data", str(tmp_path / "data"), *words, cwd=tmp_path)
    assert ended.returncode == 2
    assert sentence in ended.stderr, ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "hush" not in ended.stderr


def test_an_older_database_is_upgraded_by_command_and_never_unasked(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    url = f"sqlite:///{data / 'portal.sqlite'}"
    with opened(url) as engine:
        schema.upgrade(engine, schema.versions()[0])
    start = ("portal", "--port", "0", "--data", str(data))
    ended = in_a_process(*start, cwd=tmp_path)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "migration needed: make a copy, then run `sgw-bench portal database upgrade`" in ended.stderr
    upgraded = in_a_process("portal", "database", "upgrade", "--data", str(data), cwd=tmp_path)
    assert (upgraded.returncode, upgraded.stdout) == (
        0,
        f"version {schema.versions()[0]} is now {schema.versions()[-1]}\n",
    )
    with portal_process(data) as process:
        assert process.url


# ---- the log


def tampered(data: Path, statement: str) -> None:
    """Do something to the database as who has the file, and no key, can."""
    with sqlite3.connect(data / "portal.sqlite") as database:
        for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{trigger}"')
        database.execute(statement)
    database.close()


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE audit SET person = 'mallory@x.example' WHERE position = 2", "record 2"),
        ("DELETE FROM audit WHERE position = 2", "record 2"),
        ("DELETE FROM audit WHERE position = 3", "record 3"),
    ],
)
def test_a_log_that_was_tampered_with_is_told_with_its_first_bad_record(
    tmp_path: Path, statement: str, says: str
) -> None:
    data = tmp_path / "data"
    with portal_process(data) as process:
        with port(process.url) as portal:
            for name in ("mila", "tessa", "conrad"):
                portal.call(api.SignUp(email=f"{name}@workshop.example", password=PASSWORD))
        process.signal(signal.SIGTERM)
        assert process.wait() == 0
    exported = in_a_process("portal", "audit", "export", "--data", str(data), cwd=tmp_path)
    assert exported.stdout.count('"action": "sign-up"') == 3
    tampered(data, statement)
    ended = in_a_process("portal", "audit", "verify", "--data", str(data), cwd=tmp_path)
    assert ended.returncode == 1
    assert f"the audit log does not hold: {says}" in ended.stderr


def test_a_log_that_is_not_there_is_one_sentence_and_nothing_is_made(tmp_path: Path) -> None:
    ended = in_a_process("portal", "audit", "verify", "--data", str(tmp_path / "nowhere"), cwd=tmp_path)
    assert ended.returncode == 2
    assert "there is no portal's key here" in ended.stderr
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("words", [("database", "version"), ("database", "upgrade"), ("audit", "verify")])
def test_a_misspelt_database_is_told_and_not_made(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "portal.key").write_text(base64.b64encode(bytes(32)).decode())
    url = f"sqlite:///{tmp_path / 'misspelt.db'}"
    ended = in_a_process("portal", *words, "--data", str(tmp_path), "--database", url, cwd=tmp_path)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "misspelt.db: there is no portal's database here" in ended.stderr
    assert not (tmp_path / "misspelt.db").exists()


def test_a_file_in_the_folders_place_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    ended = in_a_process("portal", "--port", "0", "--data", str(tmp_path / "data"), cwd=tmp_path)
    assert ended.returncode == 2
    assert "cannot be kept here: it is no folder; choose another --data" in ended.stderr


def test_an_unchecked_person_is_unchecked_after_a_restart(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with portal_process(data, "--control-plane") as process, port(process.url, process.control_token) as portal:
        portal.call(ACCOUNT)
        process.signal(signal.SIGTERM)
        assert process.wait() == 0
    with portal_process(data) as again, port(again.url) as portal:
        session = portal.call(api.PortalLogin(email=EMAIL, password=PASSWORD)).token
        assert portal.call(api.GetStatus(session=session)).identity is CheckState.NONE
