"""Trouble codes and their memories in a profile's file: every key is read, every mistake is named with its place."""

from pathlib import Path

import pytest

from ecu_sim.dtc_options import Debounce, DtcMemoryOptions, ExtendedRecord, RecordKind, SettingType, SnapshotRecord
from ecu_sim.profile import EcuProfile
from ecu_sim.profile_file import load_profile
from wire.errors import ConfigError

UNIT = """\
title: unit
address: 1
request_id: 0x700
response_id: 0x701
sessions: [1, 3]
services: {14: , 19: , 85: }
dids:
  F190: {text: VIN}
  "0286": {source: supply-voltage}
"""
CODES = """\
dtcs:
  "029900":
    name: boost pressure
    status: 0x08
    stays: true
    severity: check-at-next-halt
    class: 1
    functional_unit: 0x11
    functional_group: 0x33
    readiness_group: 2
    memory: 0x10
    mirrored: false
    permanent: true
    warning: true
    confirm_after: 2
    heal_after: 4
    age_after: 20
    priority: 3
    debounce: {step_up: 10, step_down: 20, jump: false}
    snapshots: {"03": {dids: [0xF190], keep: last}}
    extended: {"91": fault-detection-counter}
    monitor: supply-voltage-low
  "030000": {status: 0x50}
dtc_memory:
  status_availability: 0x7F
  severity_availability: 0xE0
  format: sae-j2012-00
  obd_format: sae-j1939-73
  entries: 4
  mirror_entries: 0
  displacement: oldest
  operation_cycle: supply
  store_at: confirmed
  ends_with_record: true
  user_memories: [0x10]
  groups: {"000000": powertrain, "C00000": network}
  snapshots: {"01": {dids: [0xF190, 0x0286]}}
  extended: {"01": occurrence-counter}
  setting_types: {"40": {on: false, groups: [0x029900, 0xFFFF33, 0xC00000]}, "60": {on: true}}
  setting_option: groups
  writes_from_mv: 9000
"""


def read(text: str, folder: Path) -> EcuProfile:
    (folder / "unit.yaml").write_text(text)
    return load_profile("unit.yaml", folder)


def test_every_key_of_a_trouble_code_and_of_its_memory_is_read(tmp_path: Path) -> None:
    profile = read(UNIT + CODES, tmp_path)
    boost, plain = profile.dtcs
    assert (boost.code, boost.name, boost.status, boost.stays) == (0x029900, "boost pressure", 0x08, True)
    assert (boost.severity, boost.functional_unit, boost.functional_group, boost.readiness_group) == (
        0x42,
        0x11,
        0x33,
        2,
    )
    assert (boost.memory, boost.mirrored, boost.permanent, boost.warning) == (0x10, False, True, True)
    assert (boost.confirm_after, boost.heal_after, boost.age_after, boost.priority) == (2, 4, 20, 3)
    assert boost.debounce == Debounce(step_up=10, step_down=20, jump=False)
    assert boost.snapshots == (SnapshotRecord(number=3, dids=(0xF190,), keep="last"),)
    assert boost.extended == (ExtendedRecord(number=0x91, kind=RecordKind.FAULT_DETECTION_COUNTER),)
    assert boost.monitor == "supply-voltage-low"
    assert (plain.severity, plain.memory, plain.snapshots, plain.extended, plain.debounce) == (
        0,
        None,
        None,
        None,
        Debounce(),
    )
    assert profile.dtc_memory == DtcMemoryOptions(
        status_availability=0x7F,
        severity_availability=0xE0,
        format=0,
        obd_format=2,
        entries=4,
        mirror_entries=0,
        displacement="oldest",
        operation_cycle="supply",
        store_at="confirmed",
        ends_with_record=True,
        user_memories=frozenset((0x10,)),
        groups={0: 0, 0xC00000: 3},
        snapshots=(SnapshotRecord(number=1, dids=(0xF190, 0x0286)),),
        extended=(ExtendedRecord(number=1, kind=RecordKind.OCCURRENCE_COUNTER),),
        setting_types={
            0x40: SettingType(on=False, groups=(0x029900, 0xFFFF33, 0xC00000)),
            0x60: SettingType(on=True),
        },
        setting_option="groups",
        writes_from_mv=9_000,
    )


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    assert read(UNIT, tmp_path).dtc_memory == DtcMemoryOptions()
    assert read(UNIT + "dtc_memory: {}\n", tmp_path).dtc_memory == DtcMemoryOptions()
    partly = read(UNIT + 'dtcs: {"030000": {status: 0x50, debounce: {}, class: 0, monitor: crash}}\n', tmp_path).dtcs[0]
    assert (partly.debounce, partly.severity) == (Debounce(), 0x01)


@pytest.mark.parametrize(
    ("good", "bad", "key", "problem"),
    [
        ("    stays: true", "    stay: true", "dtcs.029900.stay", "did you mean 'stays'"),
        ("status: 0x08", "name2: 1", "dtcs.029900.name2", "unknown key"),
        ("status: 0x50", "name: sensor", "dtcs.030000", "missing key 'status'"),
        ("check-at-next-halt", "check-at-next-exit", "dtcs.029900.severity", "check-at-next-halt"),
        ("class: 1", "class: 5", "dtcs.029900.class", "from 0 to 4"),
        ("functional_group: 0x33", "functional_group: 0xFF", "dtcs.029900.functional_group", "from 0 to 254"),
        ("memory: 0x10", "memory: 0x11", "dtcs.029900.memory", "user_memories'; there are: 16"),
        ("  user_memories: [0x10]\n", "", "dtcs.029900.memory", "there are: none"),
        ("confirm_after: 2", "confirm_after: 0", "dtcs.029900.confirm_after", "from 1 to 255"),
        ("step_up: 10", "step_up: 0", "dtcs.029900.debounce.step_up", "from 1 to 255"),
        ("jump: false", "jumps: false", "dtcs.029900.debounce.jumps", "did you mean 'jump'"),
        ('"03": {dids', '"00": {dids', "dtcs.029900.snapshots.00", "from 01 to FE"),
        ('"03": {dids', '"FF": {dids', "dtcs.029900.snapshots.FF", "from 0 to FE"),
        ("dids: [0xF190], keep", "dids: [0xF191], keep", "dtcs.029900.snapshots.03.dids[0]", "no identifier F191"),
        ("dids: [0xF190], keep", "dids: [], keep", "dtcs.029900.snapshots.03.dids", "from 1 to 255 identifiers"),
        ("keep: last", "keep: all", "dtcs.029900.snapshots.03.keep", "first"),
        ('{"91": fault', '{"F0": fault', "dtcs.029900.extended.F0", "from 0 to EF"),
        ("fault-detection-counter", "fault-counter", "dtcs.029900.extended.91", "fault-detection-counter"),
        ("monitor: supply-voltage-low", "monitor: supply-low", "dtcs.029900.monitor", "supply-voltage-low"),
        ("format: sae-j2012-00", "format: sae-j2012", "dtc_memory.format", "sae-j2012-0"),
        ("entries: 4", "entries: 0", "dtc_memory.entries", "from 1 to 1000"),
        ("displacement: oldest", "displacement: newest", "dtc_memory.displacement", "oldest"),
        ("store_at: confirmed", "stored_at: confirmed", "dtc_memory.stored_at", "did you mean 'store_at'"),
        ('"000000": powertrain', '"FFFF00": powertrain', "dtc_memory.groups.FFFF00", "from 0 to FFFEFF"),
        ('C00000": network', 'C00000": comfort', "dtc_memory.groups.C00000", "network"),
        ('"40": {on', '"3F": {on', "dtc_memory.setting_types.3F", "from 40 to 5F"),
        ("{on: true}", "{}", "dtc_memory.setting_types.60", "missing key 'on'"),
        ("0xFFFF33, 0xC0", "0xFFFF34, 0xC0", "dtc_memory.setting_types.40.groups[1]", "no group or code FFFF34"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, good: str, bad: str, key: str, problem: str) -> None:
    assert good in CODES
    with pytest.raises(ConfigError) as error:
        read(UNIT + CODES.replace(good, bad, 1), tmp_path)
    assert str(error.value).startswith(f"{tmp_path}/unit.yaml:")
    assert f" {key}: " in str(error.value)
    assert problem in str(error.value)


def test_no_more_codes_are_stored_from_the_start_than_a_memory_has_places(tmp_path: Path) -> None:
    many = "".join(f'  "03{number:02X}00": {{status: 0x04}}\n' for number in range(3))
    with pytest.raises(ConfigError, match=r"dtcs\.030200: more codes are stored from the start than the 2 'entries'"):
        read(f"{UNIT}dtcs:\n{many}dtc_memory: {{entries: 2}}\n", tmp_path)
    assert read(f"{UNIT}dtcs:\n{many}dtc_memory: {{entries: 2, store_at: confirmed}}\n", tmp_path).dtcs


def test_a_boot_loader_keeps_the_units_trouble_codes_and_their_frames_with_identifiers_that_it_has_not(
    tmp_path: Path,
) -> None:
    frames = 'snapshots: {"01": {dids: [0x0286]}}'
    text = f"""{UNIT}dtcs: {{D10100: {{status: 0x00, {frames}}}}}
dtc_memory: {{{frames}}}
memory: {{formats: [0x44], regions: {{application: {{address: 0, size: 64, kind: flash}}}}}}
flash:
  blocks: {{application: {{number: 1, region: application}}}}
  dtc: 0xD10100
  boot_loader: {{dids: {{F187: {{text: BOOT}}}}}}
"""
    profile = read(text, tmp_path)
    assert profile.boot_loader is not None
    assert set(profile.boot_loader.dids) == {0xF187}
    assert (profile.boot_loader.dtcs, profile.boot_loader.dtc_memory) == (profile.dtcs, profile.dtc_memory)
    assert profile.dtcs[0].snapshots == profile.dtc_memory.snapshots


def test_shipped_units_have_the_trouble_codes_that_they_had() -> None:
    engine = load_profile("vag/engine")
    assert [(dtc.code, dtc.status) for dtc in engine.dtcs] == [(0x029900, 0x09), (0x030000, 0x08)]
    assert load_profile("mercedes/brakes").dtc_memory == DtcMemoryOptions()
