"""Whether an address is this machine's own: what travels there crosses no network."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Return whether `host` is `localhost` or an address of the loopback interface (RFC 1122 section 3.2.1.3, RFC 4291 2.5.3)."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
