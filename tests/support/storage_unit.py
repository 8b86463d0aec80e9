"""A control unit with RAM, EEPROM, flash in two blocks and a file system, as a profile file would describe it.

`Programmer` goes the way of a flash process step by step, so that a test can stop anywhere.
"""

import zlib
from collections.abc import Iterator
from typing import Any

from ecu_bench import Ecu

from ecu_sim.profile import EcuProfile
from ecu_sim.profile_file import read_profile
from wire.strict_yaml import loads

APPLICATION, CALIBRATION = 0x0010_0000, 0x0020_0000
APPLICATION_SIZE, CALIBRATION_SIZE = 0x400, 0x100
TEXT = """
title: storage
address: 0x5F
request_id: 0x773
response_id: 0x7DD
functional_ids: [0x700]
sessions: [1, 2, 3]
services: {10: , 11: , 14: , 19: , 22: , 23: , 27: , 28: , 2E: , 31: , 34: , 35: , 36: , 37: , 38: , 3D: , 3E: , 85: }
dids:
  F187: {text: APPLICATION}
  F189: {version_of: application}
  F15A: {hex: "00 00 00", write: {sessions: [2]}}
  "0404": {source: programming-state}
routines:
  FF00: {act: erase-memory, access: {sessions: [2], security: 0x11}}
  "0202": {act: check-memory, access: {sessions: [2], security: 0x11}}
  FF01: {act: check-dependencies, access: {sessions: [2], security: 0x11}}
dtcs:
  D00001: {name: software incomplete, status: 0x00}
security:
  "11": {algorithm: hmac-sha256-8, secret: "00 01 02 03", sessions: [2, 3]}
memory:
  formats: [0x44, 0x24, 0x12]
  max_block_length: 130
  compressions: {1: zlib}
  exit_answer: crc-32
  regions:
    ram: {address: 0x1000, size: 256, kind: ram, fill: 0, read: , write: {sessions: [3]}, download: {sessions: [2, 3]}, upload: }
    eeprom:
      address: 0x1100
      size: 256
      kind: eeprom
      contents: [{at: 4, hex: "CA FE"}]
      read: {security: 0x11}
      write: {security: 0x11}
    slow: {address: 0x3000, size: 0x400, kind: eeprom, read: , write: , download: , program_per_kib: 1 s}
    application:
      address: 0x100000
      size: 0x400
      kind: flash
      contents: [{at: 0, text: "0001"}]
      read: {sessions: [2, 3]}
      upload: {sessions: [2], security: 0x11}
      download: {sessions: [2], security: 0x11, conditions: [coding-voltage]}
      alignment: 8
      erase_per_kib: 12 s
      program_per_kib: 80 ms
    calibration:
      address: 0x200000
      size: 0x100
      kind: flash
      contents: [{at: 0, text: "0001"}]
      download: {sessions: [2], security: 0x11}
files:
  capacity: 1000
  max_path: 40
  max_files: 6
  directories:
    /: {read: }
    /log: {read: , write: {sessions: [3]}}
    /secret: {read: {security: 0x11}, write: {security: 0x11}}
    /sealed: {}
  contents:
    /log/trace.txt: {text: "engine started"}
    /secret/key: {hex: "00 01"}
flash:
  blocks:
    application: {number: 1, region: application, version: {at: 0, length: 4}}
    calibration: {number: 2, region: calibration, version: {at: 0, length: 4}}
  fingerprint: 0xF15A
  dtc: 0xD00001
  same_version: true
  programming: {enter_from: [3], dtc_setting_off: true, communication_off: true, conditions: [stationary]}
  boot_loader:
    services: {10: , 11: , 19: , 22: , 27: , 2E: , 31: , 34: , 36: , 37: , 3E: }
    sessions: [1, 2]
    dids:
      F187: {text: BOOT}
      F15A: {hex: "00 00 00", write: {sessions: [2]}}
      "0404": {source: programming-state}
    programming: {}
"""
PROFILE: EcuProfile = read_profile(loads(TEXT), "storage")


def changed(text: str, old: str, new: str) -> EcuProfile:
    """Return the unit with one place of its file changed."""
    assert old in text, old
    return read_profile(loads(text.replace(old, new)), "storage")


def unit(profile: EcuProfile = PROFILE, **changes: Any) -> Ecu:
    """Return the unit at rest."""
    return Ecu(profile, **changes)


def image(version: str, size: int = APPLICATION_SIZE) -> bytes:
    """Return a block's contents: its version, then bytes that differ from place to place."""
    return version.encode("ascii") + bytes((at * 7 + 3) & 0xFF for at in range(size - 4))


class Programmer:
    """Programs one unit. A step is one request; `steps` are all of them, to stop after any."""

    def __init__(self, ecu: Ecu, version: str = "0002") -> None:
        self.ecu = ecu
        self.blocks = (
            (1, APPLICATION, image(version)),
            (2, CALIBRATION, image(version, CALIBRATION_SIZE)),
        )

    def ask(self, request: str | bytes) -> str:
        """Send, and wait until the work is done; return the last answer."""
        text = request.hex(" ") if isinstance(request, bytes) else request
        first = self.ecu.ask(text)
        while self.ecu.server.busy:
            due_ns = self.ecu.server.next_deadline()
            assert due_ns is not None
            first = ([first] + [answer for _, answer in self.ecu.run_for(due_ns - self.ecu.now_ns)])[-1]
        return first

    def enter(self) -> None:
        """Reach the programming session with its level open, from the application or the boot loader."""
        if self.ecu.ask("22 F1 87").endswith("42 4F 4F 54"):
            assert self.ask("10 02").startswith("50 02")
        else:
            for request in ("10 03", "85 02", "28 03 01", "10 02"):
                assert not self.ask(request).startswith("7F"), request
        self.ecu.open_level(0x11)

    def requests(self, *, per_block: int = 128) -> Iterator[bytes]:
        """Yield every request of the flash process behind `enter`."""
        yield bytes.fromhex("2E F1 5A 26 01 02")
        for number, address, data in self.blocks:
            yield bytes.fromhex("31 01 FF 00") + bytes((number,))
            yield b"\x34\x00\x44" + address.to_bytes(4, "big") + len(data).to_bytes(4, "big")
            for counter, at in enumerate(range(0, len(data), per_block), start=1):
                yield bytes((0x36, counter & 0xFF)) + data[at : at + per_block]
            yield b"\x37"
            yield bytes.fromhex("31 01 02 02") + bytes((number,)) + zlib.crc32(data).to_bytes(4, "big")
        yield bytes.fromhex("31 01 FF 01")

    def run(self, steps: int | None = None) -> None:
        """Do the first steps, or all."""
        self.enter()
        for done, request in enumerate(self.requests()):
            if done == steps:
                return
            answer = self.ask(request)
            assert answer.startswith(f"{request[0] + 0x40:02X}"), (request.hex(" "), answer)
            assert request[0] != 0x31 or answer.endswith("00"), (request.hex(" "), answer)
