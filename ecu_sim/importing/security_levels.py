"""Levels of SecurityAccess for a profile that was made from somewhere: lengths are known, the way from seed to key never is.

The bench puts an algorithm of its own there, with a secret drawn from the names: the same import makes the same secret, and no
real unit's key can come of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from ecu_sim.importing.document import Entry, Hex, ProfileDocument, Value
from wire.seed_key import ALGORITHMS, key_len

SEED_LEN_RANGE = (2, 32)
SECRET_LEN = 16
FALLBACK = "hmac-sha256-8"


def add_level(
    document: ProfileDocument, level: int, *, unit: str, seed_len: int, key_bytes: int | None, sessions: Iterable[int]
) -> None:
    """Put a level into the profile. `key_bytes` None: no key was seen. `sessions` empty: the profile's default for levels."""
    low, high = SEED_LEN_RANGE
    if not low <= seed_len <= high:
        document.leave_out(
            "security level", f"{level:02X}", f"its seed has {seed_len} bytes; a profile takes {low} to {high}"
        )
        return
    fitting = [name for name in ALGORITHMS if key_len(name) == key_bytes]
    algorithm = fitting[0] if fitting else FALLBACK
    keys: dict[str, Value] = {
        "algorithm": algorithm,
        "secret": hashlib.sha256(f"sgw-bench {unit} {level:02X}".encode()).digest()[:SECRET_LEN],
        "seed_len": seed_len,
    }
    chosen = sorted(sessions)
    if chosen:
        keys["sessions"] = [Hex(session) for session in chosen]
    document.section("security")[level] = Entry(keys, "the algorithm and its secret are the bench's own")
    document.choose(
        "security level",
        f"{level:02X}",
        f"how a seed becomes a key cannot be known: {algorithm} and a secret of the bench",
    )
    if key_bytes is not None and not fitting:
        there = " or ".join(str(key_len(name)) for name in ALGORITHMS)
        document.leave_out(
            "security level",
            f"{level:02X}",
            f"its key has {key_bytes} bytes; algorithms of the bench make keys of {there}",
        )
