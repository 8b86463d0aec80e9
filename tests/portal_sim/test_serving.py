"""What the server gives a client that is slow, large, or one of too many: an end."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn

from portal_sim.web.serving import ServingLimits, listen, server_config
from wire.errors import CarrierFault

pytestmark = pytest.mark.realtime
PATIENCE_S = 60
QUICK = ServingLimits(request_s=0.2, keep_alive_s=1, connections=5, head_max_bytes=1000)
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


async def app(_: object, receive: object, send: object) -> None:
    """Read a whole request and answer it."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@contextlib.contextmanager
def served(limits: ServingLimits = QUICK) -> Iterator[int]:
    with contextlib.closing(listen("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(server_config(app, limits))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(PATIENCE_S)


@contextlib.contextmanager
def line(port: int, *sent: bytes) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
        for data in sent:
            connection.sendall(data)
        yield connection


def all_of(connection: socket.socket) -> bytes:
    """Everything until the server ends the connection."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(4096):
            found += data
    return found


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: h\r\nX-Slow: ",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n123",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
    ],
)
def test_a_request_that_does_not_arrive_whole_in_time_ends_with_its_connection(sent: bytes) -> None:
    with served() as port, line(port, sent) as slow:
        assert b"200" not in all_of(slow)


def test_a_byte_now_and_then_buys_no_time() -> None:
    with served() as port, line(port) as slow, contextlib.suppress(OSError):
        slow.settimeout(0.02)
        for _ in range(10_000):  # 200 s at least
            slow.sendall(b"G")
            with contextlib.suppress(TimeoutError):
                assert slow.recv(10) == b""
                return
    # an OSError, too, is an end: the server closed while we wrote


def test_a_second_request_has_its_own_time_and_a_connection_without_one_ends() -> None:
    with served() as port, line(port, GET) as connection:
        while not connection.recv(4096).endswith(b"ok"):
            pass
        connection.sendall(GET)
        assert all_of(connection).endswith(b"ok")


def test_a_head_that_is_too_large_is_refused() -> None:
    with served() as port, line(port, b"GET / HTTP/1.1\r\nHost: h\r\nX-Large: " + b"a" * 2000) as connection:
        assert all_of(connection).startswith(b"HTTP/1.1 400 ")


def test_one_client_too_many_is_told_to_come_back() -> None:
    limits = ServingLimits(connections=3)
    with served(limits) as port, contextlib.ExitStack() as stack:
        for _ in range(2):
            assert stack.enter_context(line(port, GET)).recv(4096).startswith(b"HTTP/1.1 200 ")
        with line(port, GET) as third:
            assert third.recv(4096).startswith(b"HTTP/1.1 503 ")


def test_no_answer_has_a_banner() -> None:
    with served() as port, line(port, GET) as connection:
        head = connection.recv(4096).lower()
        assert b"\r\ndate: " in head
        assert b"\r\nserver:" not in head


def test_it_listens_at_ipv6_where_the_machine_has_it() -> None:
    try:
        listen("::1", 0).close()
    except CarrierFault as fault:
        assert "[::1]:0 cannot be listened at" in str(fault)  # noqa: PT017 - a machine without IPv6
