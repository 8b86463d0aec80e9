"""Which addresses are this machine's own."""

import pytest

from wire.loopback import is_loopback


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1"])
def test_these_are(host: str) -> None:
    assert is_loopback(host)


EVERYWHERE = "0.0.0.0"  # noqa: S104 - asked about, not listened at


@pytest.mark.parametrize("host", ["", EVERYWHERE, "::", "192.0.2.7", "127.evil.example", "localhost.example", "portal"])
def test_these_are_not(host: str) -> None:
    assert not is_loopback(host)
