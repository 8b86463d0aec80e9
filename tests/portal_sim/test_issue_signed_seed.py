"""Keys for a gateway's seed: who gets one, for what, and what the audit log says."""

from __future__ import annotations

from typing import Any

import pytest
from portal_people import VIN, Counter, Visitor, colleague, manager

from wire import portal_api as api
from wire.portal_api import PortalErrorCode, UnlockKind
from wire.signed_seed import SeedRequest, key_fits, seed_id, signed_bytes
from wire.token import ALL_SCOPES, Role, Scope

GATEWAY = 0x20
SEED = bytes(range(32))
REQUEST = SeedRequest(level=9, seed=SEED)


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def person(counter: Counter) -> Visitor:
    person = manager(counter)
    person.log_in()
    return person


def wish(person: Visitor, **changes: Any) -> api.RequestUnlock:
    fields = {
        "session": person.session,
        "kind": UnlockKind.SIGNED_SEED,
        "make": "mercedes",
        "vin": VIN,
        "ecu_address": GATEWAY,
        "role": Role.AFTER_SALES,
        "scope": int(ALL_SCOPES),
        "challenge": REQUEST.encode(),
        **changes,
    }
    return api.RequestUnlock(**fields)


def issued(counter: Counter) -> list[api.AuditRecord]:
    return [record for record in counter.portal.audit_log() if record.action == "unlock issued"]


def test_a_key_is_the_signature_over_vehicle_unit_level_and_seed(counter: Counter, person: Visitor) -> None:
    unlock = counter.call(wish(person))
    public_key = counter.portal.keys.token_key.public_key()
    assert key_fits(public_key, unlock.payload, signed_bytes(VIN, GATEWAY, REQUEST))
    assert unlock.expires_utc_s == counter.now_s + 300


def test_the_audit_record_names_person_vehicle_unit_and_the_seeds_digest(counter: Counter, person: Visitor) -> None:
    unlock = counter.call(wish(person))
    (record,) = issued(counter)
    assert record.audit_id == unlock.audit_id
    assert (record.person, record.make, record.vin, record.ecu_address) == (person.email, "mercedes", VIN, GATEWAY)
    assert (record.role, record.scope) == (Role.AFTER_SALES, ALL_SCOPES)
    assert record.subject == f"signed-seed:{seed_id(SEED).hex()}"
    assert SEED.hex() not in repr(record)


def test_mercedes_asks_for_no_code_at_the_unlock(counter: Counter, person: Visitor) -> None:
    """Second factor per login: the session is proof enough."""
    counter.call(wish(person, code=None))


@pytest.mark.parametrize(
    "changes",
    [
        {"role": Role.AFTER_MARKET},
        {"scope": int(Scope.CODING)},
        {"scope": int(ALL_SCOPES) & ~int(Scope.RESET)},
    ],
)
def test_what_a_key_cannot_say_cannot_be_asked_for(counter: Counter, person: Visitor, changes: dict[str, int]) -> None:
    with counter.refused(PortalErrorCode.INVALID_INPUT) as refusal:
        counter.call(wish(person, **changes))
    assert "AFTER_SALES with every scope" in refusal.value.sentence
    assert issued(counter) == []


def test_who_may_more_gets_no_more_by_a_key(counter: Counter, person: Visitor) -> None:
    with counter.refused(PortalErrorCode.NOT_ENTITLED):
        counter.call(wish(person, role=Role.DEVELOPMENT))
    counter.portal.operators.entitle(person.email, "mercedes", Role.DEVELOPMENT, counter.now_s)
    with counter.refused(PortalErrorCode.INVALID_INPUT):
        counter.call(wish(person, role=Role.DEVELOPMENT))


@pytest.mark.parametrize(
    "challenge",
    [b"", SEED, REQUEST.encode()[:-1], b"SR" + REQUEST.encode()[2:], b"SS\x01\x0a" + SEED, b"SS\x01\x09" + bytes(32)],
)
def test_what_is_no_seed_is_not_signed(counter: Counter, person: Visitor, challenge: bytes) -> None:
    with counter.refused(PortalErrorCode.REQUEST_STRUCTURE_INVALID):
        counter.call(wish(person, challenge=challenge))
    assert issued(counter) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"make": "vag"}, PortalErrorCode.INVALID_INPUT),
        ({"vin": "SHORT"}, PortalErrorCode.INVALID_INPUT),
        ({"ecu_address": 0x1_0000}, PortalErrorCode.INVALID_INPUT),
        ({"manual": True}, PortalErrorCode.INVALID_INPUT),
        ({"session": "0" * 48}, PortalErrorCode.SESSION_INVALID),
    ],
)
def test_every_other_condition_holds_as_for_other_unlocks(
    counter: Counter, person: Visitor, changes: dict[str, Any], code: PortalErrorCode
) -> None:
    with counter.refused(code):
        counter.call(wish(person, **changes))
    assert issued(counter) == []


def test_a_password_alone_gets_no_key(counter: Counter) -> None:
    person = manager(counter)
    with counter.refused(PortalErrorCode.SECOND_FACTOR_REQUIRED):
        counter.call(wish(person, session=person.browser))


def test_who_asks_again_after_a_lost_connection_gets_the_same_key_and_a_record_of_it(
    counter: Counter, person: Visitor
) -> None:
    first, second = counter.call(wish(person)), counter.call(wish(person))
    assert first.payload == second.payload
    assert first.audit_id != second.audit_id
    assert len(issued(counter)) == 2


def test_nobody_gets_the_key_for_a_seed_that_was_answered_for_somebody_else(counter: Counter, person: Visitor) -> None:
    counter.call(wish(person))
    other = colleague(counter, person)
    other.log_in()
    with counter.refused(PortalErrorCode.REQUEST_STRUCTURE_INVALID) as refusal:
        counter.call(wish(other))
    assert "fetch a new one" in refusal.value.sentence
    assert len(issued(counter)) == 1
    counter.call(wish(other, challenge=SeedRequest(level=9, seed=SEED[::-1]).encode()))


def test_a_revoked_unlock_is_in_the_key_set_by_its_seeds_digest(counter: Counter, person: Visitor) -> None:
    unlock = counter.call(wish(person))
    assert counter.portal.key_set().revoked_tokens == frozenset()
    counter.portal.operators.revoke_unlock(unlock.audit_id, counter.now_s)
    assert counter.portal.key_set().revoked_tokens == {seed_id(SEED)}
    assert counter.portal.key_set().revoked_serials == frozenset()
