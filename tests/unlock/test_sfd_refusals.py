"""Tokens that must not open a unit: each fault has its row in the table, its own reason in the log, and grants nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st
from locked_unit import CODING, SfdUnit
from unlock_forge import EPOCH_S, HOUR, MINUTE, OTHER_VIN, S, flip, key_set, keys, owner_key, token

from ecu_sim.unlock.sfd import TOKEN_CHECKS, SfdOptions
from ecu_sim.vehicle_state import PowerEvent
from wire.clock import WallClock
from wire.token import SIGNATURE_LEN, TOKEN_LEN, Generation, Role, key_id

DAY = 24 * HOUR
Case = tuple[SfdUnit, bytes]


def forged(**changes: Any) -> Callable[[], Case]:
    """A good token but for claims that the back end itself signed so."""

    def make() -> Case:
        unit = SfdUnit()
        return unit, unit.token(**changes)

    return make


def other_issuer() -> Case:
    unit = SfdUnit()
    return unit, token(unit.request(), keys(2), key_id=key_id(keys(2).token_key.public_key()))


def stolen_issuer_name() -> Case:
    """Names the good key, signed with another."""
    unit = SfdUnit()
    return unit, token(unit.request(), keys(2))


def other_algorithm() -> Case:
    """64 bytes r || s of ECDSA on P-256 over the same claims."""
    unit = SfdUnit()
    claims = unit.token()[:-SIGNATURE_LEN]
    r, s = decode_dss_signature(owner_key().sign(claims, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    return unit, claims + r.to_bytes(32, "big") + s.to_bytes(32, "big")


def no_signature() -> Case:
    unit = SfdUnit()
    return unit, unit.token()[:-SIGNATURE_LEN] + bytes(SIGNATURE_LEN)


def revoked() -> Case:
    unit = SfdUnit()
    wire = unit.token(token_id=b"r" * 16)
    unit.trust.update(key_set(revoked_tokens=frozenset((b"r" * 16,))))
    return unit, wire


def replayed() -> Case:
    unit = SfdUnit()
    wire = unit.token()
    assert unit.write(wire) == 0
    unit.ask("3101c00a")
    return unit, wire


def same_id_for_a_new_request() -> Case:
    unit = SfdUnit()
    assert unit.write(unit.token(token_id=b"i" * 16)) == 0
    unit.ask("3101c00a")
    return unit, unit.token(token_id=b"i" * 16)


def after_a_reset() -> Case:
    unit = SfdUnit()
    wire = unit.token()
    unit.ask("1101")
    unit.wait(S)
    return unit, wire


def after_a_day() -> Case:
    unit = SfdUnit()
    wire = unit.token(not_after_utc_s=EPOCH_S + 72 * 3600)
    unit.wait(DAY)
    return unit, wire


def for_the_request_before() -> Case:
    unit = SfdUnit()
    wire = unit.token()
    unit.request()
    return unit, wire


def unset_clock() -> Case:
    unit = SfdUnit(SfdOptions(needs_set_clock=True), WallClock(is_set=False))
    return unit, unit.token()


def low_role() -> Case:
    unit = SfdUnit(SfdOptions(min_role=Role.DEVELOPMENT))
    return unit, unit.token(role=Role.AFTER_SALES)


REFUSALS: list[tuple[str, str, int, Callable[[], Case]]] = [
    ("for the newer protection", "generation", 0x53, forged(generation=Generation.SFD2)),
    ("for no generation", "generation", 0x53, forged(generation=0)),
    ("of another back end", "issuer unknown", 0x52, other_issuer),
    ("in the name of our back end", "signature", 0x51, stolen_issuer_name),
    ("of another algorithm", "signature", 0x51, other_algorithm),
    ("without a signature", "signature", 0x51, no_signature),
    ("for another vehicle", "other VIN", 0x55, forged(vin=OTHER_VIN)),
    ("for another unit", "other control unit", 0x55, forged(ecu_address=0x19)),
    ("revoked", "revoked", 0x57, revoked),
    ("replayed", "used before", 0x57, replayed),
    ("with an id that was used", "used before", 0x57, same_id_for_a_new_request),
    ("after a reset", "no request outstanding", 0x24, after_a_reset),
    ("after a day", "request too old", 0x24, after_a_day),
    ("for the request before", "stale challenge", 0x24, for_the_request_before),
    ("for another nonce", "stale challenge", 0x24, forged(nonce=bytes(16))),
    ("to a unit that has no time", "clock not set", 0x50, unset_clock),
    ("not yet valid", "not yet valid", 0x50, forged(not_before_utc_s=EPOCH_S + 60)),
    ("expired", "expired", 0x50, forged(not_after_utc_s=EPOCH_S - 60)),
    ("for no time at all", "duration", 0x55, forged(duration_min=0)),
    ("in no known role", "role", 0x56, forged(role=0)),
    ("in a role above all", "role", 0x56, forged(role=4)),
    ("in too low a role", "role", 0x56, low_role),
    ("for nothing", "scope", 0x56, forged(scope=0)),
]


@pytest.mark.parametrize(("reason", "nrc", "make"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_a_bad_token_is_refused_with_its_reason_in_the_log(reason: str, nrc: int, make: Callable[[], Case]) -> None:
    unit, wire = make()
    unit.extended()
    assert unit.ask(b"\x31\x01\xc0\x04" + wire) == bytes((0x7F, 0x31, nrc))
    assert unit.log[-1] == ("refused", reason)
    assert unit.status() == bytes.fromhex("00000100")
    assert unit.nrc(CODING) == 0x33


def test_every_row_of_the_table_is_reached() -> None:
    assert {reason for _, reason, _, _ in REFUSALS} == {reason for reason, _, _ in TOKEN_CHECKS}


@pytest.mark.parametrize("make", [row[3] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_the_log_of_the_server_tells_the_reason_and_never_the_token(make: Callable[[], Case]) -> None:
    unit, wire = make()
    unit.write(wire)
    text = unit.server.log[-1].text
    assert unit.log[-1][1] in text
    assert wire.hex() not in text.replace(" ", "")


@pytest.mark.parametrize("size", [0, 1, TOKEN_LEN - 1, TOKEN_LEN + 1, 4000])
def test_a_token_of_another_length_is_a_format_error(size: int) -> None:
    unit = SfdUnit()
    wire = unit.token()
    assert unit.write((wire + bytes(4000))[:size]) == 0x54
    assert unit.last.reason.startswith("format")
    assert not unit.open


def test_no_flipped_bit_of_a_good_token_grants_anything_and_the_good_one_still_does() -> None:
    unit = SfdUnit()
    good = unit.token()
    answers = {unit.write(flip(good, bit)) for bit in range(8 * len(good))}
    assert not unit.open
    assert answers <= {0x51, 0x52, 0x53, 0x54}  # nothing about the content before the signature holds
    assert unit.write(good) == 0


@given(st.binary(max_size=2 * TOKEN_LEN))
def test_random_bytes_grant_nothing(wire: bytes) -> None:
    unit = SfdUnit()
    unit.request()
    assert unit.write(wire) != 0
    assert not unit.open


@given(
    st.lists(
        st.tuples(st.integers(0, TOKEN_LEN - 1), st.integers(1, 255)), min_size=1, max_size=8, unique_by=lambda c: c[0]
    )
)
def test_a_damaged_token_grants_nothing(changes: list[tuple[int, int]]) -> None:
    unit = SfdUnit()
    wire = bytearray(unit.token())
    for at, mask in changes:
        wire[at] ^= mask
    assert unit.write(bytes(wire)) != 0
    assert not unit.open


def test_a_refused_token_leaves_the_request_standing() -> None:
    unit = SfdUnit()
    good = unit.token()
    for bit in (0, 100, 8 * TOKEN_LEN - 1):
        assert unit.write(flip(good, bit)) != 0
    assert unit.write(good) == 0


def test_a_refused_token_leaves_an_open_grant_alone() -> None:
    unit = SfdUnit()
    unit.unlock()
    before = unit.gate.grant(unit.now_ns)
    assert unit.write(unit.token(vin=OTHER_VIN)) == 0x55
    assert unit.gate.grant(unit.now_ns) == before


def test_a_token_cannot_be_written_twice_even_while_it_is_in_force() -> None:
    unit = SfdUnit()
    wire = unit.token()
    assert unit.write(wire) == 0
    unit.wait(80 * MINUTE)
    assert unit.write(wire) == 0x57
    unit.wait(10 * MINUTE)
    assert not unit.open


def test_a_request_is_good_for_one_token_even_if_the_back_end_signed_two() -> None:
    unit = SfdUnit()
    structure = unit.request()
    assert unit.write(token(structure, token_id=b"1" * 16)) == 0
    unit.ask("3101c00a")
    assert unit.write(token(structure, token_id=b"2" * 16)) == 0x24
    assert unit.last.reason == "no request outstanding"


def test_a_used_token_is_remembered_over_a_reset_and_a_new_request() -> None:
    unit = SfdUnit()
    wire = unit.token()
    assert unit.write(wire) == 0
    unit.ask("1101")
    unit.wait(S)
    unit.request()
    assert unit.write(wire) == 0x57


def test_a_reset_or_the_loss_of_terminal_30_forgets_the_request() -> None:
    unit = SfdUnit()
    wire = unit.token()
    unit.power(PowerEvent.BATTERY_LOST)
    unit.wait(S)
    unit.power(PowerEvent.BATTERY_BACK)
    unit.wait(S)
    assert unit.write(wire) == 0x24
    assert unit.last.reason == "no request outstanding"


def test_the_request_survives_the_session_terminal_15_sleep_and_hours() -> None:
    """The manual flow, by copy and paste through a browser, takes that long."""
    unit = SfdUnit()
    unit.extended()
    wire = unit.token()
    unit.wait(10 * S)
    unit.power(PowerEvent.TERMINAL_15_OFF)
    unit.power(PowerEvent.SLEEP)
    unit.wait(23 * HOUR)
    unit.power(PowerEvent.WAKE)
    unit.extended()
    assert unit.write(wire) == 0


@pytest.mark.parametrize(("age_ns", "nrc"), [(DAY - 1, 0), (DAY, 0x24), (30 * DAY, 0x24)])
def test_the_request_lives_for_exactly_a_day(age_ns: int, nrc: int) -> None:
    unit = SfdUnit(SfdOptions(verification_ns=0))
    wire = unit.token(not_after_utc_s=EPOCH_S + 90 * 24 * 3600)
    unit.leap(age_ns)
    assert unit.write(wire) == nrc


@pytest.mark.parametrize(
    ("begin_s", "end_s", "nrc"), [(0, 1, 0), (1, 2, 0x50), (-1, 0, 0x50), (-1, 1, 0), (1, 0, 0x50)]
)
def test_the_window_includes_its_begin_and_excludes_its_end(begin_s: int, end_s: int, nrc: int) -> None:
    unit = SfdUnit()
    assert unit.write(unit.token(not_before_utc_s=EPOCH_S + begin_s, not_after_utc_s=EPOCH_S + end_s)) == nrc


@pytest.mark.parametrize(("offset_s", "nrc"), [(-299, 0), (-301, 0x50), (23 * 3600, 0), (25 * 3600, 0x50)])
def test_the_window_is_judged_by_the_units_own_clock(offset_s: int, nrc: int) -> None:
    unit = SfdUnit(clock=WallClock(offset_s=offset_s))
    assert unit.write(unit.token()) == nrc


def test_a_unit_without_a_set_clock_rests_on_the_nonce() -> None:
    unit = SfdUnit(clock=WallClock(is_set=False))
    assert unit.write(unit.token(not_after_utc_s=EPOCH_S - 1)) == 0


def test_once_the_grant_began_the_window_of_the_token_is_over_without_harm() -> None:
    unit = SfdUnit()
    unit.unlock(not_after_utc_s=EPOCH_S + 60)
    unit.wait(89 * MINUTE)
    assert unit.open


def test_of_many_requests_only_the_last_counts() -> None:
    unit = SfdUnit()
    wires = [unit.token() for _ in range(5)]
    assert [unit.write(wire) for wire in wires] == [0x24, 0x24, 0x24, 0x24, 0]


def test_an_issuer_that_is_no_longer_trusted_is_refused() -> None:
    unit = SfdUnit()
    wire = unit.token()
    unit.trust.update(key_set(keys(2)))
    assert unit.write(wire) == 0x52


def test_several_token_keys_may_be_trusted_at_once() -> None:
    unit = SfdUnit()
    both = key_set().token_keys + key_set(keys(2)).token_keys
    unit.trust.update(key_set(token_keys=both))
    assert unit.write(token(unit.request(), keys(2), key_id=key_id(keys(2).token_key.public_key()))) == 0
    unit.unlock()


def test_each_row_has_a_reason_of_its_own() -> None:
    reasons = [reason for reason, _, _ in TOKEN_CHECKS]
    assert len(set(reasons)) == len(reasons)


WRONG: dict[str, dict[str, Any]] = {
    "generation": {"generation": Generation.SFD2},
    "VIN": {"vin": OTHER_VIN},
    "unit": {"ecu_address": 0x19},
    "used id": {"token_id": b"u" * 16},
    "nonce": {"nonce": bytes(16)},
    "window": {"not_after_utc_s": EPOCH_S - 60},
    "duration": {"duration_min": 0},
    "role": {"role": 0},
    "scope": {"scope": 0},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
def test_of_what_a_token_says_only_its_issuer_counts_before_the_signature_holds(changes: dict[str, Any]) -> None:
    """The issuer says whose key to ask; whoever signs for another, or is a stranger, learns nothing about the rest."""
    unit = SfdUnit()
    unit.unlock(token_id=b"u" * 16)
    structure = unit.request()
    stranger = key_id(keys(2).token_key.public_key())
    assert unit.write(token(structure, keys(2), **changes)) == 0x51
    assert unit.write(token(structure, keys(2), key_id=stranger, **changes)) == 0x52
    assert unit.write(token(structure, **changes)) not in (0, 0x51, 0x52)
