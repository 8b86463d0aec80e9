"""A udsoncan client's patience, in virtual time: P2 to the first frame, P2* after 0x78, limits, answers that break off."""

from __future__ import annotations

import pytest
from fake_ecu import CAR, MS, Script, Table
from scripted_workshop import Said, text, unit
from udsoncan.exceptions import (
    TimeoutException,
)
from udsoncan.services import DiagnosticSessionControl

from vci_driver.link import DiagnosticLink
from vci_driver.link_errors import AnswerBroken, AnswerCutOff, NoAnswer, RequestNotSent, RequestNotTaken, StillPending
from vci_driver.link_peer import LinkOptions
from vci_driver.uds_connection import EcuClient, EcuTimeout, make_client
from wire.can_bus import CanBus
from wire.errors import RemoteTimeout
from wire.faults import FaultInjector, FaultRule
from wire.world import World

EXTENDED_SESSION = DiagnosticSessionControl.Session.extendedDiagnosticSession
VIN = 0xF190
READ, SAYS = "22 F1 90", text(VIN, "abc")


def client(said: dict[str, Said] | Script, options: LinkOptions | None = None) -> tuple[EcuClient, Table]:
    script = said if callable(said) else unit(said)
    table = Table(cluster=script, options=options)
    return make_client(table.link, "cluster"), table


@pytest.mark.parametrize(
    ("said", "kind", "waited_ms"),
    [
        ("", NoAnswer, 75),
        ([(74, SAYS)], None, 74),
        ([(76, SAYS)], NoAnswer, 75),
        ([(74, text(VIN, "x" * 400))], None, 74),
        ([(40, "7F 22 78"), (5_060, SAYS)], None, 5_060),
        ([(40, "7F 22 78")], StillPending, 5_065),
        ([(40, "7F 22 78"), (5_060, "7F 22 78"), (10_080, SAYS)], None, 10_080),
        ([(40, "7F 22 78"), (5_060, "7F 22 78")], StillPending, 10_085),
    ],
)
def test_patience_ends_in_virtual_time_and_not_in_ours(said: Said, kind: type[NoAnswer] | None, waited_ms: int) -> None:
    """P2 50 ms and P2* 5000 ms, with 25 ms for the way through the gateway."""
    cluster, table = client({READ: said})
    if kind is None:
        assert cluster.read_data_by_identifier(VIN).positive
        assert table.now_ms >= waited_ms
        return
    with pytest.raises(EcuTimeout) as late:
        cluster.read_data_by_identifier(VIN)
    assert isinstance(late.value, TimeoutException)
    assert isinstance(late.value, RemoteTimeout)
    assert type(late.value.__cause__) is kind
    assert (late.value.target, late.value.sid) == ("cluster", 0x22)
    assert waited_ms <= late.value.waited_ns / MS < waited_ms + 1


@pytest.mark.parametrize(
    ("options", "says"),
    [(LinkOptions(max_pending=3), "more than 3 times"), (LinkOptions(overall_limit_ns=9_000 * MS), "limit of 9 s")],
)
def test_a_0x78_chain_without_end_is_ended(options: LinkOptions, says: str) -> None:
    cluster, table = client({READ: [(1_000 * n + 40, "7F 22 78") for n in range(60)]}, options)
    with pytest.raises(EcuTimeout, match=says):
        cluster.read_data_by_identifier(VIN)
    assert table.now_ms <= 9_001


def test_who_asks_to_be_told_of_0x78_is_told_each_time() -> None:
    cluster, _ = client({READ: [(10, "7F 22 78"), (900, "7F 22 78"), (1_800, SAYS)]})
    told: list[int] = []
    cluster.config["nrc78_callback"] = lambda: told.append(1)
    assert cluster.read_data_by_identifier_first(VIN) == b"abc"
    assert len(told) == 2


@pytest.mark.parametrize(
    ("rule", "cause"),
    [
        (FaultRule(kind="drop", can_id=0x77E, skip=3), AnswerCutOff),
        (FaultRule(kind="drop", can_id=0x77E, skip=3, count=1), AnswerBroken),
        (FaultRule(kind="drop", can_id=0x714, skip=1), AnswerCutOff),
    ],
)
def test_an_answer_that_does_not_come_whole_says_how_it_ended(rule: FaultRule, cause: type[Exception]) -> None:
    """The rest is lost, one frame is lost, and the tester's flow control is lost: N_Cr, a wrong sequence number, N_Cr."""
    cluster, table = client({READ: text(VIN, "x" * 60)})
    table.bus.faults = faults = FaultInjector(table.world.rng("faults"))
    faults.add(rule)
    with pytest.raises((EcuTimeout, AnswerBroken)) as broken:
        cluster.read_data_by_identifier(VIN)
    assert isinstance(broken.value if cause is AnswerBroken else broken.value.__cause__, cause)


def test_a_long_request_that_is_not_taken_and_one_that_does_not_go_out() -> None:
    with pytest.raises(EcuTimeout, match="did not take all") as not_taken:
        make_client(Table().link, "cluster").write_data_by_identifier(VIN, bytes(20))
    assert isinstance(not_taken.value.__cause__, RequestNotTaken)
    world = World()
    alone = DiagnosticLink(world, [CanBus(world, "obd").attach("tester")], CAR)
    with pytest.raises(RequestNotSent, match="'cluster' did not go out"):
        make_client(alone, "cluster").read_data_by_identifier(VIN)


def test_the_unit_s_own_patience_is_asked_of_the_tester_too() -> None:
    cluster, _ = client({"10 03": "50 03 01 F4 00 64", READ: [(510, SAYS)]})
    cluster.change_session(EXTENDED_SESSION)
    assert cluster.read_data_by_identifier_first(VIN) == b"abc"
