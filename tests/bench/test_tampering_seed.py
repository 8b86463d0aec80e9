"""Keys for a seed that went wrong on purpose: each is wrong in one thing alone, and what cannot go wrong with a key is said."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.bench import Bench
from bench.tampering_seed import SEED_TAMPERING, spoil_key
from scenarios.stage import TamperKind
from scenarios.strategy import Goal
from vci_driver.outcome import UnlockFailed
from wire.errors import LocalMisuse
from wire.portal_api import RequestUnlock, UnlockKind
from wire.seed_key import compute_key
from wire.signed_seed import SeedRequest

ALWAYS = {TamperKind.TRUNCATE, TamperKind.GARBAGE, TamperKind.REPLAY}
IMPOSSIBLE = sorted(set(TamperKind) - set(SEED_TAMPERING) - ALWAYS)


def logged_in() -> Bench:
    bench = Bench(vehicle="mb-cclass", seed=5)
    bench.strategy.reach("logged-in", Goal())
    return bench


@pytest.mark.parametrize("kind", SEED_TAMPERING)
def test_a_spoiled_key_is_refused_and_the_next_one_opens(kind: TamperKind) -> None:
    with logged_in() as bench:
        bench.portal.tamper(kind)
        with pytest.raises(UnlockFailed) as failed:
            bench.tester().unlock("gateway")
        short = kind is TamperKind.OTHER_ALGORITHM
        assert failed.value.report.cause.response.code == (0x13 if short else 0x35)
        last = bench.car.unit("gateway").gate.log.records[-1]
        assert (last.decision, last.reason) == (("request", last.reason) if short else ("refused", "signature"))
        assert bench.tester().unlock("gateway").ok


@pytest.mark.parametrize("kind", IMPOSSIBLE)
def test_what_a_key_cannot_say_cannot_be_spoiled(kind: TamperKind) -> None:
    """A key is a signature: it has no dates, no role, no scope, no certificate."""
    with logged_in() as bench:
        bench.portal.tamper(kind)
        with pytest.raises(LocalMisuse, match=rf"tamper {kind.value}: cannot happen .*flip-bit"):
            bench.tester().unlock("gateway")


def test_a_key_of_another_algorithm_is_what_a_tester_could_make_without_a_back_end() -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    seed = SeedRequest(level=9, seed=bytes(range(1, 33)))
    request = RequestUnlock(
        session="",
        kind=UnlockKind.SIGNED_SEED,
        make="mercedes",
        vin="W1KZZZ2050A000001",
        ecu_address=0x20,
        role=2,
        scope=1,
        challenge=seed.encode(),
    )
    made = spoil_key(TamperKind.OTHER_ALGORITHM, key, request)
    assert made == compute_key("hmac-sha256-8", seed.seed, key.public_key().public_bytes_raw(), 9)
    assert len(made) == 8
