"""Who may enter a session and from where, its timing, resets, CommunicationControl, LinkControl, AccessTimingParameter."""

from typing import Any

import pytest
from acting_unit import CommunicationOptions, SessionRule, TimingLimits, acting
from ecu_bench import MS, SERVICES, Ecu, S, refused

from ecu_sim.profile import Access, ServiceRule
from ecu_sim.service_options import LinkOptions
from ecu_sim.vehicle_state import PowerEvent
from wire.token import Scope

# ---- 10 DiagnosticSessionControl


def test_a_session_is_entered_only_from_where_the_profile_says() -> None:
    ecu = Ecu(session_rules={2: SessionRule(entered_from=frozenset((2, 3)))})
    assert ecu.ask("10 02") == refused(0x10, 0x7E)
    assert ecu.ask("10 02", functional=True) == ""
    assert ecu.extended().ask("10 02").startswith("50 02")
    assert ecu.ask("10 02").startswith("50 02")
    assert ecu.ask("10 01").startswith("50 01")
    assert ecu.ask("10 02") == refused(0x10, 0x7E)


def locked_programming() -> Ecu:
    access = Access(security=3, scope=Scope.PARAMETRISATION, conditions=("stationary",))
    return Ecu(locked=True, session_rules={2: SessionRule(access=access)}).extended()


def test_a_session_may_ask_for_a_grant_a_level_and_conditions_in_this_order() -> None:
    ecu = locked_programming()
    assert ecu.gate is not None
    ecu.vehicle.speed_kmh = 10
    assert ecu.ask("10 02") == refused(0x10, 0x33)
    assert ecu.ask("10 02 00") == refused(0x10, 0x33)
    ecu.gate.opened = Scope.PARAMETRISATION
    assert ecu.ask("10 02") == refused(0x10, 0x33)
    ecu.open_level(3)
    assert ecu.ask("10 02 00") == refused(0x10, 0x13)
    assert ecu.ask("10 02") == refused(0x10, 0x88)
    ecu.vehicle.speed_kmh = 0
    assert ecu.ask("10 02").startswith("50 02")
    assert ecu.ask("10 03").startswith("50 03"), "others are free"


def test_the_nrc_of_a_locked_session_is_the_locks() -> None:
    rule = SessionRule(access=Access(scope=Scope.PARAMETRISATION))
    ecu = Ecu(locked=True, refusal_nrc=0x34, session_rules={2: rule})
    assert ecu.ask("10 02") == refused(0x10, 0x34)


def test_a_session_may_have_timing_of_its_own_which_is_told_and_kept() -> None:
    rules = {2: SessionRule(p2_ns=200 * MS, p2_star_ns=20 * S), 3: SessionRule(p2_ns=100 * MS)}
    ecu = Ecu(session_rules=rules)
    assert ecu.ask("10 01") == "50 01 00 32 01 F4"
    assert ecu.ask("10 03") == "50 03 00 64 01 F4"
    assert ecu.ask("10 02") == "50 02 00 C8 07 D0"
    assert ecu.ask("2E 07 00" + " 00" * 40) == ""
    assert [now_ns // MS for now_ns, text in ecu.run_for(11 * S) if text.endswith("78")] == [190]
    assert Ecu(session_rules=rules).ask("31 01 02 07") == ""


def test_the_timing_of_a_session_ends_with_it() -> None:
    ecu = Ecu(session_rules={3: SessionRule(p2_ns=100 * MS)}).extended()
    ecu.run_for(6 * S)
    assert ecu.server.timing.p2_ns == 50 * MS
    ecu.extended()
    ecu.ask("11 01")
    assert ecu.server.timing.p2_ns == 50 * MS


# ---- 11 ECUReset


def test_rapid_power_shut_down_is_switched_and_told_with_its_time() -> None:
    ecu = Ecu(power_down_s=15)
    assert ecu.ask("11 04") == "51 04 0F"
    assert ecu.server.state.rapid_power_down
    assert ecu.ask("11 05") == "51 05"
    assert not ecu.server.state.rapid_power_down
    assert Ecu(power_down_s=255).ask("11 04") == "51 04 FF"
    assert ecu.ask("11 04 00") == refused(0x11, 0x13)
    assert ecu.ask("22 F1 87").startswith("62"), "it resets nothing"


def test_without_it_the_sub_functions_do_not_exist_and_a_profile_may_restrict_the_rest() -> None:
    assert Ecu().ask("11 04") == refused(0x11, 0x12)
    services = {**SERVICES, 0x11: ServiceRule(sub_functions=frozenset((1, 4)))}
    ecu = Ecu(services=services, power_down_s=1)
    assert ecu.ask("11 03") == refused(0x11, 0x12)
    assert ecu.ask("11 05") == refused(0x11, 0x12)
    assert ecu.ask("11 04") == "51 04 01"


@pytest.mark.parametrize(("down_s", "back_ms"), [(15, 15_000), (0, 500), (255, 500)])
def test_with_it_on_the_unit_goes_down_with_terminal_15(down_s: int, back_ms: int) -> None:
    ecu = Ecu(power_down_s=down_s)
    ecu.ask("11 04")
    ecu.server.power(PowerEvent.TERMINAL_15_OFF, ecu.now_ns)
    ecu.run_for(back_ms * MS - 1)
    assert not ecu.server.reachable
    ecu.run_for(1)
    assert ecu.ask("22 F1 87").startswith("62")
    ecu.server.power(PowerEvent.TERMINAL_15_OFF, ecu.now_ns)
    assert ecu.server.reachable, "a restart forgets it"


# ---- 28 CommunicationControl

NETWORKS: dict[str, Any] = {
    "communication": CommunicationOptions(subnets=frozenset((1, 2)), nodes=frozenset((0x000A,)))
}


def test_what_was_switched_off_shows_in_the_units_own_words() -> None:
    ecu = Ecu().extended()
    state = ecu.server.state
    for control, sends, takes in ((1, False, True), (2, True, False), (3, False, False), (0, True, True)):
        ecu.ask(f"28 {control:02X} 01")
        assert (state.may_send_normal(), state.may_receive_normal()) == (sends, takes)
    ecu.ask("28 03 02")
    assert state.may_send_normal(), "network management alone was switched off"


def test_networks_and_nodes_are_controlled_one_by_one() -> None:
    ecu = Ecu(**NETWORKS).extended()
    state = ecu.server.state
    assert ecu.ask("28 01 11") == "68 01"
    assert (state.subnets, state.communication) == ({1: 1}, 0)
    assert ecu.ask("28 01 F1") == "68 01"
    assert state.communication == 1
    assert ecu.ask("28 04 01 00 0A") == "68 04"
    assert state.nodes == {0x0A: 4}
    assert ecu.ask("28 05 01 00 0A") == "68 05"
    assert ecu.ask("28 02 22") == "68 02"
    assert state.subnets == {1: 1}, "its network management is not modelled"


@pytest.mark.parametrize(
    ("request_", "nrc"),
    [
        ("28 06 01", 0x12),
        ("28 04 01", 0x13),
        ("28 04 01 00", 0x13),
        ("28 00 01 00 0A", 0x13),
        ("28 00 00", 0x31),
        ("28 00 05", 0x31),  # reserved bits
        ("28 00 31", 0x31),  # no such network
        ("28 04 01 00 0B", 0x31),
        ("28 04 31 00 0A", 0x31),
    ],
)
def test_a_refused_control_switches_nothing(request_: str, nrc: int) -> None:
    ecu = Ecu(**NETWORKS).extended()
    assert ecu.ask(request_) == refused(0x28, nrc)
    assert ecu.server.state.may_send_normal()


@pytest.mark.parametrize("end", ["10 01", "11 01", "S3", "terminal 15"])
def test_everything_comes_back_with_the_default_session_and_a_reset(end: str) -> None:
    ecu = Ecu(**NETWORKS).extended()
    for request in ("28 03 03", "28 01 11", "28 04 01 00 0A"):
        assert ecu.ask(request).startswith("68")
    if end == "S3":
        ecu.run_for(6 * S)
    elif end == "terminal 15":
        ecu.server.power(PowerEvent.TERMINAL_15_OFF, ecu.now_ns)
    else:
        ecu.ask(end)
    state = ecu.server.state
    assert state.may_send_normal()
    assert state.may_receive_normal()
    assert (state.network_management, state.subnets, state.nodes) == (0, {}, {})


def test_another_session_keeps_it_off() -> None:
    ecu = Ecu().extended()
    ecu.ask("28 03 01")
    ecu.ask("10 02")
    assert not ecu.server.state.may_send_normal()


# ---- 87 LinkControl


@pytest.mark.parametrize(
    ("verify", "rate"),
    [("87 01 11", 250_000), ("87 01 12", 500_000), ("87 02 0C B5 E8", 833_000), ("87 01 20", 1_000_000)],
)
def test_a_rate_is_verified_then_gone_to(verify: str, rate: int) -> None:
    ecu = acting().extended()
    assert ecu.ask(verify) == f"C7 {verify[3:5]}"
    assert ecu.ask("87 03") == "C7 03"
    assert ecu.server.state.link_bitrate is None, "its answer has yet to go out"
    ecu.run_for(10 * MS)
    assert ecu.server.state.link_bitrate == rate


@pytest.mark.parametrize(
    ("request_", "nrc"),
    [
        ("87", 0x13),
        ("87 00", 0x12),
        ("87 04", 0x12),
        ("87 01", 0x13),
        ("87 01 12 00", 0x13),
        ("87 02 12", 0x13),
        ("87 03 00", 0x13),
        ("87 01 13", 0x31),  # it cannot go there
        ("87 01 FF", 0x31),
        ("87 02 00 00 00", 0x31),
        ("87 03", 0x24),
    ],
)
def test_a_refused_link_control_verifies_nothing(request_: str, nrc: int) -> None:
    ecu = acting().extended()
    assert ecu.ask(request_) == refused(0x87, nrc)
    assert ecu.ask("87 03") == refused(0x87, 0x24)


def test_a_transition_uses_up_what_was_verified_and_its_answer_may_be_suppressed() -> None:
    ecu = acting().extended()
    ecu.ask("87 01 11")
    assert ecu.ask("87 83") == ""
    assert ecu.ask("87 03") == refused(0x87, 0x24)


def test_without_programming_rate_there_is_none() -> None:
    ecu = acting(link=LinkOptions(bitrates=frozenset((250_000,)))).extended()
    assert ecu.ask("87 01 20") == refused(0x87, 0x31)


@pytest.mark.parametrize("end", ["10 01", "11 01", "S3"])
def test_the_unit_goes_back_to_its_bus_with_the_default_session_and_a_reset(end: str) -> None:
    ecu = acting().extended()
    ecu.ask("87 01 11")
    ecu.ask("87 03")
    ecu.run_for(10 * MS)
    if end == "S3":
        ecu.run_for(6 * S)
    else:
        ecu.ask(end)
        ecu.run_for(1 * S)
    assert ecu.server.state.link_bitrate is None


def test_a_session_that_ends_before_the_change_over_calls_it_off() -> None:
    ecu = acting().extended()
    ecu.ask("87 01 11")
    ecu.ask("87 03")
    ecu.ask("10 01")
    ecu.run_for(1 * S)
    assert ecu.server.state.link_bitrate is None
    assert ecu.extended().ask("87 03") == refused(0x87, 0x24)


def test_another_session_keeps_the_rate() -> None:
    ecu = acting().extended()
    ecu.ask("87 01 11")
    ecu.ask("10 02")
    ecu.ask("87 03")
    ecu.run_for(10 * MS)
    ecu.ask("10 03")
    ecu.run_for(100 * MS)
    assert ecu.server.state.link_bitrate == 250_000


# ---- 83 AccessTimingParameter


def old(**changes: Any) -> Ecu:
    return acting(edition=2013, timing_limits=TimingLimits(p2_ns=30 * MS, p2_star_ns=S), **changes).extended()


def test_timing_is_read_set_used_and_set_back() -> None:
    ecu = old()
    assert ecu.ask("83 01") == "C3 01 00 1E 00 64"
    assert ecu.ask("83 03") == "C3 03 00 32 01 F4"
    assert ecu.ask("83 04 00 C8 03 E8") == "C3 04"
    assert ecu.ask("83 03") == "C3 03 00 C8 03 E8"
    assert ecu.ask("2E 07 01 00") == ""
    assert [(now_ns // MS, text) for now_ns, text in ecu.run_for(S)] == [(190, "7F 2E 78"), (200, "6E 07 01")]
    assert ecu.ask("83 02") == "C3 02"
    assert ecu.ask("83 03") == "C3 03 00 32 01 F4"


@pytest.mark.parametrize(
    ("request_", "nrc"),
    [
        ("83", 0x13),
        ("83 00", 0x12),
        ("83 05", 0x12),
        ("83 01 00", 0x13),
        ("83 04", 0x13),
        ("83 04 00 C8 03", 0x13),
        ("83 04 00 1D 03 E8", 0x31),
        ("83 04 00 C8 00 63", 0x31),
    ],
)
def test_refused_timing_changes_nothing(request_: str, nrc: int) -> None:
    ecu = old()
    assert ecu.ask(request_) == refused(0x83, nrc)
    assert ecu.ask("83 03") == "C3 03 00 32 01 F4"


@pytest.mark.parametrize("end", ["10 03", "10 01", "11 01"])
def test_set_timing_ends_with_a_session_change_and_a_reset(end: str) -> None:
    ecu = old()
    ecu.ask("83 04 00 C8 03 E8")
    ecu.ask(end)
    assert ecu.server.timing.p2_ns == 50 * MS


def test_the_2020_edition_has_no_such_sub_functions() -> None:
    assert acting().extended().ask("83 03") == refused(0x83, 0x12)
