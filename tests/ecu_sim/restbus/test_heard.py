"""What a unit makes of frames: values while they are fresh and sound, nothing otherwise; and it can say why."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecu_sim.restbus.heard import TIMEOUT_CYCLES, HeardVehicle, Reception
from ecu_sim.restbus.message import CyclicMessage, Signal
from ecu_sim.vehicle_state import CONDITIONS, SOURCES, VehicleState, VehicleView
from wire.uds import Nrc

MS = 1_000_000
CYCLE = 50 * MS
SPEED = Signal(name="speed", shift=16, size_bits=16, scale=0.01, source="speed_kmh")
MESSAGE = CyclicMessage(
    name="M",
    can_id=0x240,
    size=4,
    cycle_ns=CYCLE,
    node="A",
    signals={"speed": SPEED},
    counter=Signal(name="count", shift=8, size_bits=4),
    checksum_at=0,
)


def frame(speed_kmh: float, count: int) -> bytes:
    return MESSAGE.encode({"speed": SPEED.to_raw(speed_kmh)}, count)


def listener() -> tuple[Reception, HeardVehicle]:
    reception = Reception(MESSAGE)
    return reception, HeardVehicle(VehicleState(), (), (reception,))


def test_a_value_is_known_from_the_first_good_frame_until_five_cycles_after_the_last() -> None:
    reception, view = listener()
    assert view.read("speed_kmh", 0) is None
    reception.take(frame(87.5, 3), 10 * MS)
    assert view.read("speed_kmh", 10 * MS) == 87.5
    assert view.read("speed_kmh", 10 * MS + TIMEOUT_CYCLES * CYCLE) == 87.5
    assert view.read("speed_kmh", 10 * MS + TIMEOUT_CYCLES * CYCLE + 1) is None


@pytest.mark.parametrize(
    ("data", "says", "counted"),
    [
        (b"\x00" + frame(10, 1)[1:], "checksum wrong", "wrong_checksums"),
        (frame(10, 0), "counter stands at 0", "repeated"),
        (frame(10, 1)[:3], "3 bytes instead of 4", "too_short"),
        (b"", "0 bytes instead of 4", "too_short"),
    ],
)
def test_an_unsound_frame_says_nothing_is_counted_and_does_not_keep_the_old_value_alive(
    data: bytes, says: str, counted: str
) -> None:
    reception, view = listener()
    reception.take(frame(50, 0), 0)
    reception.take(data, 100 * MS)
    assert view.read("speed_kmh", 100 * MS) == 50
    assert (reception.fault, getattr(reception, counted), reception.good) == (says, 1, 1)
    assert view.read("speed_kmh", 251 * MS) is None
    assert view.status("speed_kmh", 251 * MS) == f"speed_kmh: M.speed not heard for 251 ms ({says})"


def test_a_counter_that_jumps_lost_frames_and_the_one_that_came_is_good() -> None:
    reception, view = listener()
    for count in (14, 15, 0, 3):
        reception.take(frame(count, count), 0)
    assert (reception.good, reception.lost, reception.repeated) == (4, 2, 0)
    assert view.read("speed_kmh", 0) == 3
    assert view.status("speed_kmh", 0) == "speed_kmh: M.speed heard"


def test_bytes_beyond_the_message_do_not_matter() -> None:
    reception, view = listener()
    reception.take(frame(5, 0) + b"\xff" * 4, 0)
    assert view.read("speed_kmh", 0) == 5


def test_after_a_restart_nothing_is_known_and_any_counter_is_the_first() -> None:
    reception, view = listener()
    reception.take(frame(5, 7), 0)
    reception.forget()
    assert view.read("speed_kmh", 0) is None
    assert view.status("speed_kmh", 0) == "speed_kmh: M.speed never heard"
    reception.take(frame(6, 7), 0)
    assert view.read("speed_kmh", 0) == 6


def test_an_unprotected_message_is_good_whenever_it_is_long_enough() -> None:
    bare = Reception(replace(MESSAGE, counter=None, checksum_at=None))
    for _ in range(3):
        bare.take(b"\x00\x00\x64\x00", 0)
    assert (bare.good, bare.repeated, bare.wrong_checksums) == (3, 0, 0)


def test_what_no_message_carries_is_unknown_and_the_own_supply_is_measured() -> None:
    _, view = listener()
    assert view.read("odometer_km", 0) is None
    assert view.status("odometer_km", 0) == "odometer_km: no message on this bus carries it"
    assert view.read("supply_mv", 0) == 12_600
    assert view.status("supply_mv", 0) == "supply_mv: measured by the unit itself"


def test_who_tells_a_value_knows_it_himself() -> None:
    state = VehicleState()
    state.speed_kmh = 30
    assert HeardVehicle(state, (MESSAGE,), ()).read("speed_kmh", 0) == 30


def test_the_first_of_two_signals_with_one_source_is_the_one_that_is_asked() -> None:
    other = Reception(MESSAGE)
    first = Reception(MESSAGE)
    first.take(frame(1, 0), 0)
    other.take(frame(2, 0), 0)
    assert HeardVehicle(VehicleState(), (), (first, other)).read("speed_kmh", 0) == 1


ACTS = st.sampled_from(("good", "again", "lost", "broken", "short"))


@given(st.lists(st.tuples(ACTS, st.integers(0, 6 * CYCLE)), max_size=40))
def test_whatever_becomes_of_frames_a_value_is_the_last_good_one_or_none(acts: list[tuple[str, int]]) -> None:
    reception, view = listener()
    now_ns = count = 0
    last: tuple[int, int] | None = None
    for number, (act, later_ns) in enumerate(acts):
        now_ns += later_ns
        sound = frame(number, count)
        if act == "good":
            reception.take(sound, now_ns)
            last = (number, now_ns)
            count = (count + 1) % 16
        elif act == "again" and last is not None:
            reception.take(frame(number, (count - 1) % 16), now_ns)
        elif act == "broken":
            reception.take(sound[:3] + bytes((sound[3] ^ 0x10,)), now_ns)
        elif act == "short":
            reception.take(sound[:2], now_ns)
        fresh = last is not None and now_ns - last[1] <= TIMEOUT_CYCLES * CYCLE
        assert view.read("speed_kmh", now_ns) == (last[0] if fresh and last is not None else None)


# ---- what preconditions make of it


class Known:
    """A view that knows what it is given, and nothing else."""

    def __init__(self, **values: float | None) -> None:
        self.values = values

    def read(self, value: str, now_ns: int) -> float | None:
        return self.values.get(value)


CASES = [
    ("stationary", "speed_kmh", 0, 0),
    ("stationary", "speed_kmh", 0.4, Nrc.vehicleSpeedTooHigh),
    ("ignition", "terminal_15", 1, 0),
    ("ignition", "terminal_15", 0, Nrc.conditionsNotCorrect),
    ("engine-off", "engine_rpm", 0, 0),
    ("engine-off", "engine_rpm", 800, Nrc.engineIsRunning),
    ("engine-running", "engine_rpm", 800, 0),
    ("engine-running", "engine_rpm", 0, Nrc.engineIsNotRunning),
    ("bonnet-open", "bonnet_open", 1, 0),
    ("bonnet-open", "bonnet_open", 0, Nrc.conditionsNotCorrect),
    ("bonnet-closed", "bonnet_open", 0, 0),
    ("bonnet-closed", "bonnet_open", 1, Nrc.conditionsNotCorrect),
    ("coding-voltage", "supply_mv", 11_999, Nrc.voltageTooLow),
    ("coding-voltage", "supply_mv", 12_000, 0),
    ("coding-voltage", "supply_mv", 14_000, 0),
    ("coding-voltage", "supply_mv", 14_001, Nrc.voltageTooHigh),
]


@pytest.mark.parametrize(("name", "value", "known", "nrc"), CASES)
def test_a_condition_says_what_is_wrong_by_the_standards_code(name: str, value: str, known: float, nrc: int) -> None:
    view: VehicleView = Known(**{value: known})
    assert CONDITIONS[name](view, 0) == nrc


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_condition_on_something_unknown_does_not_hold(name: str) -> None:
    assert CONDITIONS[name](Known(), 0) == Nrc.conditionsNotCorrect


@pytest.mark.parametrize("name", CONDITIONS)
def test_every_condition_has_its_cases(name: str) -> None:
    assert {nrc == 0 for other, _, _, nrc in CASES if other == name} == {True, False}


def test_a_measured_value_that_is_unknown_is_all_ones_and_one_too_large_stands_at_its_end() -> None:
    assert {name: source(Known(), 0).hex() for name, source in SOURCES.items()} == {
        "odometer": "ffffff",
        "supply-voltage": "ffff",
        "speed": "ffff",
        "engine-speed": "ffff",
        "bonnet": "ff",
    }
    assert SOURCES["speed"](Known(speed_kmh=87.6), 0).hex() == "0058"
    assert SOURCES["odometer"](Known(odometer_km=20_000_000), 0).hex() == "ffffff"
