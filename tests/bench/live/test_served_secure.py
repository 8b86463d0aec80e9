"""A served car opens for its own back end's tokens alone, and nothing of a grant outlives its reason."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from served_car import Served, eventually, paced_file, served

from bench.bench import Bench
from bench.bench_file import BenchSpec, load_bench
from bench.live.places import keys_file
from portal_sim.keys import key_set_of, make_keys
from scenarios.stage import VehicleChange
from vci_driver.api import ChannelLost
from vci_driver.outcome import UnlockFailed
from wire.clock import VIRTUAL_EPOCH_UTC_S
from wire.entropy import SeededEntropy
from wire.key_set import read_key_set, save_key_set
from wire.world import World

pytestmark = pytest.mark.realtime
HOLDERS = [("vag-golf", "cluster"), ("mb-eclass", "gateway")]
VIRTUAL_CAN = """\
title: Over python-can's virtual bus
car: {{at: served, control: car.sock}}
buses: {{obd: {{driver: python_can, channel: {channel}, options: {{interface: virtual}}}}}}
tester: {{driver: python_can, channel: {channel}, options: {{interface: virtual}}, delta_p2: 5 s}}
portal: {{keys: set.json}}
"""


@pytest.fixture
def spec(tmp_path: Path) -> BenchSpec:
    path = paced_file(tmp_path, more="portal: {keys: set.json}\n")
    path.write_text(path.read_text().replace("paced: true", "paced: true, control: car.sock"))
    return load_bench(str(path))


@contextlib.contextmanager
def at_the_car(spec: BenchSpec, vehicle: str) -> Iterator[Bench]:
    """A bench whose technician is logged in, with the gateway's filter out of the way."""
    with Bench(file=spec, vehicle=vehicle) as bench:
        bench.car.change(VehicleChange(bonnet_open=True))
        bench.tester(technician="validated").login()
        yield bench


def locks(car: Served) -> list[str]:
    state = car.ask("state")
    assert isinstance(state, dict)
    return [unit["lock"] for unit in state["units"] if unit["lock"] is not None]


@pytest.mark.parametrize(("vehicle", "holder"), HOLDERS)
def test_the_right_keys_open_it_and_after_put_nothing_of_that_stands(
    spec: BenchSpec, vehicle: str, holder: str
) -> None:
    with served(spec, keys=keys_file(spec)) as car:
        with at_the_car(spec, vehicle) as bench:
            bench.tester().unlock(holder)
            assert bench.car.grant_ident(holder) is not None
            assert "open" in locks(car)
        car.call("put", vehicle=vehicle)
        assert set(locks(car)) == {"locked"}
        assert car.call("grant_ident", name=holder) is None
        with Bench(file=spec, vehicle=vehicle) as bench:
            assert bench.tester().unlock_state(holder).locked


@pytest.mark.parametrize(("vehicle", "holder"), HOLDERS)
@pytest.mark.parametrize("known", ["none", "other", "missing"])
def test_a_car_without_the_back_ends_keys_opens_for_nobody(
    spec: BenchSpec, tmp_path: Path, vehicle: str, holder: str, known: str
) -> None:
    elsewhere = tmp_path / "elsewhere.json"
    if known == "other":
        save_key_set(elsewhere, key_set_of(make_keys(SeededEntropy(World().rng("keys")), VIRTUAL_EPOCH_UTC_S)))
    with served(spec, keys=None if known == "none" else str(elsewhere)) as car, at_the_car(spec, vehicle) as bench:
        with pytest.raises(UnlockFailed):
            bench.tester().unlock(holder)
        assert bench.tester().unlock_state(holder).locked
        assert bench.car.grant_ident(holder) is None
        assert set(locks(car)) == {"locked"}
        assert bench.findings().violations == ()


def test_a_revocation_ends_a_certificates_grant_that_stands_on_a_served_car(spec: BenchSpec) -> None:
    with served(spec, keys=keys_file(spec)) as car, at_the_car(spec, "mb-eclass") as bench:
        report = bench.tester().unlock("gateway")
        assert "open" in locks(car)
        assert report.audit_id is not None
        bench.backend.operators.revoke_unlock(report.audit_id, bench.world.utc_s())
        bench.publish_keys()
        assert set(locks(car)) == {"locked"}
        assert bench.tester().unlock_state("gateway").locked
        assert bench.car.grant_ident("gateway") is None


def test_a_carrier_that_is_lost_grants_nothing_and_keeps_no_grant_from_ending(tmp_path: Path) -> None:
    path = tmp_path / "virtual-can.yaml"
    path.write_text(VIRTUAL_CAN.format(channel=f"secure-{os.getpid()}"))
    spec = load_bench(str(path))
    with served(spec, keys=keys_file(spec)) as car, at_the_car(spec, "mb-eclass") as bench:
        report = bench.tester().unlock("gateway")
        assert report.audit_id is not None
        (channel,) = car.server._channels.values()
        car.server.world.post(lambda: channel.on_fault(ChannelLost("the cable was cut")))
        assert eventually(lambda: any("nothing is granted meanwhile" in line for line in car.said))
        assert any("the cable was cut" in text for text in car.ask("state")["faults"])
        opened = locks(car).count("open")
        assert opened == 1, "the unit's own clock goes on, and so does its grant"
        bench.backend.operators.revoke_unlock(report.audit_id, bench.world.utc_s())
        bench.publish_keys()
        assert locks(car).count("open") == 0
        car.server.world.post(lambda: car.server._on_recovered("obd"))
        assert eventually(lambda: any("works again" in line for line in car.said))
        assert locks(car).count("open") == 0


def test_secrets_stand_in_no_log_no_state_and_no_file_of_public_keys(spec: BenchSpec) -> None:
    with served(spec, keys=keys_file(spec)) as car, at_the_car(spec, "vag-golf") as bench:
        bench.tester().unlock("cluster")
        person = bench.person()
        session = bench.tester().core.portal.session
        assert session is not None
        assert person.authenticator is not None
        told = "\n".join([*car.said, json.dumps(car.ask("state")), Path(keys_file(spec)).read_text()])
        for secret in (person.password, session.token, person.authenticator._totp.secret):
            assert secret
            assert secret not in told
        assert "PRIVATE" not in told
        assert person.password not in repr(person.__dict__.get("authenticator"))
        known = read_key_set(Path(keys_file(spec)).read_text(), "")
        assert known == bench.backend.key_set()
