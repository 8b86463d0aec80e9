"""Where a served car learns the back end's keys: a file or a URL that is missing, broken, slow or replaced."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from channel_pair import real_world
from served_car import PATIENCE_S, Served, eventually, served_here

from bench.live import keys_source
from bench.live.keys_source import KeysSource
from portal_sim.keys import key_set_of, make_keys
from portal_sim.web.tls import bench_tls, server_context
from wire.clock import VIRTUAL_EPOCH_UTC_S, stopwatch, system_utc_s
from wire.entropy import SeededEntropy
from wire.errors import ConfigError
from wire.key_set import read_key_set, save_key_set
from wire.plain import to_plain
from wire.portal_api import KeySet
from wire.portal_trust import PORTAL_CA
from wire.world import World

pytestmark = pytest.mark.realtime
MS = 10**6


def keys(seed: int = 0, *revoked: bytes) -> KeySet:
    own = key_set_of(make_keys(SeededEntropy(World(seed).rng("keys")), VIRTUAL_EPOCH_UTC_S))
    return KeySet(
        token_keys=own.token_keys,
        root_ca=own.root_ca,
        revoked_serials=own.revoked_serials,
        revoked_tokens=frozenset(revoked),
    )


def text_of(key_set: KeySet) -> str:
    return json.dumps(to_plain(key_set))


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys_source, "LOOK_NS", 5 * MS)
    monkeypatch.setattr(keys_source, "FETCH_NS", 5 * MS)


def trusted(car: Served) -> tuple[bytes, ...]:
    return tuple(key.public_bytes_raw() for key in car.server.car.trust.token_keys.values())


# ---- files


def test_without_a_place_to_learn_from_the_car_says_that_it_stays_locked() -> None:
    with served_here() as car:
        assert "the car trusts no back end and stays locked" in car.said[0]
        assert car.call("renew_keys") is None


def test_a_file_that_comes_later_is_learned_and_said_once(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    with served_here(keys=str(path)) as car:
        assert [line for line in car.said if "no key set" in line] == [
            f"there is no key set at {path} yet: the car trusts no back end until there is"
        ]
        before = trusted(car)
        save_key_set(path, keys(1))
        assert eventually(lambda: trusted(car) == keys(1).token_keys)
        assert before != trusted(car)
        looked = car.server.world.now_ns
        assert eventually(lambda: car.server.world.now_ns > looked + 30 * MS)
        assert sum("keys from" in line for line in car.said) == 1
        assert car.said[-1] == f"keys from {path}: 1 for tokens, one root, 0 revocations"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"token_keys": []}', b"\xff\xfe", text_of(keys(2)).replace("root", "boot").encode()]
)
def test_a_file_that_is_broken_is_said_once_and_the_keys_stay(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "set.json"
    save_key_set(path, keys(1))
    with served_here(keys=str(path)) as car:
        (tmp_path / "part").write_bytes(content)
        (tmp_path / "part").replace(path)
        assert eventually(lambda: any("no new keys from" in line for line in car.said))
        car.call("renew_keys")
        assert sum("no new keys from" in line for line in car.said) == 1
        assert "the car goes on with those it has" in car.said[-1]
        assert trusted(car) == keys(1).token_keys
        save_key_set(path, keys(3))
        assert eventually(lambda: trusted(car) == keys(3).token_keys)


def test_a_file_that_is_taken_away_changes_nothing_and_the_log_says_so(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    save_key_set(path, keys(1))
    with served_here(keys=str(path)) as car:
        path.unlink()
        assert eventually(lambda: "no new keys from" in car.said[-1])
        assert trusted(car) == keys(1).token_keys


def test_a_revocation_in_the_file_reaches_the_car(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    save_key_set(path, keys(1))
    with served_here(keys=str(path)) as car:
        save_key_set(path, keys(1, b"\x07" * 16))
        assert eventually(lambda: b"\x07" * 16 in car.server.car.trust.revoked_tokens)
        assert car.said[-1].endswith("1 revocations")


def test_a_new_car_on_the_bench_knows_what_the_last_one_knew_and_goes_on_looking(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    save_key_set(path, keys(1))
    with served_here(keys=str(path)) as car:
        car.call("put", vehicle="mb-eclass")
        assert trusted(car) == keys(1).token_keys
        save_key_set(path, keys(2))
        assert eventually(lambda: trusted(car) == keys(2).token_keys)


# ---- URLs


class Backend:
    """A little server that answers with whatever the test says."""

    def __init__(self) -> None:
        self.answer: Callable[[BaseHTTPRequestHandler], None] = self.give(text_of(keys(1)))
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                with contextlib.suppress(ConnectionError):
                    outer.answer(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1/keys"

    def give(self, text: str, status: int = 200) -> Callable[[BaseHTTPRequestHandler], None]:
        def answer(to: BaseHTTPRequestHandler) -> None:
            to.send_response(status)
            to.end_headers()
            to.wfile.write(text.encode())

        return answer


@pytest.fixture
def backend() -> Iterator[Backend]:
    made = Backend()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join(PATIENCE_S)
    made.server.server_close()


def test_keys_come_from_a_url_and_are_asked_for_again(backend: Backend) -> None:
    with served_here(keys=backend.url) as car:
        assert trusted(car) == keys(1).token_keys
        backend.answer = backend.give(text_of(keys(2, b"\x01" * 16)))
        assert eventually(lambda: trusted(car) == keys(2).token_keys)
        assert b"\x01" * 16 in car.server.car.trust.revoked_tokens


def test_over_https_keys_come_from_whom_the_named_ca_vouches_for_alone(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = bench_tls(tmp_path, (), system_utc_s(), SeededEntropy(World(1).rng("tls")))
    backend.server.socket = server_context(files).wrap_socket(backend.server.socket, server_side=True)
    url = backend.url.replace("http:", "https:")
    said: list[str] = []
    monkeypatch.setenv(PORTAL_CA, str(files.ca))
    assert KeysSource(url, system_utc_s(), said.append).keys == keys(1)
    monkeypatch.setenv(PORTAL_CA, str(tmp_path / "none.pem"))
    assert KeysSource(url, system_utc_s(), said.append).keys != keys(1)
    monkeypatch.delenv(PORTAL_CA)
    assert KeysSource(url, system_utc_s(), said.append).keys != keys(1)
    assert ["keys from" in said[0], "none.pem" in said[1], "verify failed" in said[2]] == [True] * 3, said


@pytest.mark.parametrize(
    "answer",
    [
        lambda to: to.send_error(503),
        lambda to: to.wfile.write(b"this is no HTTP\r\n\r\n"),
        lambda to: to.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nshort"),
        lambda to: to.connection.shutdown(socket.SHUT_RDWR),
        lambda to: to.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xff"),
        lambda to: to.wfile.write(b"HTTP/1.1 302 Found\r\nLocation: ftp://x/\r\n\r\n"),
    ],
    ids=["503", "no HTTP", "short", "hang up", "no text", "redirect elsewhere"],
)
def test_a_back_end_that_answers_badly_is_said_once_and_asked_again(
    backend: Backend, answer: Callable[[BaseHTTPRequestHandler], None]
) -> None:
    with served_here(keys=backend.url) as car:
        backend.answer = answer
        assert eventually(lambda: any("no new keys from" in line for line in car.said))
        asked = backend.asked
        assert eventually(lambda: backend.asked > asked + 2), "it goes on asking"
        assert sum("no new keys from" in line for line in car.said) == 1
        assert trusted(car) == keys(1).token_keys
        backend.answer = backend.give(text_of(keys(2)))
        assert eventually(lambda: trusted(car) == keys(2).token_keys)


def test_a_back_end_that_is_away_at_the_start_is_no_reason_not_to_serve() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/v1/keys"
    with served_here(keys=url) as car:
        assert "no new keys from" in car.said[0]
        assert "refused" in car.said[0]


def test_a_slow_back_end_does_not_make_the_car_late(backend: Backend) -> None:
    with served_here(keys=backend.url) as car:
        go = threading.Event()

        def slow(to: BaseHTTPRequestHandler) -> None:
            go.wait(PATIENCE_S)
            backend.give(text_of(keys(2)))(to)

        backend.answer, asked = slow, backend.asked
        assert eventually(lambda: backend.asked > asked)
        passed = stopwatch()
        for _ in range(20):
            assert car.ask("clear-faults") == "done"
        car.call("renew_keys")
        assert passed() < 2
        assert backend.asked == asked + 1, "one question at a time"
        go.set()
        assert eventually(lambda: trusted(car) == keys(2).token_keys)


def test_another_vehicle_put_on_the_bench_while_a_slow_back_end_is_asked_still_learns_its_keys(
    backend: Backend,
) -> None:
    with served_here(keys=backend.url) as car:
        go = threading.Event()

        def slow(to: BaseHTTPRequestHandler) -> None:
            go.wait(PATIENCE_S)
            backend.give(text_of(keys(2)))(to)

        backend.answer, asked = slow, backend.asked
        assert eventually(lambda: backend.asked > asked)
        car.call("put", vehicle="mb-eclass")
        go.set()
        assert eventually(lambda: trusted(car) == keys(2).token_keys)
        backend.answer = backend.give(text_of(keys(3)))
        assert eventually(lambda: trusted(car) == keys(3).token_keys)


def test_a_log_never_holds_the_keys_themselves(backend: Backend) -> None:
    said: list[str] = []
    with real_world() as world:
        source = KeysSource(backend.url, world.clock.epoch_utc_s(), said.append)
    told = "\n".join(said)
    for raw in source.keys.token_keys:
        assert raw.hex() not in told


# ---- the file itself


def test_a_key_set_comes_back_from_its_file_as_it_was_and_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "set.json"
    save_key_set(path, keys(1, b"\x01" * 16, b"\x02" * 16))
    assert read_key_set(path.read_text(), str(path)) == keys(1, b"\x01" * 16, b"\x02" * 16)
    assert [each.name for each in path.parent.iterdir()] == ["set.json"]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("{", ""),
        ("[]", ""),
        ('{"token_keys": 5}', "token_keys"),
        (text_of(keys(1)).replace('"token_keys": ["', '"token_keys": ["00'), ""),
        (text_of(keys(1)).replace('"root_ca": "', '"root_ca": "00'), ""),
        (text_of(keys(1)).replace('"revoked_tokens": []', '"revoked_tokens": ["x"]'), "revoked_tokens[0]"),
        (text_of(keys(1)).replace('"revoked_tokens": []', '"more": []'), ""),
    ],
)
def test_what_is_no_key_set_says_where_it_came_from_and_which_field(text: str, key: str) -> None:
    with pytest.raises(ConfigError, match="not a key set") as wrong:
        read_key_set(text, "the back end")
    assert (wrong.value.path, wrong.value.key) == ("the back end", key)
