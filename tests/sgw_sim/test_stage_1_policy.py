"""What a locked gateway of stage 1 lets through (domain facts, section 4, "MB stage 1, behind"), written from the table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sgw_sim.policy import Verdict, decide
from sgw_sim.profile import load_gateway
from wire.token import ALL_SCOPES, Scope
from wire.uds import Nrc

FREE = ["10 01", "10 83", "3E 00", "3E 80", "19 02 FF", "22 F1 90", "14 FF FF FF"]
BLOCKED = {
    "27 03": Scope.SECURITY_ACCESS,
    "27 09": Scope.SECURITY_ACCESS,
    "29 08": Scope.SECURITY_ACCESS,
    "2E 06 00 00": Scope.CODING,
    "2F 06 00 03": Scope.OUTPUT_TESTS,
    "31 01 02 03": Scope.ROUTINES,
    "11 01": Scope.RESET,
    "28 00 01": Scope.COMMUNICATION,
    "85 02": Scope.COMMUNICATION,
    "34 00 44": Scope.PARAMETRISATION,
    "35 00 44": Scope.PARAMETRISATION,
    "36 01 00": Scope.PARAMETRISATION,
    "37": Scope.PARAMETRISATION,
    "38 01": Scope.PARAMETRISATION,
    "3D 11 00": Scope.PARAMETRISATION,
}


def verdict(request: str, granted: Scope) -> Verdict:
    policy = load_gateway("mercedes-eis-stage1").policy
    return decide(policy, bytes.fromhex(request), armed=True, released=lambda scope: scope & granted == scope).verdict


@pytest.mark.parametrize("request_", FREE)
def test_identification_trouble_codes_and_their_clearing_always_pass(request_: str) -> None:
    assert verdict(request_, Scope(0)) is Verdict.ALLOW


@pytest.mark.parametrize(("request_", "scope"), BLOCKED.items())
def test_the_rest_passes_with_its_scope_alone(request_: str, scope: Scope) -> None:
    assert verdict(request_, Scope(0)) is Verdict.REFUSE
    assert verdict(request_, ALL_SCOPES & ~scope) is Verdict.REFUSE
    assert verdict(request_, scope) is Verdict.ALLOW


@pytest.mark.parametrize("request_", ["84 00 01 00 00 04 00 01 22 F1 90 DE AD BE EF", "83 01", "23 11 00 00"])
def test_what_is_not_listed_passes_with_no_grant(request_: str) -> None:
    assert verdict(request_, ALL_SCOPES) is Verdict.REFUSE


def test_the_refusal_is_securityAccessDenied_and_nothing_else_differs_from_the_certificate_gateway() -> None:
    stage_1, certificate = load_gateway("mercedes-eis-stage1"), load_gateway("mercedes-eis")
    assert stage_1.policy == replace(certificate.policy, refusal_nrc=Nrc.securityAccessDenied)
    assert stage_1.lock == certificate.lock == "grant"
