"""cantools, which wrote none of our tables, reads every frame that the rest bus sends, and writes every frame that it hears."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import cantools
import pytest
from cantools.database.can import Database
from dbc_text import dbc_text
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import Bench, VehicleChange
from ecu_sim.restbus.dbc import FOLDER, load_dbc
from ecu_sim.restbus.message import CyclicMessage
from scenarios.stage import RestBusChange
from wire.can_bus import CanBus
from wire.frame import Frame

pytestmark = pytest.mark.judge("cantools")
SHIPPED = {"vag-golf": "vag", "mb-eclass": "mercedes", "mb-cclass": "mercedes"}
SEEN_AS = {
    "vag": {
        "speed_kmh": ("Fahrt_01", "Tempo"),
        "engine_rpm": ("Motor_01", "Drehzahl"),
        "bonnet_open": ("Karosserie_01", "Haube_offen"),
        "supply_mv": ("Karosserie_01", "Bordspannung"),
        "odometer_km": ("Kombi_01", "Kilometerstand"),
        "terminal_15": ("Klemmen_Status_01", "Kl_15"),
    },
    "mercedes": {
        "speed_kmh": ("VEH_SPEED", "SPEED"),
        "engine_rpm": ("ENG_STAT", "RPM"),
        "bonnet_open": ("BODY_STAT", "HOOD_OPEN"),
        "supply_mv": ("BODY_STAT", "U_BATT"),
        "odometer_km": ("ODO", "KM"),
        "terminal_15": ("IGN_STAT", "IGN_ON"),
    },
}


def read_by_cantools(path: Path) -> Database:
    database: Any = cantools.database.load_file(path)
    return database


def crc8_bit_by_bit(data: bytes) -> int:
    """CRC-8, polynomial 0x07, start 0xFF, as the comment in the DBC says it."""
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x107) if crc & 0x80 else crc << 1
    return crc


@pytest.mark.parametrize("vehicle", SHIPPED)
def test_every_frame_on_every_bus_says_what_was_set_counts_to_15_and_sums_up(vehicle: str) -> None:
    database = read_by_cantools(FOLDER / f"{SHIPPED[vehicle]}.dbc")
    messages = {message.frame_id: message for message in database.messages}
    with Bench(seed=5, vehicle=vehicle) as bench:
        frames: dict[tuple[str, int], list[tuple[int, Frame]]] = {}

        def see(now_ns: int, bus: CanBus, frame: Frame, _: str) -> None:
            frames.setdefault((bus.name, frame.can_id), []).append((now_ns, frame))

        for bus in bench.car.buses.values():  # type: ignore[attr-defined]
            bus.tap(see)
        change = VehicleChange(
            speed_kmh=87, engine_rpm=2250, bonnet_open=True, supply_mv=13_777, kilometres_driven=1000
        )
        bench.car.change(change)
        state = bench.car.state  # type: ignore[attr-defined]
        bench.car.change_rest_bus(RestBusChange(on=True))
        bench.sleep(seconds=18)

        inner = [bus.name for bus in bench.car.spec.buses[1:]]
        assert set(frames) == {(bus, can_id) for bus in inner for can_id in messages}
        for (_, can_id), seen in frames.items():
            message = messages[can_id]
            counter, checksum = (str(message.dbc.attributes[key].value) for key in ("SgwCounter", "SgwChecksum"))
            decoded = [message.decode(frame.data) for _, frame in seen]
            assert [each[counter] for each in decoded] == list(
                itertools.islice(itertools.cycle(range(16)), len(decoded))
            )
            for (_, frame), values in zip(seen, decoded, strict=True):
                assert values[checksum] == crc8_bit_by_bit(can_id.to_bytes(2, "big") + frame.data[1:])
            assert len(seen) == pytest.approx(18_000 / message.cycle_time, abs=1)
        for value, (name, signal) in SEEN_AS[SHIPPED[vehicle]].items():
            message = database.get_message_by_name(name)
            last = frames["body", message.frame_id][-1][1].data
            assert message.decode(last)[signal] == getattr(state, value), value


# ---- any signal, at any place


def places(data: st.DataObject, *, big_endian: bool, first_bit: int, last_bit: int) -> list[str]:
    """Cut a row of bits into signals, and write each as a DBC does."""
    lines, at = [], first_bit
    while at < last_bit:
        size = data.draw(st.integers(1, last_bit - at))
        start = at // 8 * 8 + 7 - at % 8 if big_endian else at
        sign = data.draw(st.sampled_from("+-"))
        scale = data.draw(st.sampled_from(("1", "0.01", "0.25", "10", "-2")))
        offset = data.draw(st.sampled_from(("0", "-40", "1000")))
        lines.append(f' SG_ S{at} : {start}|{size}@{int(not big_endian)}{sign} ({scale},{offset}) [0|0] "" B')
        at += size
    return lines


@st.composite
def dbcs(draw: st.DrawFn) -> str:
    data = draw(st.data())
    middle = 8 * data.draw(st.integers(0, 8))
    big_first = data.draw(st.booleans())
    lines = places(data, big_endian=big_first, first_bit=0, last_bit=middle)
    lines += places(data, big_endian=not big_first, first_bit=middle, last_bit=64)
    return dbc_text("\n".join(("BO_ 256 M: 8 A", *lines)))


@given(text=dbcs(), data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_signal_of_any_byte_order_and_sign_is_written_and_read_as_cantools_does(
    text: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("dbc") / "any.dbc"
    path.write_text(text)
    theirs = read_by_cantools(path).get_message_by_name("M")
    (ours,) = load_dbc(path)
    raw = {name: data.draw(st.integers(*signal.raw_range), label=name) for name, signal in ours.signals.items()}
    frame = ours.encode(raw, 0)
    assert theirs.decode(frame, scaling=False) == raw
    assert frame == theirs.encode(raw, scaling=False, strict=False)
    for name, signal in ours.signals.items():
        assert signal.raw_of(frame) == raw[name]
        assert signal.to_physical(raw[name]) == theirs.decode(frame)[name]


@pytest.mark.parametrize("name", sorted(set(SHIPPED.values())))
def test_what_cantools_writes_is_heard_as_it_was_meant(name: str) -> None:
    database = read_by_cantools(FOLDER / f"{name}.dbc")
    ours: dict[str, CyclicMessage] = {message.name: message for message in load_dbc(FOLDER / f"{name}.dbc")}
    for message in database.messages:
        values = {signal.name: 1 for signal in message.signals}
        data = message.encode(values)
        for signal in ours[message.name].signals.values():
            assert signal.to_physical(signal.raw_of(data)) == 1, signal
