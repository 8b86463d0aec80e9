"""Scenarios run unchanged with the portal behind a real HTTP server, in virtual time: its clock follows the bench's world."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from http_server import serving

from bench.bench import Bench
from bench.bench_file import VIRTUAL, BenchSpec, PortalSpec
from bench.runner import run_one
from portal_sim.key_files import save_keys
from portal_sim.keys import BackendKeys, make_keys
from portal_sim.options import CHEAP_COST, PortalOptions
from portal_sim.portal import Portal
from portal_sim.web.app import make_app
from scenarios.library import find
from scenarios.model import Scenario
from scenarios.play import Status
from vci_driver.portal_http import CONTROL_TOKEN
from wire.clock import VIRTUAL_EPOCH_UTC_S
from wire.entropy import SeededEntropy
from wire.errors import NotOnThisCarrier

TOKEN = "control-token-of-the-test"
QUICK = (
    "portal-attempts-run-out",
    "portal-code-used-twice",
    "portal-company-revoked",
    "portal-not-entitled",
    "portal-second-factor-reset",
    "portal-throttled",
    "portal-two-testers-one-code",
    "portal-user-disassociated",
)
SCENARIOS = [each for each in find([]) if each.name not in QUICK][::8]
"""All of them take minutes: what is about the portal is played anyway."""


@pytest.fixture(scope="module")
def keys() -> BackendKeys:
    return make_keys(SeededEntropy(random.Random(7)), VIRTUAL_EPOCH_UTC_S)


@pytest.fixture(scope="module")
def keys_folder(keys: BackendKeys, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("portal") / "keys"
    save_keys(folder, keys)
    return folder


@contextmanager
def served(keys: BackendKeys, folder: Path | None, monkeypatch: pytest.MonkeyPatch) -> Iterator[BenchSpec]:
    """Yield a bench in virtual time whose portal is a new one at a URL."""
    portal = Portal(
        entropy=SeededEntropy(random.Random(1)),
        keys=keys,
        review_rng=random.Random(2),
        options=PortalOptions(cost=CHEAP_COST),
    )
    monkeypatch.setenv(CONTROL_TOKEN, TOKEN)
    with serving(make_app(portal, lambda: VIRTUAL_EPOCH_UTC_S, control_token=TOKEN)) as url:
        yield replace(VIRTUAL, name="portal at a URL", portal=PortalSpec(url=url, keys_folder=folder))


def play_over_http(scenario: Scenario, keys: BackendKeys, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(keys, folder, monkeypatch) as spec:
        run = run_one(scenario, seed=1, file=spec)
    assert run.played.status is Status.PASSED, run.played.reason
    assert run.played.violations == ()


@pytest.mark.parametrize("name", QUICK)
def test_what_is_about_the_portal_passes_over_http_as_it_does_in_process(
    name: str, keys: BackendKeys, keys_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (scenario,) = find([name])
    play_over_http(scenario, keys, keys_folder, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
def test_one_in_eight_of_the_library_passes_over_http(
    scenario: Scenario, keys: BackendKeys, keys_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play_over_http(scenario, keys, keys_folder, monkeypatch)


def test_a_bench_without_the_keys_of_its_portal_says_what_it_cannot_spoil(
    keys: BackendKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(keys, None, monkeypatch) as spec, Bench(file=spec) as bench, pytest.raises(NotOnThisCarrier) as refused:
        _ = bench.backend.keys
    assert "keys_folder" in str(refused.value)


def test_a_bench_without_the_control_token_reaches_the_door_alone(
    keys: BackendKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(keys, None, monkeypatch) as spec:
        monkeypatch.delenv(CONTROL_TOKEN)
        with Bench(file=spec) as bench:
            assert bench.portal.controls is False
            with pytest.raises(NotOnThisCarrier):
                bench.stage.revoke_company("manager")
