"""The direct door to the portal: calls take world time, outages and spoiled answers, every audit record told once."""

import pytest
from portal_people import Counter, Visitor, checked, manager, signed_in

from bench.portal_port import DirectPortal
from scenarios.stage import OutageKind, TamperKind
from wire import portal_api as api
from wire.clock import NS_PER_MS, NS_PER_S
from wire.errors import LocalMisuse
from wire.portal_api import AuditRecord, PortalErrorCode
from wire.token import Token
from wire.world import World

MINUTE_NS = 60 * NS_PER_S


class Door(Counter):
    """The portal behind its direct door; the time at the counter is the world's."""

    def __init__(self, **options: object) -> None:
        self.world = World()
        super().__init__(**options)
        self.told: list[AuditRecord] = []
        self.port = DirectPortal(self.world, self.portal, self.told.append)

    @property
    def now_s(self) -> int:
        return self.world.utc_s()

    @now_s.setter
    def now_s(self, utc_s: int) -> None:
        self.world.run_for(max(0, (utc_s - self.now_s) * NS_PER_S - self.world.now_ns % NS_PER_S))

    def call(self, request: api.Request[api.R_co]) -> api.R_co:
        return self.port.call(request)

    def took_ns(self, act: object, *, refused: PortalErrorCode | None = None) -> int:
        before_ns = self.world.now_ns
        if refused is None:
            act()
        else:
            with self.refused(refused):
                act()
        return self.world.now_ns - before_ns


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def person(door: Door) -> Visitor:
    """A validated manager, logged in on the tester."""
    person = manager(door)
    person.log_in()
    return person


def test_a_call_takes_as_long_as_the_way_there_and_back(door: Door) -> None:
    person = signed_in(door)
    assert door.took_ns(person.status) == 60 * NS_PER_MS
    door.port.latency_ns = 0
    assert door.took_ns(person.status) == 0


def test_the_world_runs_on_while_the_answer_is_on_its_way(door: Door) -> None:
    person, seen = signed_in(door), []
    door.world.call_at(door.world.now_ns + 10 * NS_PER_MS, lambda: seen.append("tester present"))
    person.status()
    assert seen == ["tester present"]


def test_a_refusal_comes_through_as_it_is(door: Door) -> None:
    with door.refused(PortalErrorCode.LOGIN_FAILED):
        Visitor(door, "nobody").begin()


# ---- outages


def test_a_back_end_that_is_away_is_not_asked_and_waited_for_as_long_as_the_tester_waits(door: Door) -> None:
    person = signed_in(door)
    actions = door.actions()
    door.port.outage(OutageKind.AWAY, 2 * MINUTE_NS)
    assert door.took_ns(person.begin, refused=PortalErrorCode.UNAVAILABLE) == 30 * NS_PER_S
    assert door.actions() == actions


def test_who_calls_at_the_end_of_an_outage_waits_no_longer_than_it_lasts(door: Door) -> None:
    person = signed_in(door)
    door.port.outage(OutageKind.AWAY, 5 * NS_PER_S)
    assert door.took_ns(person.status, refused=PortalErrorCode.UNAVAILABLE) == 5 * NS_PER_S
    assert person.status()


def test_a_back_end_that_fails_says_so_at_once_and_has_done_nothing(door: Door) -> None:
    person = signed_in(door)
    actions = door.actions()
    door.port.outage(OutageKind.ERROR, MINUTE_NS)
    assert door.took_ns(person.begin, refused=PortalErrorCode.UNAVAILABLE) <= 60 * NS_PER_MS
    assert door.actions() == actions


def test_a_slow_back_end_answers_in_the_end(door: Door) -> None:
    person = signed_in(door)
    door.port.outage(OutageKind.SLOW, MINUTE_NS)
    assert door.took_ns(person.status) == 20 * NS_PER_S


@pytest.mark.parametrize("kind", list(OutageKind))
def test_an_outage_passes(door: Door, kind: OutageKind) -> None:
    person = signed_in(door)
    door.port.outage(kind, MINUTE_NS)
    door.world.run_for(MINUTE_NS)
    assert door.took_ns(person.status) == 60 * NS_PER_MS


@pytest.mark.parametrize("duration_ns", [0, -1])
def test_an_outage_lasts_some_time(door: Door, duration_ns: int) -> None:
    with pytest.raises(LocalMisuse):
        door.port.outage(OutageKind.AWAY, duration_ns)


# ---- audit records


def test_every_audit_record_is_told_once_and_in_order(door: Door, person: Visitor) -> None:
    person.ask()
    with door.refused(PortalErrorCode.LOGIN_FAILED):
        person.begin("wrong")
    assert door.told == door.portal.audit_log()
    assert [record.action for record in door.told[-2:]] == ["unlock issued", "login failure"]


def test_the_record_of_an_unlock_is_told_before_the_unlock_arrives(door: Door, person: Visitor) -> None:
    told_at_ns: list[int] = []
    door.port = DirectPortal(door.world, door.portal, lambda _: told_at_ns.append(door.world.now_ns))
    told_at_ns.clear()
    person.ask()
    assert told_at_ns[-1] == door.world.now_ns - 30 * NS_PER_MS


def test_a_review_ends_at_its_time_without_anybody_asking(door: Door) -> None:
    person = signed_in(door)
    person.fill_in()
    person.hand_in()
    due_s = door.portal.next_deadline_utc_s()
    door.world.run_for(20 * MINUTE_NS)
    assert (door.told[-1].action, door.told[-1].utc_s) == ("identity approved", due_s)


def test_what_operators_do_is_told_when_the_door_is_told(door: Door) -> None:
    person = checked(door)
    door.port.after_change()
    told = len(door.told)
    door.port.after_change()
    assert len(door.told) == told
    assert person.status().identity is api.CheckState.APPROVED


# ---- spoiled answers


def test_one_unlock_is_spoiled_and_the_next_is_good_again(door: Door, person: Visitor) -> None:
    good = Token.decode(person.ask().payload)
    door.port.tamper(TamperKind.OTHER_VIN)
    person.status()  # no unlock: nothing to spoil
    spoiled = Token.decode(person.ask().payload)
    again = Token.decode(person.ask().payload)
    assert spoiled.claims.vin != good.claims.vin == again.claims.vin
    assert spoiled.claims.ecu_address == good.claims.ecu_address


def test_a_refused_unlock_does_not_use_the_spoiling_up(door: Door, person: Visitor) -> None:
    door.port.tamper(TamperKind.TRUNCATE)
    with door.refused(PortalErrorCode.INVALID_INPUT):
        person.ask(vin="")
    assert len(person.ask().payload) + 1 == len(person.ask().payload)
