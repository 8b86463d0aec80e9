"""udsoncan's client in real time, over a bus of python-can, to a simulated unit in a thread of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from car_process import CAR, LONG, LONG_VALUE, MS, PATIENT, SESSION, SLOW, VIN, cable, profile, unit_on
from channel_pair import real_world
from udsoncan.exceptions import NegativeResponseException, TimeoutException
from udsoncan.services import DiagnosticSessionControl

from vci_driver.link import DiagnosticLink
from vci_driver.link_peer import LinkOptions
from vci_driver.registry import open_channel
from vci_driver.uds_connection import EcuClient, make_client
from wire.clock import stopwatch

pytestmark = pytest.mark.realtime
EXTENDED = DiagnosticSessionControl.Session.extendedDiagnosticSession
OPTIONS = LinkOptions(delta_p2_ns=5_000 * MS, isotp=PATIENT)
"""Patient where an answer is to come, whatever else the machine does."""


@pytest.fixture(params=["virtual", "udp_multicast"])
def channel(request: pytest.FixtureRequest) -> Iterator[tuple[str, dict[str, object]]]:
    return cable(request.param)


@pytest.fixture
def link(channel: tuple[str, dict[str, object]]) -> Iterator[DiagnosticLink]:
    with unit_on(*channel, profile()), real_world() as world:
        carrier = open_channel("python_can", *channel, world)
        yield DiagnosticLink(world, [carrier], CAR, OPTIONS)
        carrier.close()


@pytest.fixture
def engine(link: DiagnosticLink) -> EcuClient:
    return make_client(link, "engine")


def test_a_session_a_read_and_a_refusal(engine: EcuClient) -> None:
    assert engine.change_session(EXTENDED).service_data.session_echo == 3
    assert engine.read_data_by_identifier_first(VIN) == b"WVWZZZCDZSW000001"
    with pytest.raises(NegativeResponseException) as refused:
        engine.read_data_by_identifier(0x1234)
    assert refused.value.response.code == 0x31


def test_an_answer_and_a_request_of_4095_bytes(engine: EcuClient) -> None:
    assert engine.read_data_by_identifier_first(LONG) == LONG_VALUE
    other = LONG_VALUE[::-1]
    assert engine.write_data_by_identifier(LONG, other).positive
    assert engine.read_data_by_identifier_first(LONG) == other


def test_a_unit_that_needs_time_says_0x78_and_is_waited_for(engine: EcuClient, link: DiagnosticLink) -> None:
    passed = stopwatch()
    assert engine.read_data_by_identifier_first(SLOW) == b"\x05"
    assert passed() >= 0.19
    assert link.counters.pending >= 1


def test_many_requests_in_a_row_each_get_their_own_answer(engine: EcuClient, link: DiagnosticLink) -> None:
    for _ in range(50):
        assert engine.read_data_by_identifier_first(VIN) == b"WVWZZZCDZSW000001"
        assert engine.tester_present().positive
    assert (link.counters.late, link.counters.unsolicited, link.counters.unexpected) == (0, 0, 0)


@pytest.mark.parametrize("channel", ["virtual"], indirect=True)
def test_silence_ends_when_patience_ends_and_not_long_after(channel: tuple[str, dict[str, object]]) -> None:
    with real_world() as world:
        carrier = open_channel("python_can", *channel, world)
        link = DiagnosticLink(world, [carrier], CAR, LinkOptions(p2_ns=50 * MS, delta_p2_ns=25 * MS))
        passed = stopwatch()
        with pytest.raises(TimeoutException, match="'absent' did not answer") as error:
            make_client(link, "absent").tester_present()
        assert 0.07 <= passed() < 5
        assert 75 * MS <= error.value.waited_ns < 5_000 * MS
        carrier.close()


@pytest.mark.parametrize("channel", ["virtual"], indirect=True)
def test_a_functional_request_is_answered_by_who_is_there(channel: tuple[str, dict[str, object]]) -> None:
    with unit_on(*channel, profile()), real_world() as world:
        carrier = open_channel("python_can", *channel, world)
        link = DiagnosticLink(world, [carrier], CAR, replace(OPTIONS, delta_p2_ns=950 * MS))
        assert link.send_functional(b"\x3e\x00") == [("engine", b"\x7e\x00")]
        carrier.close()


@pytest.mark.slow
@pytest.mark.parametrize("channel", ["virtual"], indirect=True)
@pytest.mark.parametrize(("keep_alive", "session"), [(True, 3), (False, 1)])
def test_the_keep_alive_keeps_a_session_that_ends_without_it(
    channel: tuple[str, dict[str, object]], keep_alive: bool, session: int
) -> None:
    with unit_on(*channel, profile(s3_ns=1_000 * MS)), real_world() as world:
        carrier = open_channel("python_can", *channel, world)
        link = DiagnosticLink(world, [carrier], CAR, replace(OPTIONS, keep_alive_ns=100 * MS))
        engine = make_client(link, "engine")
        engine.change_session(EXTENDED)
        link.keep_alive(on=keep_alive)
        world.run_for(1_500 * MS)
        assert engine.read_data_by_identifier_first(SESSION) == bytes((session,))
        carrier.close()
