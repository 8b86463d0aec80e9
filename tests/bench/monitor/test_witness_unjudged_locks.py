"""The witness and locks that it has no rules for where they stand: it accuses nobody for them, and names them as unjudged."""

from __future__ import annotations

from pathlib import Path

import pytest
from lying_car import CAME_THROUGH, ECLASS, GOLF, ask, change, on_bench, rules, unlocked

from bench.bench import Bench
from bench.vehicle_file import FOLDER, vehicle_names
from ecu_sim.unlock.certificate import CertificateGate
from ecu_sim.unlock.gate import Grant
from sgw_sim.arming import FilterArming, Observation
from wire.errors import ConfigError
from wire.token import ALL_SCOPES

WRITE, MOVE = "2E F1 99 26 11 23", "31 01 02 03"
BY_BROKER = "{scheme: challenge-response}"
NO_RULES = "has no rules for"


def with_lock(folder: Path, vehicle: str, profile: str, gate: str) -> Bench:
    """A shipped vehicle, one unit with another lock."""
    (folder / "unit.yaml").write_text(f"extends: {profile}\nservices: {{29: }}\ngate: {gate}\n")
    (folder / "car.yaml").write_text((FOLDER / f"{vehicle}.yaml").read_text().replace(profile, "unit.yaml"))
    return on_bench(str(folder / "car.yaml"))


def open_by_broker(bench: Bench, unit: str) -> None:
    """As a tester of one's own opens it, with a key that the unit knows: the back end's audit log has nothing of that."""
    gate = bench.car.unit(unit).gate
    gate._grant = Grant(scheme="challenge-response", role=2, scope=ALL_SCOPES, ident="00", since_ns=0)
    gate._until_ns = bench.world.now_ns + 600 * 10**9


def no_rules(bench: Bench) -> list[str]:
    return [spot for spot in bench.findings().blind_spots if NO_RULES in spot]


def test_an_honest_gateway_by_challenge_response_is_not_accused_and_is_named(tmp_path: Path) -> None:
    bench = with_lock(tmp_path, ECLASS, "mercedes/gateway", BY_BROKER)
    open_by_broker(bench, "gateway")
    for unit in ("gateway", "brakes"):
        ask(bench, unit, "10 03")
        assert ask(bench, unit, MOVE)[0] == 0x71
    assert no_rules(bench) == [
        "whether the lock of gateway is open: the witness has no rules for challenge-response there"
    ]
    assert rules(bench) == set()


def test_a_unit_of_its_own_lock_behind_a_certificate_gateway_is_named_and_the_gateway_still_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CertificateGate, "allows", lambda self, scope, now_ns: True)
    bench = with_lock(tmp_path, ECLASS, "mercedes/brakes", BY_BROKER)
    (line,) = no_rules(bench)
    assert "the lock of brakes" in line
    ask(bench, "cluster", "10 03")
    ask(bench, "cluster", WRITE)
    assert CAME_THROUGH in rules(bench)


def test_a_unit_by_challenge_response_behind_a_filter_is_named_and_the_filter_still_judged(tmp_path: Path) -> None:
    bench = with_lock(tmp_path, GOLF, "vag/cluster", BY_BROKER)
    change(bench, bonnet_open=True)
    open_by_broker(bench, "cluster")
    ask(bench, "cluster", "10 03")
    assert ask(bench, "cluster", MOVE)[0] == 0x71
    (line,) = no_rules(bench)
    assert "the lock of cluster" in line
    change(bench, bonnet_open=False, kilometres_driven=25)
    bench.car.gateway.arming = FilterArming(Observation(bonnet_open=False, odometer_km=0))
    ask(bench, "engine", "11 01")
    assert CAME_THROUGH in rules(bench)


@pytest.mark.parametrize("vehicle", vehicle_names())
def test_every_lock_of_a_shipped_vehicle_is_judged(vehicle: str) -> None:
    assert no_rules(on_bench(vehicle)) == []


def test_units_with_rules_go_on_being_judged_beside_one_without(tmp_path: Path) -> None:
    bench = with_lock(tmp_path, GOLF, "vag/cluster", BY_BROKER)
    unlocked(bench, "brakes")
    bench.car.unit("brakes").gate.allows = lambda scope, now_ns: True
    bench.sleep(minutes=95)
    ask(bench, "brakes", "10 03")
    ask(bench, "brakes", MOVE)
    assert rules(bench) == {"a grant outlived its window"}


def test_no_vehicle_file_has_a_make_that_the_witness_does_not_know(tmp_path: Path) -> None:
    (tmp_path / "car.yaml").write_text((FOLDER / f"{ECLASS}.yaml").read_text().replace("mercedes\n", "fca\n", 1))
    with pytest.raises(ConfigError, match="fca"):
        on_bench(str(tmp_path / "car.yaml"))
