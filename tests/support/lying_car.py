"""A bench with a car that can be made to lie, for tests of the witness and of what the bench does with its findings."""

from __future__ import annotations

import random

import pytest

from bench.bench import Bench, WitnessViolation
from scenarios.stage import VehicleChange
from scenarios.strategy import Goal
from vci_driver.portal_client import UnlockWish
from vci_driver.unlocking import CertificateScheme
from wire.diag_cert import prove_ownership
from wire.entropy import SeededEntropy
from wire.manual_flow import TOKEN, decode_text
from wire.portal_api import UnlockKind
from wire.token import ALL_SCOPES, Role

GOLF, ECLASS = "vag-golf", "mb-eclass"
NO_GRANT, OUTLIVED = "answered without a grant", "a grant outlived its window"
CAME_THROUGH, BEHIND = "a blocked request came through", "answered behind an armed filter"
LEVEL_OPENED, NOT_ISSUED = "security level opened without a grant", "grant without an issued unlock"


def on_bench(vehicle: str) -> Bench:
    return Bench(seed=3, vehicle=vehicle)


def rules(bench: Bench) -> set[str]:
    """The rules that were broken; closing the bench fails for them, if for any."""
    found = {violation.rule for violation in bench.car.witness.violations}
    if found:
        with pytest.raises(WitnessViolation, match="|".join(found)):
            bench.close()
    else:
        bench.close()
    return found


def change(bench: Bench, **values: object) -> None:
    bench.car.change(VehicleChange(**values))


def ask(bench: Bench, unit: str, request: str) -> bytes:
    return bench.tester().core.link.request(unit, bytes.fromhex(request))


def unlocked(bench: Bench, holder: str) -> None:
    """Through the whole chain, honestly."""
    bench.strategy.reach("unlocked", Goal(ecu=holder))
    if bench.car.spec.make == "vag":
        change(bench, bonnet_open=True)
    assert rules(bench) == set()


def open_level(bench: Bench, unit: str) -> None:
    """Opens SecurityAccess without a word on the bus."""
    bench.car.unit(unit).server.state.open_level = 3


def open_for_ever(bench: Bench, unit: str) -> None:
    """From now on the unit's gate keeps the grant that it has, or says yes without one."""
    gate = bench.car.unit(unit).gate
    kept = gate.grant(bench.world.now_ns)
    gate.grant = lambda now_ns: kept
    gate.allows = lambda scope, now_ns: True
    gate.next_deadline = lambda: None


# ---- unlocks by hand, each request as its sender wants it: with the suppress bit, a second time, or to another unit


def token_for(bench: Bench, unit: str) -> str:
    """The token that the back end signs for the unit, over its request of now."""
    core = bench.tester().core
    return decode_text(TOKEN, core.sign_request(core.export_request(unit)))[1].hex()


class ByHand:
    """A certificate of the back end's for the gateway, shown and proven by hand."""

    def __init__(self, bench: Bench, **wish: object) -> None:
        self.bench = bench
        self.scheme = CertificateScheme(SeededEntropy(random.Random(4)))
        self.public_key = self.scheme.challenge(None)
        asked = {
            "kind": UnlockKind.CERTIFICATE,
            "make": "mercedes",
            "vin": bench.car.spec.vin,
            "ecu_address": 0x20,
            "role": Role.AFTER_SALES,
            "scope": int(ALL_SCOPES),
            "challenge": self.public_key,
        }
        self.unlock = bench.tester().core.portal.request_unlock(UnlockWish(**asked | wish))

    def proof(self) -> str:
        """What follows `29 03`, over the challenge of a certificate that was shown just now."""
        chain = self.unlock.payload
        ask(self.bench, "gateway", "10 03")
        answer = ask(self.bench, "gateway", f"29 01 00 {len(chain):04x} {chain.hex()} 00 00")
        assert answer[:3] == bytes.fromhex("69 01 11")
        proof = prove_ownership(self.scheme._private_key, answer[5:-2], self.bench.car.spec.vin, 0x20)
        return f" {len(proof):04x} {proof.hex()} 00 00"
