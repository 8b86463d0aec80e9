"""How `sgw-bench portal` ends where a client does not: after its grace, or at once by a second signal."""

from __future__ import annotations

import signal
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from portal_process import PATIENCE_S, PortalProcess, portal_process

pytestmark = [pytest.mark.realtime, pytest.mark.slow]


def connect(portal: PortalProcess) -> socket.socket:
    parts = urlsplit(portal.url)
    return socket.create_connection((parts.hostname, parts.port), PATIENCE_S)


def half_a_request(portal: PortalProcess) -> socket.socket:
    """A request whose body never ends, and which the portal is reading."""
    line = connect(portal)
    line.sendall(
        b"POST /v1/accounts HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
        b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n{"
    )
    assert line.recv(100).startswith(b"HTTP/1.1 100")
    return line


def is_shut(portal: PortalProcess) -> bool:
    try:
        connect(portal).close()
    except OSError:
        return True
    return False


def test_a_request_that_does_not_end_is_cut_off_after_the_grace_and_the_status_says_so(tmp_path: Path) -> None:
    with portal_process(tmp_path, "--grace", "0") as portal, half_a_request(portal):
        portal.signal(signal.SIGTERM)
        assert portal.wait() == 1
        assert portal.out[-1] == "stopped: 1 requests did not end in time and were cut off"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_nothing_new_is_accepted_while_it_ends_and_a_second_signal_ends_it_at_once(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    with portal_process(tmp_path, "--grace", "600") as portal, half_a_request(portal):
        portal.signal(number)
        while not is_shut(portal):
            pass
        portal.signal(number)
        assert portal.wait() == status
        assert "Traceback" not in "\n".join(portal.err)
