"""One seed, one history: the same bytes in any process, whatever Python's own hashes are, and on any machine.

`golden_digest.txt` holds the digest of both happy chains with seed 0. When the wire traffic, a timing or the keys change on
purpose, renew it with

    PYTHONPATH=. python tests/support/chain_digest.py 0 vag-chain-happy mb-chain-happy > tests/bench/golden_digest.txt

and say in the commit what changed. A change that was not meant to touch the traffic has a mistake in it.
"""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from chain_digest import chain_digest
from command_line import CHECKOUT, environment

from bench import Bench
from bench.runner import run_one
from scenarios.library import find
from scenarios.play import play

CHAINS = ("vag-chain-happy", "mb-chain-happy")
GOLDEN = Path(__file__).with_name("golden_digest.txt").read_text().strip()
PROCESSES = 50
AT_A_TIME = 2


def _in_a_process(hash_seed: int, *words: str) -> str:
    script = CHECKOUT / "tests" / "support" / "chain_digest.py"
    done = subprocess.run(
        [sys.executable, str(script), *words],
        env=environment(PYTHONHASHSEED=str(hash_seed)),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def test_both_chains_give_the_digest_that_is_kept_with_the_tests() -> None:
    assert chain_digest(0, *CHAINS) == GOLDEN, "what is said on the wire has changed: see the head of this file"


@pytest.mark.slow
@pytest.mark.timeout(300)  # half a minute on two idle cores; a machine that is busy may need more
def test_fifty_processes_with_hashes_of_their_own_give_one_digest() -> None:
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        digests = list(pool.map(lambda number: _in_a_process(number, "0", *CHAINS), range(PROCESSES)))
    assert len(digests) == PROCESSES
    assert set(digests) == {chain_digest(0, *CHAINS)}


@pytest.mark.slow
def test_the_whole_library_gives_one_digest_in_two_processes() -> None:
    first, second = (_in_a_process(hash_seed, "3") for hash_seed in (1, 4711))
    assert first == second


def test_another_seed_gives_another_digest() -> None:
    assert len({chain_digest(seed, *CHAINS) for seed in range(4)}) == 4


def test_a_bench_leaves_nothing_behind_that_the_next_one_would_see() -> None:
    chain, other = find(["mb-chain-happy"])[0], find(["vag-token-replay"])[0]
    alone = run_one(chain, seed=5).digest
    run_one(other, seed=6)
    assert run_one(chain, seed=5).digest == alone


def test_neither_the_witness_nor_a_kept_trace_changes_what_happens(tmp_path: Path) -> None:
    (chain,) = find(["vag-chain-happy"])
    digest = run_one(chain, seed=5).digest
    assert run_one(chain, seed=5, trace_dir=tmp_path).digest == digest
    with Bench(seed=5, vehicle=chain.vehicle, witness=False) as unwatched:
        play(chain, unwatched.stage)
        assert unwatched.trace.digest() == digest
