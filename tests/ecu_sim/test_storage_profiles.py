"""Sections memory, files and flash of a profile: what is wrong is said with its place."""

import pytest
from storage_unit import PROFILE, TEXT, changed, unit

from ecu_sim.profile_file import read_profile
from ecu_sim.storage.options import MemoryOptions
from wire.errors import ConfigError
from wire.strict_yaml import loads
from wire.uds import Nrc

WITHOUT_FLASH = TEXT[: TEXT.index("flash:")]
RAM = "{address: 0x1000, size: 256, kind: ram, fill: 0,"
BLOCK_2 = "{number: 2, region: calibration, version: {at: 0, length: 4}}"


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("kind: ram", "kind: rom", "unknown value 'rom'"),
        ("size: 256, kind: ram", "size: 0, kind: ram", "from 1 to"),
        ("address: 0x1000, size: 256", "address: 0xFFFFFFFF, size: 2", "does not end before FFFFFFFF"),
        (RAM, "{address: 0x1000, size: 0x101, kind: ram, fill: 0,", "overlaps 'ram'"),
        (RAM, RAM + " colour: 1,", "unknown key 'colour'"),
        ("{at: 4, hex", "{at: 255, hex", "end behind the region"),
        ('{at: 4, hex: "CA FE"}', '{at: 4, hex: "CA FE", text: "no"}', "one of text, hex"),
        ('{at: 4, hex: "CA FE"}', '{at: 4, text: "é"}', "expected ASCII"),
        ("alignment: 8", "alignment: 8\n      write:", "flash is not written byte by byte"),
        ("formats: [0x44", "formats: [0x05", "1 to 4 bytes each"),
        ("max_block_length: 130", "max_block_length: 2", "from 3 to 4095"),
        ("max_block_length: 130", "during_transfer: wait", "unknown value 'wait'"),
        ("max_block_length: 130", "busy_nrc: generalReject", "unknown value 'generalReject'"),
        ("{1: zlib}", "{1: lzma}", "unknown value 'lzma'"),
        ("{1: zlib}", "{10: zlib}", "one hex digit from 1 to F"),
        ("exit_answer: crc-32", "exit_answer: md5", "unknown value 'md5'"),
        ("write: {security: 0x11}\n    slow", "write: {security: 0x13}\n    slow", "no level 13 under 'security'"),
        ("/secret: {read: {security: 0x11}", "/secret: {read: {security: 0x13}", "no level 13 under 'security'"),
        ("/sealed: {}", "sealed: {}", "expected an absolute path"),
        ("/sealed: {}", "/se/../aled: {}", "expected an absolute path"),
        ("/sealed: {}", "/sealed: {list: }", "unknown key 'list'"),
        ("/log/trace.txt: {", "/lag/trace.txt: {", "no directory under 'directories' holds '/lag/trace.txt'"),
        ('{text: "engine started"}', '{text: "engine started", hex: ""}', "one of text, hex"),
        ("capacity: 1000", "capacity: 15", "have 16 bytes already"),
        ("number: 2, region: calibration", "number: 1, region: calibration", "belong to one block alone"),
        ("number: 2, region: calibration", "number: 2, region: application", "belong to one block alone"),
        ("number: 2, region: calibration", "number: 2, region: ram", "region of kind flash"),
        ("number: 2, region: calibration", "number: 2, region: calibratoin", "did you mean 'calibration'"),
        (BLOCK_2, "{number: 2, region: calibration, version: {at: 0xFE, length: 4}}", "does not end within the region"),
        ("fingerprint: 0xF15A", "fingerprint: 0xF15B", "no F15B under 'dids'"),
        ("dtc: 0xD00001", "dtc: 0xD00002", "no D00002 under 'dtcs'"),
        ("same_version: true", "checksum: crc-16", "unknown value 'crc-16'"),
        ("same_version: true", "erase_by: sector", "unknown value 'sector'"),
        ("conditions: [stationary]}\n  boot", "conditions: [parked]}\n  boot", "unknown value 'parked'"),
        ("F189: {version_of: application}", "F189: {version_of: aplication}", "no block with a version under 'flash'"),
        ("F189: {version_of: application}", "F189: {version_of: application, write: }", "cannot be written"),
        ("F189: {version_of: application}", "F189: {version_of: application, text: x}", "exactly one of"),
        ("FF00: {act: erase-memory,", "FF00: {act: erase,", "unknown value 'erase'"),
        ("FF00: {act: erase-memory,", "FF00: {act: erase-memory, option_len: 1,", "of its own"),
        ("    sessions: [1, 2]", "    sessions: [2]", "session 1, the default session"),
        ("    sessions: [1, 2]", "    sessions: [1, 2]\n    gate: {scheme: sfd}", "unknown key 'gate'"),
    ],
)
def test_what_is_wrong_is_said(old: str, new: str, problem: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        changed(TEXT, old, new)
    assert problem in str(wrong.value), str(wrong.value)
    assert wrong.value.line


def test_the_line_is_that_of_the_mistake() -> None:
    with pytest.raises(ConfigError) as wrong:
        changed(TEXT, "kind: ram", "kind: rom")
    assert wrong.value.line == line_of(TEXT, "kind: ram")
    assert wrong.value.key == "memory.regions.ram.kind"


@pytest.mark.parametrize(
    ("kept", "problem"),
    [
        ("F189: {version_of: application}", "there are: none"),
        ('"0404": {source: programming-state}', "no 'flash' to tell the state of"),
        ("FF00: {act: erase-memory}", "no 'flash' to work on"),
    ],
)
def test_what_tells_of_software_needs_software(kept: str, problem: str) -> None:
    text = WITHOUT_FLASH
    start, end = text.index("  F189"), text.index("dtcs:")
    section = f"routines:\n  {kept}\n" if "act" in kept else f"  {kept}\n"
    with pytest.raises(ConfigError, match=problem):
        read_profile(loads(text[:start] + section + text[end:]), "storage")


def test_software_has_blocks_and_its_memory() -> None:
    with pytest.raises(ConfigError, match="at least one block"):
        read_profile(loads(WITHOUT_FLASH + "flash: {blocks: {}}"), "storage")
    without_memory = TEXT[: TEXT.index("memory:")] + TEXT[TEXT.index("flash:") :]
    with pytest.raises(ConfigError):
        read_profile(loads(without_memory), "storage")


def test_the_boot_loader_is_the_same_unit_with_sections_of_its_own() -> None:
    loader = PROFILE.boot_loader
    assert loader is not None
    assert loader.boot_loader is None
    assert (loader.request_id, loader.memory, loader.security) == (PROFILE.request_id, PROFILE.memory, PROFILE.security)
    assert set(loader.dids) == {0xF187, 0xF15A, 0x0404}
    assert loader.flash is not None
    assert loader.flash.programming.enter_from == frozenset()
    assert PROFILE.flash is not None
    assert PROFILE.flash.programming.enter_from == frozenset((3,))


def test_what_the_boot_loader_has_of_its_own_is_kept_too() -> None:
    text = TEXT.replace("      F187: {text: BOOT}", '      F187: {text: BOOT}\n      "0900": {hex: "07", write: {}}')
    text = text.replace("    sessions: [1, 2]", "    sessions: [1, 2, 3]")
    ecu = unit(read_profile(loads(text), "storage"))
    assert ecu.server.memory.data[0x0900] == b"\x07"
    assert ecu.ask("22 09 00").startswith("7F"), "the application knows nothing of it"


def test_a_profile_without_these_sections_has_none_of_it() -> None:
    text = TEXT[: TEXT.index("  F189")] + TEXT[TEXT.index("dtcs:") : TEXT.index("memory:")]
    profile = read_profile(loads(text), "storage")
    assert profile.memory == MemoryOptions()
    assert (profile.files, profile.flash, profile.boot_loader) == (None, None, None)
    assert profile.memory.busy_nrc == Nrc.conditionsNotCorrect
