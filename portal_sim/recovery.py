"""Recovery codes: they stand in for an authenticator that is lost, each once. 120 random bits, so their hash needs no salt."""

from __future__ import annotations

import base64
import hashlib
import re

from wire.entropy import Entropy

CODE_BYTES = 15
GROUP = 4
_CODE = re.compile(r"[a-z2-7]{24}")
"""Base32 in small letters: no 0 and 1 to be taken for letters."""


def new_codes(entropy: Entropy, count: int) -> tuple[str, ...]:
    """Return codes as a person reads them: `abcd-efgh-ijkl-mnop-qrst-uvwx`."""
    return tuple(_grouped(base64.b32encode(entropy.token_bytes(CODE_BYTES)).decode().lower()) for _ in range(count))


def typed_code(text: str) -> str | None:
    """Return the bare code in what a person typed, with or without its dashes; None where it is none."""
    bare = text.replace("-", "").replace(" ", "").lower()
    return bare if _CODE.fullmatch(bare) else None


def code_hash(email: str, code: str) -> str:
    """Return what is kept instead of a code."""
    bare = typed_code(code)
    assert bare is not None
    return hashlib.sha256(f"{email}\n{bare}".encode()).hexdigest()


def _grouped(code: str) -> str:
    return "-".join(code[start : start + GROUP] for start in range(0, len(code), GROUP))
