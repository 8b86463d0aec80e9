"""What the gateway does with requests, on real virtual buses: judged whole, refused in the target's name, fanned out once."""

from __future__ import annotations

import pytest
from gateway_rig import FUNCTIONAL, MS, OWN_RESPONSE, UNITS, Rig, after, positive

from wire.frame import Frame
from wire.token import ALL_SCOPES, Scope

READ, WRITE = b"\x22\xf1\x90", b"\x2e\x06\x00" + bytes(8)
KEEP_ALIVE = b"\x3e\x80"


def test_an_allowed_request_reaches_its_unit_on_its_bus_and_the_answer_comes_back() -> None:
    rig = Rig(default=positive)
    assert rig.ask("cluster", READ) == [b"\x62\xf1\x90"]
    powertrain, body = rig.inside
    assert body.messages(0x714) == [READ]
    assert not powertrain.frames


@pytest.mark.parametrize("size", [1, 7, 8, 20, 200, 4095])
def test_an_allowed_request_of_any_length_arrives_whole(size: int) -> None:
    rig = Rig(default=positive)
    payload = (b"\x22" + bytes(range(1, 256)) * 17)[:size]
    assert rig.ask("engine", payload, 5000 * MS)[-1] == positive(payload)
    assert rig.inside[0].messages(0x7E0) == [payload]


@pytest.mark.parametrize("payload", [b"\x27\x03", WRITE, b"\x2e\x06\x00" + bytes(3000)], ids=["single", "two", "many"])
@pytest.mark.parametrize("profile", ["vag-j533", "mercedes-eis", "fca-sgw"])
def test_a_blocked_request_puts_no_frame_on_any_inner_bus(profile: str, payload: bytes) -> None:
    rig = Rig(profile, default=positive)
    rig.ask("cluster", payload, 5000 * MS)
    assert rig.quiet_inside()


@pytest.mark.parametrize("payload", [WRITE, b"\x22\xf1\x90" * 40])
def test_nothing_goes_inside_before_the_request_is_there_whole(payload: bytes) -> None:
    """Neither the head of a blocked request nor that of an allowed one: whole, then judged, then sent."""
    rig = Rig(default=positive)
    rig.ask("cluster", payload, 1000 * MS)
    last = max(at_ns for at_ns, data in rig.outside.of(0x714) if data[0] >> 4 != 3)
    assert all(at_ns > last for at_ns, _ in rig.inside[1].of(0x714))


def test_a_request_that_is_never_finished_never_goes_inside() -> None:
    rig = Rig(default=positive)
    raw = rig.obd.attach("somebody")
    raw.send(Frame(0x714, bytes.fromhex("10 14 22 F1 90 F1 87 F1")))
    raw.send(Frame(0x714, bytes.fromhex("21 89 F1 91 F1 97 F1 9E")))
    rig.world.run_for(3000 * MS)
    assert rig.quiet_inside()
    assert rig.ask("cluster", READ) == [b"\x62\xf1\x90"]


@pytest.mark.parametrize(("profile", "nrc"), [("vag-j533", 0x33), ("mercedes-eis", 0x34)])
@pytest.mark.parametrize("unit", UNITS)
def test_a_refusal_comes_on_the_targets_own_identifier(profile: str, nrc: int, unit: str) -> None:
    rig = Rig(profile, default=positive)
    assert rig.ask(unit, b"\x27\x03") == [bytes((0x7F, 0x27, nrc))]
    assert rig.outside.messages(UNITS[unit][2]) == [bytes((0x7F, 0x27, nrc))]


def test_the_silent_make_says_nothing_to_a_blocked_request() -> None:
    rig = Rig("fca-sgw", default=positive)
    assert rig.ask("cluster", b"\x14\xff\xff\xff", 2000 * MS) == []
    assert rig.ask("cluster", READ) == [b"\x62\xf1\x90"]


def test_the_gateway_itself_is_asked_without_a_filter() -> None:
    """What stands behind the gateway is judged; itself it offers what its own server offers."""
    rig = Rig(default=positive)
    for payload in (b"\x27\x03", WRITE, b"\x31\x01\x02\x03", b"\x11\x01", b"\x2f\x06\x00\x03"):
        assert rig.ask("gateway", payload) == [positive(payload)]
        assert rig.server.heard[-1] == (payload, False)
    assert rig.quiet_inside()


def test_an_open_bonnet_lets_writes_through() -> None:
    rig = Rig(default=positive)
    assert rig.ask("cluster", WRITE) == [b"\x7f\x2e\x33"]
    rig.disarm()
    assert rig.ask("cluster", WRITE) == [positive(WRITE)]


def test_a_certificates_scope_lets_its_own_services_through() -> None:
    rig = Rig("mercedes-eis", default=positive, granted=Scope.CODING)
    assert rig.ask("cluster", WRITE) == [positive(WRITE)]
    assert rig.ask("cluster", b"\x27\x03") == [b"\x7f\x27\x34"]
    rig.granted = 0
    assert rig.ask("cluster", WRITE) == [b"\x7f\x2e\x34"]


def test_a_new_car_is_not_armed() -> None:
    rig = Rig(default=positive, odometer_km=30)
    assert rig.ask("cluster", WRITE) == [positive(WRITE)]


def test_every_decision_stands_in_the_log_with_its_reason() -> None:
    rig = Rig(default=positive)
    rig.ask("cluster", READ)
    rig.ask("engine", WRITE)
    allowed, refused = rig.gateway.log
    assert (allowed.unit, allowed.verdict, allowed.reason) == ("cluster", "allow", "on the list")
    assert (refused.unit, refused.verdict) == ("engine", "refuse")
    assert "2E 06 00" in refused.reason


# ---- functional requests


def test_a_functional_request_goes_to_all_inner_buses_once_and_all_answer() -> None:
    rig = Rig(default=positive)
    assert rig.ask_all(READ) == {name: [b"\x62\xf1\x90"] for name in ("gateway", *UNITS)}
    assert [ear.messages(FUNCTIONAL) for ear in rig.inside] == [[READ], [READ]]
    assert len([record for record in rig.gateway.log if record.unit == "all"]) == 1


def test_the_gateway_answers_a_functional_request_for_itself() -> None:
    rig = Rig()
    assert rig.ask_all(READ) == {"gateway": [b"\x62\xf1\x90"]}
    assert rig.outside.messages(OWN_RESPONSE) == [b"\x62\xf1\x90"]
    assert rig.server.heard == [(READ, True)]


@pytest.mark.parametrize(
    "payload", [b"\x11\x01", b"\x11\x81", b"\x28\x03\x01", b"\x85\x02", b"\x27\x03", b"\x31\x01\x02\x03"]
)
@pytest.mark.parametrize("profile", ["vag-j533", "mercedes-eis", "fca-sgw"])
def test_a_blocked_functional_request_is_dropped_without_a_word(profile: str, payload: bytes) -> None:
    rig = Rig(profile, default=positive)
    assert rig.ask_all(payload, 1000 * MS) == {}
    assert rig.quiet_inside()
    assert not rig.server.heard


@pytest.mark.parametrize("profile", ["vag-j533", "mercedes-eis", "fca-sgw"])
def test_functional_tester_present_always_passes_to_all_and_to_the_gateway(profile: str) -> None:
    rig = Rig(profile)
    rig.ask_all(KEEP_ALIVE)
    assert [ear.messages(FUNCTIONAL) for ear in rig.inside] == [[KEEP_ALIVE], [KEEP_ALIVE]]
    assert rig.server.heard == [(KEEP_ALIVE, True)]


def test_a_functional_write_passes_once_the_lock_is_open() -> None:
    rig = Rig("mercedes-eis", default=positive, granted=ALL_SCOPES)
    assert set(rig.ask_all(b"\x28\x00\x01")) == {"gateway", *UNITS}


def test_slow_functional_answers_pass_as_long_as_the_window_lasts() -> None:
    rig = Rig(scripts={"engine": after(40), "cluster": lambda _: [(45, b"\x7f\x22\x78"), (4000, b"\x62\xf1\x90late")]})
    heard = rig.ask_all(READ, 5000 * MS)
    assert heard["engine"] == [b"\x62\xf1\x90"]
    assert heard["cluster"] == [b"\x7f\x22\x78", b"\x62\xf1\x90late"]


def test_a_unit_that_is_being_asked_still_answers_a_functional_request() -> None:
    rig = Rig(default=after(30))
    rig.tester.send("cluster", b"\x22\x06\x00")
    rig.world.run_for(10 * MS)
    heard = rig.ask_all(READ)
    assert heard["engine"] == [b"\x62\xf1\x90"]
    assert heard["cluster"][0] == b"\x62\x06\x00"


# ---- several at once


def test_requests_to_two_units_do_not_wait_for_each_other() -> None:
    rig = Rig(scripts={"engine": after(40), "gearbox": after(20), "cluster": after(5)})
    for unit in UNITS:
        rig.tester.send(unit, READ)
    rig.world.run_for(100 * MS)
    at_ms = {name: rig.tester.answers[name][0][0] / MS for name in UNITS}
    assert at_ms["cluster"] < 15 < at_ms["gearbox"] < 30 < at_ms["engine"] < 50
    assert all(rig.tester.texts(name) == [b"\x62\xf1\x90"] for name in UNITS)


def test_a_refusal_to_one_unit_does_not_touch_the_conversation_with_another() -> None:
    rig = Rig(scripts={"engine": after(30)})
    rig.tester.send("engine", READ)
    assert rig.ask("cluster", WRITE, 20 * MS) == [b"\x7f\x2e\x33"]
    rig.world.run_for(50 * MS)
    assert rig.tester.texts("engine") == [b"\x62\xf1\x90"]


def test_two_long_requests_to_two_units_arrive_whole_at_the_same_time() -> None:
    rig = Rig(default=positive)
    one, two = b"\x22" + bytes(500), b"\x22" + bytes(range(250)) * 2
    rig.tester.send("engine", one)
    rig.tester.send("cluster", two)
    rig.world.run_for(2000 * MS)
    assert rig.tester.texts("engine") == [positive(one)]
    assert rig.tester.texts("cluster") == [positive(two)]
