"""No service identifier, however odd, stops the world: as a request, with a late answer, or to all units at once."""

from __future__ import annotations

import contextlib

import pytest
from fake_ecu import MS, Table
from hypothesis import given
from hypothesis import strategies as st

from vci_driver.link_errors import NoAnswer

READ = b"\x22\xf1\x90"
ANSWER = b"\x62\xf1\x90abc"
LATE_MS = 200

every_service = pytest.mark.parametrize("sids", [range(start, start + 0x20) for start in range(0, 0x100, 0x20)])


def echo(payload: bytes) -> bytes:
    """The positive answer, as far as a byte can say it."""
    return bytes((payload[0] + 0x40 & 0xFF,)) + payload[1:]


@every_service
def test_every_service_is_answered_or_refused(sids: range) -> None:
    for sid in sids:
        request = bytes((sid, 0x01, 0x02))
        if sid != 0x3F:  # has no positive answer: 0x7F is the negative one
            assert Table(cluster=echo).link.request("cluster", request) == echo(request)
        refused = bytes((0x7F, sid, 0x11))
        waiting = Table(cluster=lambda _, sid=sid, refused=refused: [(5, bytes((0x7F, sid, 0x78))), (40, refused)])
        assert waiting.link.request("cluster", request) == refused
        assert waiting.link.counters.pending == 1


@every_service
def test_a_late_answer_of_every_service_is_counted_and_answers_nothing_else(sids: range) -> None:
    for sid in sids:
        request = bytes((sid, 0x01, 0x02))
        for late in (echo(request), bytes((0x7F, sid, 0x11)), echo(request) + bytes(20)):
            if sid in (0x22, 0x3F):
                continue  # the same service, and the one without a positive answer, have tests of their own
            table = Table(
                cluster=lambda payload, late=late: [(40, ANSWER)] if payload == READ else [(LATE_MS, late)],
            )
            with pytest.raises(NoAnswer):
                table.link.request("cluster", request)
            table.world.run_for(90 * MS)  # the late answer comes while the next request waits
            assert table.link.request("cluster", READ) == ANSWER
            table.world.run_for(10**9)
            assert table.link.counters.late == 1, hex(sid)


@every_service
def test_a_late_answer_of_every_service_with_nothing_under_way_is_counted(sids: range) -> None:
    for sid in sids:
        request = bytes((sid, 0x01, 0x02))
        table = Table(cluster=lambda _, request=request: [(LATE_MS, echo(request))])
        with pytest.raises(NoAnswer):
            table.link.request("cluster", request)
        table.world.run_for(10**9)
        assert table.link.counters.late == 1


@every_service
def test_every_service_goes_to_all_units(sids: range) -> None:
    for sid in sids:
        request, refused = bytes((sid, 0x01)), bytes((0x7F, sid, 0x11))
        answers = {"engine": refused}
        table = Table(cluster=lambda payload: echo(payload) + bytes(20), engine=lambda _, refused=refused: refused)
        if sid != 0x3F:
            answers["cluster"] = echo(request) + bytes(20)
        assert dict(table.link.send_functional(request)) == answers


@given(
    st.lists(st.tuples(st.integers(0, 0xFF), st.binary(max_size=12), st.binary(max_size=12)), min_size=2, max_size=4)
)
def test_any_answer_to_any_service_never_stops_the_world(talk: list[tuple[int, bytes, bytes]]) -> None:
    said = {bytes((sid, *rest[:6])): answer for sid, rest, answer in talk}
    table = Table(cluster=lambda payload: [(100, said.get(payload) or b"\x7f")])
    for request in said:
        with contextlib.suppress(NoAnswer):
            table.link.request("cluster", request)
        table.link.send_functional(request)
    table.world.run_for(10**9)
