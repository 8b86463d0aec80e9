"""The contract of every raw channel (`vci_driver.contract`), on each driver and carrier that this machine has."""

from __future__ import annotations

import gc

import pytest
from contract_rows import ROWS

from vci_driver.contract import CHECKS, Check, Verdict, run_check
from vci_driver.registry import open_channel
from wire.can_bus import CanBus
from wire.world import World

ROW_PARAMS = [
    pytest.param(
        name,
        marks=[
            *([] if name == "virtual" else [pytest.mark.realtime]),
            *([pytest.mark.vcan] if "vcan" in name else []),
        ],
    )
    for name in ROWS
]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
@pytest.mark.parametrize("row", ROW_PARAMS)
def test_the_driver_keeps_the_contract(row: str, check: Check) -> None:
    with ROWS[row]() as setup:
        result = run_check(setup, check)
    gc.collect()  # python-can leaves the socket of an interface that is not there to the collector
    if result.verdict is Verdict.SKIPPED:
        pytest.skip(result.reason)
    assert result.verdict is Verdict.PASSED, f"{check.proves} {result.reason}"


def test_every_check_has_a_name_of_its_own_and_a_sentence() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    assert all(check.proves.endswith(".") and "\n" not in check.proves for check in CHECKS)


def test_a_channel_names_its_driver_or_interface_and_its_channel() -> None:
    world = World()
    assert open_channel("virtual", "obd", {"bus": CanBus(world, "obd")}, world).name == "virtual:obd"
    with ROWS["python-can virtual"]() as setup:
        assert setup.one.channel.startswith("pair-")
