"""The car as a tester knows it before it is plugged in: what a map may say, and what is refused when it is made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vci_driver.car_map import CarMap, EcuEntry, SeedKey, UnknownEcu, UnlockScheme
from wire.errors import LocalMisuse
from wire.frame import EXTENDED

GATEWAY = EcuEntry(name="gateway", address=0x19, request_id=0x710, response_id=0x77A, scheme=UnlockScheme.CERTIFICATE)
CLUSTER = EcuEntry(name="cluster", address=0x17, request_id=0x714, response_id=0x77E, lock_holder="gateway")
ENGINE = EcuEntry(name="engine", address=0x01, request_id=0x7E0, response_id=0x7E8)
CAR = CarMap(make="vag", gateway="gateway", functional_id=0x700, ecus=(GATEWAY, CLUSTER, ENGINE))


def test_units_are_found_by_name_in_the_map_s_order() -> None:
    assert CAR.names == ("gateway", "cluster", "engine")
    assert CAR.ecu("engine") is ENGINE


def test_a_unit_that_is_not_there_is_told_with_one_that_sounds_like_it() -> None:
    with pytest.raises(UnknownEcu, match=r"'vag' has no control unit 'enigne'.*'engine'"):
        CAR.ecu("enigne")
    with pytest.raises(UnknownEcu):
        CAR.holder_of("attic")


def test_a_lock_is_held_by_the_unit_itself_or_by_the_one_that_it_names() -> None:
    assert CAR.holder_of("gateway") is GATEWAY
    assert CAR.holder_of("cluster") is GATEWAY
    assert CAR.holder_of("engine") is ENGINE


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ecus": (GATEWAY, CLUSTER, replace(ENGINE, name="cluster"))}, "names a control unit twice"),
        ({"ecus": (GATEWAY, CLUSTER, replace(ENGINE, request_id=0x714))}, "'cluster' and 'engine' share .* 0x714"),
        ({"ecus": (GATEWAY, CLUSTER, replace(ENGINE, response_id=0x714))}, "'cluster' and 'engine' share .* 0x714"),
        ({"ecus": (CLUSTER, ENGINE)}, "no control unit 'gateway'"),
        ({"gateway": "attic"}, "no control unit 'attic'"),
        ({"vin_sources": ("engine", "attic")}, "no control unit 'attic'"),
        ({"ecus": (GATEWAY, replace(CLUSTER, lock_holder="attic"), ENGINE)}, "no control unit 'attic'"),
    ],
)
def test_a_map_that_contradicts_itself_is_refused_when_it_is_made(changes: dict[str, object], says: str) -> None:
    with pytest.raises(LocalMisuse, match=says):
        replace(CAR, **changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"request_id": 0x800}, "0x800"),
        ({"response_id": 0x2000_0000 | EXTENDED}, "identifier"),
        ({"response_id": -1}, "identifier"),
        ({"address": 0x1_0000}, "does not fit two bytes"),
        ({"address": -1}, "does not fit two bytes"),
        ({"response_id": 0x7E0}, "request and response identifier are both 0x7e0"),
    ],
)
def test_a_unit_that_cannot_be_reached_is_refused_when_it_is_made(changes: dict[str, int], says: str) -> None:
    with pytest.raises(LocalMisuse, match=says):
        replace(ENGINE, **changes)


def test_two_buses_may_use_the_same_identifiers_and_29_bits_are_no_11_bits() -> None:
    other_bus = replace(ENGINE, name="other", port=1)
    long = replace(ENGINE, name="long", request_id=0x7E0 | EXTENDED, response_id=0x7E8 | EXTENDED)
    assert replace(CAR, ecus=(GATEWAY, ENGINE, other_bus, long)).names == ("gateway", "engine", "other", "long")


def test_a_secret_is_not_shown_when_a_map_is_printed() -> None:
    entry = replace(ENGINE, security={3: SeedKey(algorithm="rotate-xor-4", secret=b"very secret")})
    assert "very secret" not in repr(replace(CAR, ecus=(GATEWAY, CLUSTER, entry)))
