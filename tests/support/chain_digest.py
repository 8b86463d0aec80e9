"""One digest of scenarios played with a seed: every frame and note, and the back end's keys with their signatures.

python tests/support/chain_digest.py SEED [scenarios]
"""

from __future__ import annotations

import hashlib
import sys

from bench import Bench
from scenarios.library import find
from scenarios.play import Status, play


def chain_digest(seed: int, *targets: str) -> str:
    """The digest in hex. Tokens, certificates and their signatures pass over the bus, so that the trace holds them."""
    digest = hashlib.sha256()
    for scenario in find(targets):
        with Bench(seed=seed, vehicle=scenario.vehicle) as bench:
            assert play(scenario, bench.stage).status is Status.PASSED, scenario.name
            keys = bench.backend.key_set()
            parts = [scenario.name.encode(), bench.trace.digest().encode(), *keys.token_keys, keys.root_ca]
        for part in parts:
            digest.update(len(part).to_bytes(4, "big") + part)
    return digest.hexdigest()


if __name__ == "__main__":
    print(chain_digest(int(sys.argv[1]), *sys.argv[2:]))  # noqa: T201
