"""What a locked gateway lets through, written from the makes' table and not from the profiles. Unlisted is blocked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgw_sim.policy import Decision, Verdict, decide
from sgw_sim.profile import load_gateway
from wire.token import ALL_SCOPES, Scope
from wire.uds import Nrc

VAG, MERCEDES, FCA = "vag-j533", "mercedes-eis", "fca-sgw"
VAG_SFD2 = "vag-j533-sfd2"
MAKES = (VAG, MERCEDES, FCA)
ALLOW, BLOCK = True, False

LOCKED = [
    # request behind the gateway, VAG, Mercedes, FCA
    ("10 01", ALLOW, ALLOW, ALLOW),
    ("10 03", ALLOW, ALLOW, ALLOW),
    ("10 83", ALLOW, ALLOW, ALLOW),
    ("3E 00", ALLOW, ALLOW, ALLOW),
    ("3E 80", ALLOW, ALLOW, ALLOW),
    ("19 02 FF", ALLOW, ALLOW, ALLOW),
    ("22 F1 90", ALLOW, ALLOW, ALLOW),
    ("22 01 74", ALLOW, ALLOW, ALLOW),
    ("14 FF FF FF", ALLOW, ALLOW, BLOCK),
    ("31 01 C0 08", ALLOW, BLOCK, BLOCK),
    ("31 01 C0 04 00 01 02", ALLOW, BLOCK, BLOCK),
    ("27 03", BLOCK, BLOCK, BLOCK),
    ("27 04 11 22 33 44", BLOCK, BLOCK, BLOCK),
    ("29 00", BLOCK, BLOCK, BLOCK),
    ("29 01 00 00 01 00 00 00", BLOCK, BLOCK, BLOCK),
    ("2E F1 99 26 01 01", BLOCK, BLOCK, BLOCK),
    ("2E 06 00 00", BLOCK, BLOCK, BLOCK),
    ("2F 06 00 03", BLOCK, BLOCK, BLOCK),
    ("31 01 02 03", BLOCK, BLOCK, BLOCK),
    ("31 02 C0 08", BLOCK, BLOCK, BLOCK),
    ("31 03 C0 04", BLOCK, BLOCK, BLOCK),
    ("31 01 C0 05", BLOCK, BLOCK, BLOCK),
    ("31 01 C0", BLOCK, BLOCK, BLOCK),
    ("31", BLOCK, BLOCK, BLOCK),
    ("11 01", BLOCK, BLOCK, BLOCK),
    ("11 81", BLOCK, BLOCK, BLOCK),
    ("28 00 01", BLOCK, BLOCK, BLOCK),
    ("85 02", BLOCK, BLOCK, BLOCK),
    ("34 00 44", BLOCK, BLOCK, BLOCK),
    ("35 00 44", BLOCK, BLOCK, BLOCK),
    ("36 01 00", BLOCK, BLOCK, BLOCK),
    ("37", BLOCK, BLOCK, BLOCK),
    ("38 01", BLOCK, BLOCK, BLOCK),
    ("3D 11 00", BLOCK, BLOCK, BLOCK),
]
UNLISTED = [
    "23 11 00 00",
    "24 F1 90",
    "2A 01",
    "2C 01 F2 00",
    "83 01",
    "86 00",
    "87 01",
    "00",
    "7F 22 33",
    "62 F1 90",
    "BA",
]
NRC_OF = {VAG: Nrc.securityAccessDenied, MERCEDES: Nrc.authenticationRequired, FCA: None}


def secured(inner: str, administrative: int = 0x0001) -> str:
    """SecuredDataTransmission: administrative parameter 2, calculation 1, signature length 2, counter 2, inner, signature."""
    return f"84 {administrative:04X} 00 0004 0001 {inner} DEADBEEF"


def judged(make: str, request: str | bytes, *, armed: bool = True, granted: Scope | int = 0) -> Decision:
    payload = bytes.fromhex(request) if isinstance(request, str) else request
    return decide(load_gateway(make).policy, payload, armed=armed, released=lambda scope: scope & granted == scope)


def passes(make: str, request: str | bytes, **state: object) -> bool:
    return judged(make, request, **state).verdict is Verdict.ALLOW


@pytest.mark.parametrize(("column", "make"), list(enumerate(MAKES, 1)))
@pytest.mark.parametrize("row", LOCKED, ids=[row[0] for row in LOCKED])
def test_a_locked_gateway_follows_the_table(row: tuple, column: int, make: str) -> None:
    assert passes(make, row[0]) is row[column]


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("request_", UNLISTED)
def test_what_is_not_listed_is_blocked(make: str, request_: str) -> None:
    assert not passes(make, request_)


@given(st.sampled_from(MAKES), st.binary(max_size=40))
def test_nothing_but_the_tables_services_ever_passes_a_locked_gateway(make: str, request_: bytes) -> None:
    free = {
        VAG: {0x10, 0x3E, 0x19, 0x22, 0x14},
        MERCEDES: {0x10, 0x3E, 0x19, 0x22, 0x14},
        FCA: {0x10, 0x3E, 0x19, 0x22},
    }
    if passes(make, request_):
        inner = request_[8:] if make == VAG and request_[0] == 0x84 else request_
        unlock = make == VAG and len(inner) > 1 and (inner[0], inner[1] & 0x7F, *inner[2:3]) == (0x31, 0x01, 0xC0)
        assert inner[0] in free[make] or unlock


@pytest.mark.parametrize("make", MAKES)
def test_an_empty_request_is_blocked(make: str) -> None:
    assert not passes(make, b"")


@pytest.mark.parametrize("make", MAKES)
def test_the_suppress_bit_neither_opens_nor_closes(make: str) -> None:
    for request in ("31 81 C0 08", "31 81 02 03", "27 83", "19 82 FF"):
        plain = bytes.fromhex(request)
        assert passes(make, request) is passes(make, bytes((plain[0], plain[1] & 0x7F)) + plain[2:])


@pytest.mark.parametrize("make", MAKES)
def test_a_refusal_is_the_makes_own(make: str) -> None:
    decision = judged(make, "2E 06 00 00")
    assert load_gateway(make).policy.refusal_nrc == NRC_OF[make]
    assert decision.verdict is (Verdict.DROP if NRC_OF[make] is None else Verdict.REFUSE)
    assert "2E 06 00 00" in decision.reason


@pytest.mark.parametrize(("inner", "vag"), [(row[0], row[1]) for row in LOCKED], ids=[row[0] for row in LOCKED])
def test_what_is_wrapped_is_judged_by_its_inner_service(inner: str, vag: bool) -> None:
    assert passes(VAG, secured(inner)) is vag
    assert not passes(MERCEDES, secured(inner))
    assert not passes(FCA, secured(inner))


@pytest.mark.parametrize(
    "request_",
    [
        "84",
        "84 00 01 00 00 00 00",
        "84 00 01 00 00 00 00 01",
        secured(secured("22 F1 90")),
        secured("22 F1 90", 0x0011),
    ],
    ids=["bare", "cut off", "nothing inside", "wrapped twice", "encrypted, so nobody can judge it"],
)
def test_a_wrapping_whose_inside_cannot_be_judged_is_blocked(request_: str) -> None:
    assert not passes(VAG, request_)


@pytest.mark.parametrize("make", [*MAKES, VAG_SFD2])
@pytest.mark.parametrize("inner", ["3E", "10", "31", "31 81", "84", "00"])
def test_a_request_of_a_byte_or_two_is_judged_wrapped_or_not(make: str, inner: str) -> None:
    """What a signature's length leaves of it is all that counts: nothing behind it is read as its parameters."""
    free = inner in ("3E", "10")
    assert passes(make, inner) is free
    for signature in ("", "01 C0 08", "DE AD BE EF"):
        length = len(bytes.fromhex(signature))
        wrapped = f"84 0001 01 {length:04X} 0001 {inner} {signature}"
        assert passes(make, wrapped) is (free and make in (VAG, VAG_SFD2))


@given(st.sampled_from((*MAKES, VAG_SFD2)), st.binary(max_size=24), st.booleans())
def test_whatever_is_wrapped_is_judged_and_never_breaks_the_gateway(make: str, rest: bytes, armed: bool) -> None:
    assert judged(make, b"\x84" + rest, armed=armed).verdict in Verdict


SIGNED = 0x0021


@pytest.mark.parametrize("row", LOCKED, ids=[row[0] for row in LOCKED])
def test_a_gateway_of_a_car_with_sfd2_leaves_a_signed_change_to_the_unit(row: tuple) -> None:
    assert passes(VAG_SFD2, row[0]) is row[1], "plain requests are judged as ever"
    assert passes(VAG_SFD2, secured(row[0])) is row[1], "and so are those that are wrapped and not signed"
    assert passes(VAG_SFD2, secured(row[0], SIGNED))
    assert passes(VAG, secured(row[0], SIGNED)) is row[1], "without SFD2 a signature means nothing"


@pytest.mark.parametrize(
    "request_",
    [
        "84 0021 01 0000 0001 2E 06 00 00",
        "84 0031 01 0004 0001 2E 06 00 00 DE AD BE EF",
        "84 0021 01 0008 0001 2E 06 00 00 DE AD BE EF",
        "84 0021 01 0004 0001 84 0021 01 0004 0001 2E 06 00 00 DE AD BE EF",
        "84 0021 01",
    ],
    ids=["says signed, and no signature", "encrypted", "a signature and nothing inside", "wrapped twice", "cut off"],
)
def test_what_only_looks_like_a_signed_change_stays_blocked(request_: str) -> None:
    assert not passes(VAG_SFD2, request_)


@pytest.mark.parametrize("row", LOCKED, ids=[row[0] for row in LOCKED])
def test_a_disarmed_filter_lets_everything_through(row: tuple) -> None:
    assert passes(VAG, row[0], armed=False)


@pytest.mark.parametrize(
    "request_", ["27 03", "29 00", "2E 06 00 00", "2F 06 00 03", "31 01 02 03", "11 01", "28 00 01"]
)
def test_a_grant_of_all_scopes_opens_the_certificate_gateway(request_: str) -> None:
    assert passes(MERCEDES, request_, granted=ALL_SCOPES)


def test_a_grant_opens_its_own_scope_alone() -> None:
    assert passes(MERCEDES, "2E 06 00 00", granted=Scope.CODING)
    for request in ("27 03", "31 01 02 03", "11 01", "2F 06 00 03", "34 00 44"):
        assert not passes(MERCEDES, request, granted=Scope.CODING)


@pytest.mark.parametrize("request_", ["84 00 01 00 00 00 00 01 22 F1 90", *UNLISTED])
def test_no_grant_opens_what_no_scope_names(request_: str) -> None:
    assert not passes(MERCEDES, request_, granted=ALL_SCOPES)


@pytest.mark.parametrize("request_", ["27 03", "2E 06 00 00", "31 01 02 03"])
def test_the_bonnets_filter_knows_no_grants(request_: str) -> None:
    """With Volkswagen the grants are in the units; J533 opens by the bonnet."""
    assert not passes(VAG, request_, granted=ALL_SCOPES)
