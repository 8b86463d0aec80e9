"""The authenticator app on a person's phone: reads the otpauth URI that the QR code holds, shows codes by its own clock.

Strict where real apps are lax: only what every app supports (TOTP, SHA1, 6 digits, 30 s) is taken, so that a portal which
issues anything else is noticed here and not in somebody's workshop. Codes are pyotp's (RFC 6238, RFC 4226).
"""

from __future__ import annotations

import base64
import binascii
from urllib.parse import parse_qsl, unquote, urlsplit

import pyotp

from wire.clock import WallClock
from wire.errors import BenchError, LocalMisuse
from wire.world import World

PERIOD_S = 30
DIGITS = 6
MIN_SECRET_BYTES = 16
"""RFC 4226 section 4 R6: the secret has at least 128 bits."""
_KNOWN = frozenset({"secret", "issuer", "algorithm", "digits", "period"})
_FIXED = {"algorithm": "SHA1", "digits": str(DIGITS), "period": str(PERIOD_S)}
MAX_STEP_S = 2 * PERIOD_S
"""A new step is at most this far away, whatever the phone's drift: a limit for the wait."""


class OtpauthError(BenchError):
    """The scanned text is not an otpauth URI that every authenticator app can read."""


class Authenticator:
    """One enrolled account. `issuer` and `account` are what the app shows; the clock is the phone's."""

    def __init__(self, otpauth_uri: str, clock: WallClock) -> None:
        self.issuer, self.account, secret = parse_otpauth(otpauth_uri)
        self.clock = clock
        self._totp = pyotp.TOTP(secret, digits=DIGITS, interval=PERIOD_S)
        self._last_step: int | None = None

    def code(self, now_ns: int) -> str:
        """Return the six digits that the phone shows at world time `now_ns`."""
        return str(self._totp.generate_otp(self.step(now_ns)))

    def step(self, now_ns: int) -> int:
        """Return the number of the 30-second step that the phone's clock is in. Raises `LocalMisuse` before 1970."""
        step = self.clock.utc_s(now_ns) // PERIOD_S
        if step < 0:
            raise LocalMisuse("the phone's clock stands before 1970: there are no codes for that time")
        return step

    def seconds_until_next_step(self, now_ns: int) -> int:
        """Return how many whole seconds of the phone's clock pass until the code changes (1 to 30)."""
        return PERIOD_S - self.clock.utc_s(now_ns) % PERIOD_S

    def needs_new_step(self, now_ns: int) -> bool:
        """Return whether the code shown now is the one that `fresh_code` handed out last, and so is worth nothing."""
        return self.step(now_ns) == self._last_step

    def fresh_code(self, world: World) -> str:
        """Return another code than the last one, waiting (in world time) for the next step where needed.

        A portal accepts a code once (RFC 6238 section 5.2), so a person who needs two codes waits until the digits change.
        """
        while self.needs_new_step(world.now_ns):
            world.wait_for_the_date(min(self.seconds_until_next_step(world.now_ns), MAX_STEP_S))
        self._last_step = self.step(world.now_ns)
        return self.code(world.now_ns)


def parse_otpauth(uri: str) -> tuple[str, str, str]:
    """Return (issuer, account, base32 secret) of an otpauth URI; raise `OtpauthError` that says what is wrong with it.

    The error repeats no text that might be a secret which stands in the wrong place.
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise OtpauthError("not an otpauth URI: it cannot be taken apart") from None
    if parts.scheme != "otpauth":
        raise OtpauthError("not an otpauth URI: it does not begin with otpauth://totp/")
    if parts.netloc != "totp":
        raise OtpauthError("this otpauth type is not supported: only totp is")
    parameters = _parameters(parts.query)
    label = parts.path.removeprefix("/")
    issuer_in_label, colon, account = label.partition(":")
    if not colon:  # the colon between issuer and account may be written %3A
        issuer_in_label, colon, account = unquote(label).partition(":")
    issuer_in_label, account = unquote(issuer_in_label), unquote(account).strip()
    if not colon or not issuer_in_label or not account:
        raise OtpauthError("the label, between otpauth://totp/ and the question mark, is not issuer:account")
    if parameters.get("issuer") != issuer_in_label:
        raise OtpauthError(
            f"the issuer in the label, {issuer_in_label!r}, is not the parameter's, {parameters.get('issuer')!r}: "
            "they must be the same"
        )
    return issuer_in_label, account, _secret(parameters.get("secret", ""))


def _parameters(query: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for key, value in parse_qsl(query.replace("+", "%2B"), keep_blank_values=True):
        if key in parameters:
            raise OtpauthError(f"the parameter {key!r} stands twice")
        if key not in _KNOWN:
            raise OtpauthError(f"unknown parameter {key!r}; known are {', '.join(sorted(_KNOWN))}")
        parameters[key] = value
    for key, value in _FIXED.items():
        if parameters.get(key, value) != value:
            raise OtpauthError(f"{key}={parameters[key]} is not supported by every app: it must be {value}")
    return parameters


def _secret(text: str) -> str:
    if not text:
        raise OtpauthError("the URI holds no secret")
    if "=" in text:
        raise OtpauthError("the secret is padded: an otpauth secret has no '='")
    try:
        raw = base64.b32decode(text + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError):
        raise OtpauthError("the secret is not base32 (A to Z, 2 to 7)") from None
    if len(raw) < MIN_SECRET_BYTES:
        raise OtpauthError(
            f"the secret has {len(raw)} bytes; at least {MIN_SECRET_BYTES} are needed (RFC 4226 section 4)"
        )
    return text
