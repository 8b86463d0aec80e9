"""The sections of a profile that say how outputs, periodic values, events and the like behave, and what is wrong in them."""

from __future__ import annotations

import pytest

from ecu_sim.profile import EcuProfile
from ecu_sim.profile_file import load_profile, read_profile
from wire.errors import ConfigError
from wire.strict_yaml import loads
from wire.token import Scope

BASE = """\
title: unit
address: 1
request_id: 0x714
response_id: 0x77E
sessions: [1, 2, 3]
services: {10: , 22: , 83: }
edition: 2013
dids:
  F190: {text: WVWZZZCDZSW000001}
  F201: {source: speed}
"""
GOOD = """\
outputs:
  "0B01":
    name: pointer
    value: "00 00"
    default: "00 01"
    highest: "01 04"
    parts: [4, 12]
    options: [return, adjust]
    access: {sessions: [3], scope: output_tests}
  "0B02": {value: "01"}
scaling:
  F201: [{unsigned: 2}, {formula: 0, constants: [0.75, -30]}, {unit: 0x30}]
  F190: [{ascii: 15}, {ascii: 2}]
  "0B02": [{masked: "7F"}, {state-and-connection: 0x11}]
periodic: {transport: uudt, can_ids: [0x6E0], rates: {slow: 2 s, fast: 10 ms}, scheduled: 4, at_once: 2, room: 6}
definitions: {kept: true, count: 3, pieces: 4}
events: {windows: {3: 1 s, "20": 1 min}, rates: {slow: 3 s}, sample: 50 ms, respond: [0x22]}
link: {bitrates: [250000, 500000], programming: 1000000, switch: 5 ms}
communication: {subnets: [1, 14], nodes: [0x000A]}
session_rules:
  "02": {from: [3], access: {scope: parametrisation}, p2: 100 ms, p2_star: 10 s}
power_down_time: 15 s
timing_limits: {p2: 25 ms, p2_star: 200 ms}
"""


def profile(text: str = BASE + GOOD) -> EcuProfile:
    return read_profile(loads(text, "unit.yaml"), "unit")


def test_every_section_is_read() -> None:
    unit = profile()
    pointer, plain = unit.outputs[0x0B01], unit.outputs[0x0B02]
    assert (pointer.default, pointer.highest, pointer.parts) == (b"\x00\x01", b"\x01\x04", (4, 12))
    assert (pointer.options, pointer.access.scope) == ({0, 3}, Scope.OUTPUT_TESTS)
    assert (plain.value, plain.default, plain.options, plain.mask_len) == (b"\x01", b"\x00", {0, 1, 2, 3}, 0)
    assert unit.scaling[0xF201] == bytes.fromhex("02 95 00 E0 4B 0F E2 A1 30")
    assert unit.scaling[0xF190] == b"\x6f\x62"
    assert unit.scaling[0x0B02] == bytes.fromhex("21 7F B1 11")
    assert unit.periodic.periods_ns == {1: 2_000_000_000, 3: 10_000_000}
    assert (unit.periodic.transport, unit.periodic.can_ids, unit.periodic.room) == ("uudt", (0x6E0,), 6)
    assert (unit.definitions.kept, unit.definitions.count) == (True, 3)
    assert unit.events.windows_ns == {3: 1_000_000_000, 0x20: 60_000_000_000}
    assert unit.events.respond == {0x22}
    assert (unit.link.bitrates, unit.link.programming) == ({250_000, 500_000}, 1_000_000)
    assert (unit.communication.subnets, unit.communication.nodes) == ({1, 14}, {0x0A})
    assert unit.session_rules[2].entered_from == {3}
    assert unit.session_rules[2].p2_ns == 100_000_000
    assert (unit.power_down_s, unit.timing_limits.p2_ns) == (15, 25_000_000)


def test_what_is_left_out_is_as_the_standard_has_it() -> None:
    unit = profile(BASE)
    assert unit.outputs == unit.scaling == unit.session_rules == {}
    assert unit.periodic.transport == "usdt"
    assert not unit.definitions.kept
    assert unit.power_down_s is None
    assert profile(BASE + "power_down_time: unknown\n").power_down_s == 0xFF
    assert profile(BASE + "periodic: {}\nevents: {}\ndefinitions: {}\ntiming_limits: {}\n") == unit


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('value: "00 00"', 'value: ""', "1 to 64 bytes"),
        ('default: "00 01"', 'default: "00"', "expected 2 bytes"),
        ("parts: [4, 12]", "parts: [4, 13]", "17 bits are more"),
        ("options: [return, adjust]", "options: [adjust]", "'return' is among them"),
        ("options: [return, adjust]", "options: [hold]", "unknown value"),
        ('  "0B02": {value: "01"}', '  "F201": {value: "01"}', "stands under 'dids' too"),
        ("  F201: [{unsigned", "  F202: [{unsigned", "no identifier F202"),
        ("[{ascii: 15}, {ascii: 2}]", "[]", "at least one entry"),
        ("{ascii: 15}", "{ascii: 17}", "from 0 to 15"),
        ("{unit: 0x30}", "{unit: 0x30, unsigned: 1}", "of one kind"),
        ("{unit: 0x30}", "{unit: 0x30, constants: [1]}", "has 'constants'"),
        ("constants: [0.75, -30]", "constants: []", "1 to 7 constants"),
        ("constants: [0.75, -30]", "constants: [0.123456]", "does not fit two bytes"),
        ('{masked: "7F"}', '{masked: ""}', "1 to 15 bytes"),
        ("can_ids: [0x6E0], ", "", "name 'can_ids'"),
        ("transport: uudt, ", "", "need none"),
        ("can_ids: [0x6E0]", "can_ids: [0x714]", "are all different"),
        ("fast: 10 ms", "fast: 1 us", "from 1 ms"),
        ("room: 6", "room: 8", "from 1 to 7"),
        ("windows: {3: 1 s,", "windows: {2: 1 s,", "infinite"),
        ("windows: {3: 1 s,", "windows: {3: 0 s,", "sees nothing"),
        ("sample: 50 ms", "sample: 1 us", "from 1 ms"),
        ("respond: [0x22]", "respond: [0xBB]", "no service BB"),
        ("bitrates: [250000, 500000], ", "", "missing key 'bitrates'"),
        ("subnets: [1, 14]", "subnets: [0]", "from 1 to 14"),
        ('  "02": {from', '  "05": {from', "no session 05"),
        ("from: [3]", "from: [3, 9]", "no session 09"),
        ('  "02": {from', '  "01": {from', "from everywhere"),
        ("access: {scope: parametrisation}", "access: {sessions: [3]}", "said by 'from'"),
        ("access: {scope: parametrisation}", "access: {security: 3}", "no level 03"),
        ("power_down_time: 15 s", "power_down_time: 1500 ms", "whole seconds"),
        ("power_down_time: 15 s", "power_down_time: 255 s", "0 s to 254 s"),
        ("timing_limits: {p2: 25 ms", "timing_limits: {p2: 5 ms", "from 20 ms"),
        ("p2_star: 10 s", "p2_star: 1 ms", "from 20 ms"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_what_to_do(old: str, new: str, words: str) -> None:
    assert GOOD.count(old) == 1
    with pytest.raises(ConfigError) as raised:
        profile(BASE + GOOD.replace(old, new))
    assert words in str(raised.value)
    assert str(raised.value).startswith("unit.yaml:")


@pytest.mark.parametrize("edition", ["", "edition: 2020\n"])
def test_service_83_is_of_the_2013_edition(edition: str) -> None:
    with pytest.raises(ConfigError, match="'edition: 2013'"):
        profile(BASE.replace("edition: 2013\n", edition))


@pytest.mark.parametrize("name", ["vag/cluster", "vag/engine", "vag/central-electrics", "mercedes/engine"])
def test_shipped_units_offer_what_is_natural_for_them(name: str) -> None:
    unit = load_profile(name)
    assert unit.outputs or 0x2A in unit.services
    for output in unit.outputs.values():
        assert output.access.scope is Scope.OUTPUT_TESTS
        assert output.access.conditions == ("stationary",)
