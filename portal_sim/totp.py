"""One-time codes: HOTP (RFC 4226) and TOTP (RFC 6238), and the otpauth URI that authenticator apps read."""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import quote

SECRET_LEN = 20
"""160 bits, as RFC 4226 section 4 recommends."""
DIGITS = 6
PERIOD_S = 30
_HASHES = {"SHA1": hashlib.sha1, "SHA256": hashlib.sha256, "SHA512": hashlib.sha512}


def hotp(secret: bytes, counter: int, *, digits: int = DIGITS, algorithm: str = "SHA1") -> str:
    """Return the code for `counter` (RFC 4226 section 5.3, dynamic truncation)."""
    digest = hmac.new(secret, counter.to_bytes(8, "big"), _HASHES[algorithm]).digest()
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)


def step_of(utc_s: int) -> int:
    """Return the time step (RFC 6238 section 4.2)."""
    return utc_s // PERIOD_S


def matching_step(secret: bytes, code: str, utc_s: int, *, steps_back: int) -> int | None:
    """Return the step whose code this is, of now and `steps_back` before it; None if it is none of them.

    All candidates are compared, in constant time each, so that the time tells nothing.
    """
    now = step_of(utc_s)
    found: int | None = None
    if not code.isascii():  # `compare_digest` takes no other text
        return None
    for step in range(max(0, now - steps_back), now + 1):
        if hmac.compare_digest(hotp(secret, step), code):
            found = step
    return found


def otpauth_uri(secret: bytes, *, issuer: str, account: str) -> str:
    """Return the URI for the QR code: SHA1, 6 digits, 30 s, base32 without padding, the issuer in label and parameter."""
    label = f"{quote(issuer, safe='')}:{quote(account, safe='@')}"
    base32 = base64.b32encode(secret).decode().rstrip("=")
    return (
        f"otpauth://totp/{label}?secret={base32}&issuer={quote(issuer, safe='')}"
        f"&algorithm=SHA1&digits={DIGITS}&period={PERIOD_S}"
    )
