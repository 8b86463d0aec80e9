"""udsoncan on the link, in virtual time: what its calls return and raise, and many clients on one link."""

from __future__ import annotations

import pytest
from fake_ecu import CAR, MS, Script, Table, silent
from scripted_workshop import EXTENDED, Said, text, unit
from udsoncan.client import Client
from udsoncan.exceptions import (
    InvalidResponseException,
    NegativeResponseException,
    TimeoutException,
    UnexpectedResponseException,
)
from udsoncan.Request import Request
from udsoncan.services import DiagnosticSessionControl, ReadDataByIdentifier, TesterPresent

from vci_driver.car_map import UnknownEcu
from vci_driver.link_peer import LinkOptions
from vci_driver.uds_connection import EcuClient, EcuTimeout, UdsonConnection, make_client
from wire.errors import LocalMisuse

EXTENDED_SESSION = DiagnosticSessionControl.Session.extendedDiagnosticSession
VIN = 0xF190
READ, SAYS = "22 F1 90", text(VIN, "abc")


def client(said: dict[str, Said] | Script, options: LinkOptions | None = None) -> tuple[EcuClient, Table]:
    script = said if callable(said) else unit(said)
    table = Table(cluster=script, options=options)
    return make_client(table.link, "cluster"), table


# ---- answers


def test_a_value_comes_back_as_the_bytes_it_has_and_goes_out_so() -> None:
    cluster, table = client({READ: SAYS, "2E F1 90": "6E F1 90", **EXTENDED})
    assert cluster.read_data_by_identifier_first(VIN) == b"abc"
    assert cluster.write_data_by_identifier(VIN, b"xyz").positive
    assert cluster.change_session(EXTENDED_SESSION).service_data.session_echo == 3
    assert [payload for _, payload in table.ecus["cluster"].heard][1] == b"\x2e\xf1\x90xyz"


def test_an_answer_is_the_same_to_read_as_the_one_of_a_plain_udsoncan_client() -> None:
    cluster, _ = client({READ: SAYS})
    plain = Client(cluster.conn, config=cluster.config)
    ours, theirs = cluster.read_data_by_identifier(VIN), plain.read_data_by_identifier(VIN)
    for name in ("code", "code_name", "data", "positive", "valid", "invalid_reason", "service", "original_payload"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.service_data.values == theirs.service_data.values
    assert ours.original_request.get_payload() == theirs.original_request.get_payload() == bytes.fromhex(READ)
    assert cluster.last_response is ours


def test_an_answer_of_one_byte_is_whole_where_the_service_has_no_more_to_say() -> None:
    cluster, _ = client({"14": "54"})
    assert cluster.clear_dtc().positive


@pytest.mark.parametrize("nrc", [0x10, 0x11, 0x22, 0x31, 0x33, 0x34, 0x7F, 0x50, 0x5D, 0x93, 0xFE])
def test_a_refusal_raises_with_its_code_known_to_udsoncan_or_not(nrc: int) -> None:
    cluster, _ = client({READ: f"7F 22 {nrc:02X}"})
    with pytest.raises(NegativeResponseException) as refused:
        cluster.read_data_by_identifier(VIN)
    assert refused.value.response.code == nrc
    assert refused.value.response.original_request.get_payload() == bytes.fromhex(READ)


def test_an_answer_that_repeats_another_identifier_is_unexpected() -> None:
    cluster, _ = client({READ: text(0xF187, "abc")})
    with pytest.raises(UnexpectedResponseException):
        cluster.read_data_by_identifier(VIN)


@pytest.mark.parametrize("said", ["62", "62 F1"])
def test_an_answer_that_stops_short_is_invalid(said: str) -> None:
    cluster, _ = client({READ: said})
    with pytest.raises(InvalidResponseException):
        cluster.read_data_by_identifier(VIN)


@pytest.mark.parametrize("said", ["50 03 00 32 01 F4", "7F 10 22", "7F 22", "7F 22 31 00", "7F"])
def test_what_is_no_answer_to_this_request_is_not_taken_and_is_named_when_patience_ends(said: str) -> None:
    cluster, table = client({READ: said})
    with pytest.raises(EcuTimeout, match=f"it said {said.lower()} instead"):
        cluster.read_data_by_identifier(VIN)
    assert table.link.counters.unexpected == 1


def test_a_stray_answer_is_named_for_the_request_that_heard_it_and_for_no_later_one() -> None:
    answers: list[Said] = [[(1, "50 03"), (2, SAYS)], ""]
    cluster, _ = client(lambda payload: unit({READ: answers.pop(0)})(payload))  # noqa: PLW0108 - another one each time
    assert cluster.read_data_by_identifier_first(VIN) == b"abc"
    with pytest.raises(EcuTimeout) as silence:
        cluster.read_data_by_identifier(VIN)
    assert "instead" not in str(silence.value)


# ---- suppressed answers


def test_a_suppressed_answer_is_not_waited_for_and_the_request_is_on_the_bus_when_the_call_returns() -> None:
    cluster, table = client(silent)
    with cluster.suppress_positive_response:
        assert cluster.change_session(EXTENDED_SESSION) is None
    assert table.now_ms < 1
    table.world.run_for(MS)
    assert [payload for _, payload in table.ecus["cluster"].heard] == [b"\x10\x83"]


def test_with_wait_nrc_silence_is_waited_through_and_a_refusal_is_raised() -> None:
    cluster, table = client(silent)
    with cluster.suppress_positive_response(wait_nrc=True):
        assert cluster.change_session(EXTENDED_SESSION) is None
    assert table.now_ms >= 50
    cluster, _ = client({"10 83": "7F 10 22"})
    with cluster.suppress_positive_response(wait_nrc=True), pytest.raises(NegativeResponseException):
        cluster.change_session(EXTENDED_SESSION)


def test_a_refusal_of_a_suppressed_request_is_not_taken_for_the_next_request_s_answer() -> None:
    cluster, table = client({"10 83": [(5, "7F 10 22")], READ: [(20, SAYS)]})
    with cluster.suppress_positive_response:
        cluster.change_session(EXTENDED_SESSION)
    assert cluster.read_data_by_identifier_first(VIN) == b"abc"
    assert table.link.counters.late == 1


def test_a_service_without_sub_function_cannot_be_suppressed_and_is_answered() -> None:
    cluster, _ = client({READ: SAYS})
    with cluster.suppress_positive_response:
        assert cluster.read_data_by_identifier_first(VIN) == b"abc"


def test_bytes_that_udsoncan_would_not_make_are_sent_as_they_are() -> None:
    cluster, table = client({"22 F1 90 FF": SAYS})
    with cluster.payload_override(lambda payload: payload + b"\xff"):
        assert cluster.read_data_by_identifier_first(VIN) == b"abc"
    assert table.ecus["cluster"].heard[0][1] == b"\x22\xf1\x90\xff"


# ---- seed and key


def keyed(said: dict[str, Said]) -> tuple[EcuClient, Table]:
    table = Table(cluster=unit(said))
    return make_client(table.link, "cluster", lambda level, seed, params: bytes((level,)) + seed[::-1]), table


def test_the_key_is_made_of_level_and_seed_and_sent_to_the_even_number() -> None:
    cluster, table = keyed({"27 03": "67 03 01 02 03 04", "27 04 03 04 03 02 01": "67 04"})
    assert cluster.unlock_security_access(3).positive
    assert [payload.hex() for _, payload in table.ecus["cluster"].heard] == ["2703", "27040304030201"]


def test_a_zero_seed_says_that_the_level_is_open_and_no_key_is_sent() -> None:
    cluster, table = keyed({"27 03": "67 03 00 00 00 00"})
    cluster.unlock_security_access(3)
    assert len(table.ecus["cluster"].heard) == 1


@pytest.mark.parametrize(
    ("seed", "key", "nrc"),
    [("7F 27 37", "67 04", 0x37), ("67 03 01", "7F 27 35", 0x35), ("67 03 01", "7F 27 36", 0x36)],
)
def test_a_refused_seed_or_key_raises(seed: str, key: str, nrc: int) -> None:
    cluster, _ = keyed({"27 03": seed, "27 04": key})
    with pytest.raises(NegativeResponseException) as refused:
        cluster.unlock_security_access(3)
    assert refused.value.response.code == nrc


def test_a_client_without_a_key_function_cannot_unlock() -> None:
    cluster, table = client({"27 03": "67 03 01"})
    with pytest.raises(NotImplementedError):
        cluster.unlock_security_access(3)
    assert table.ecus["cluster"].heard == []


# ---- the connection, and several of them


def test_a_closed_connection_refuses_to_send_until_it_is_opened_again_and_the_link_stays() -> None:
    cluster, table = client({READ: SAYS})
    cluster.close()
    assert not cluster.conn.is_open()
    with pytest.raises(RuntimeError, match="'cluster' is closed"):
        cluster.read_data_by_identifier(VIN)
    with cluster:
        assert cluster.conn.is_open()
        assert cluster.read_data_by_identifier_first(VIN) == b"abc"
    assert not cluster.conn.is_open()
    assert table.link.request("cluster", bytes.fromhex(READ)) == bytes.fromhex(SAYS)


def test_a_connection_to_a_unit_that_there_is_not_is_refused_when_it_is_made() -> None:
    with pytest.raises(UnknownEcu, match="did you mean 'cluster'"):
        make_client(Table().link, "clutser")


def test_the_connection_s_own_calls_send_and_return_bytes() -> None:
    table = Table(cluster=unit({READ: SAYS, "10 83": "", "3E 00": [(10, "7F 3E 78"), (20, "7E 00")]}))
    conn = UdsonConnection(table.link, "cluster").open()
    with pytest.raises(RuntimeError, match="nothing was sent"):
        conn.wait_frame()
    for request in (bytes.fromhex(READ), Request(ReadDataByIdentifier, data=b"\xf1\x90")):
        conn.empty_rxqueue()
        conn.send(request)
        assert conn.wait_frame() == bytes.fromhex(SAYS)
    conn.specific_send(b"\x3e\x00")
    assert conn.specific_wait_frame() == b"\x7f\x3e\x78"
    assert conn.specific_wait_frame() == b"\x7e\x00"
    conn.send(b"\x10\x83")
    assert conn.wait_frame(exception=True) is None


def test_silence_is_nothing_or_a_time_out_as_the_caller_wants_it() -> None:
    table = Table(cluster=silent)
    conn = UdsonConnection(table.link, "cluster")
    conn.send(bytes.fromhex(READ))
    assert conn.wait_frame() is None
    conn.send(Request(TesterPresent, subfunction=0))
    with pytest.raises(TimeoutException, match="'cluster' did not answer TesterPresent"):
        conn.wait_frame(exception=True)


def test_who_waits_again_after_the_last_answer_is_told_so_at_once() -> None:
    table = Table(cluster=unit({READ: SAYS}))
    conn = UdsonConnection(table.link, "cluster")
    conn.send(bytes.fromhex(READ))
    conn.wait_frame()
    before_ms = table.now_ms
    with pytest.raises(LocalMisuse, match="nothing is under way to 'cluster'"):
        conn.wait_frame()
    assert table.now_ms == before_ms


def test_clients_of_several_units_take_turns_on_one_link_and_do_not_mix_their_answers() -> None:
    scripts = {name: unit({READ: text(VIN, name)}) for name in CAR.names}
    table = Table(**scripts)
    clients = {name: make_client(table.link, name) for name in CAR.names}
    for _ in range(3):
        for name, each in clients.items():
            assert each.read_data_by_identifier_first(VIN) == name.encode()
    assert (table.link.counters.late, table.link.counters.unsolicited, table.link.counters.unexpected) == (0, 0, 0)


def test_requests_to_several_units_may_be_under_way_at_once() -> None:
    table = Table(**{name: unit({READ: [(60, text(VIN, name))]}) for name in CAR.names})
    connections = [UdsonConnection(table.link, name) for name in CAR.names]
    for conn in connections:
        conn.send(bytes.fromhex(READ))
    for conn in reversed(connections):
        assert conn.wait_frame() == bytes.fromhex(text(VIN, conn.target))
    assert table.now_ms < 65


def test_a_unit_that_falls_silent_does_not_hold_up_the_others() -> None:
    table = Table(cluster=silent, engine=unit({READ: SAYS}))
    with pytest.raises(EcuTimeout, match="'cluster'"):
        make_client(table.link, "cluster").read_data_by_identifier(VIN)
    assert make_client(table.link, "engine").read_data_by_identifier_first(VIN) == b"abc"


def test_two_clients_of_one_unit_each_get_their_own_answer_where_they_take_turns() -> None:
    table = Table(cluster=unit({READ: SAYS, "22 F1 87": text(0xF187, "part")}))
    one, two = make_client(table.link, "cluster"), make_client(table.link, "cluster")
    for _ in range(2):
        assert one.read_data_by_identifier_first(VIN) == b"abc"
        assert two.read_data_by_identifier_first(0xF187) == b"part"
