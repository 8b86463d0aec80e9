"""Changes for SFD2: signed one by one, online, for who may; each with a record that says exactly which change it was."""

import hashlib
from dataclasses import replace

import pytest
from portal_people import CLUSTER, VIN, Counter, Visitor, backend_keys, manager

from portal_sim.options import MakePolicy
from wire import portal_api as api
from wire.portal_api import AuditRecord, PortalErrorCode, UnlockKind
from wire.secured import Administrative, SecuredMessage
from wire.signed_change import (
    CALCULATION_ED25519,
    ChangeOrder,
    ChangeRequest,
    ChangeSignature,
    Place,
)
from wire.token import Generation, RequestStructure, Role, Scope, key_id

REQUEST = ChangeRequest(
    structure=RequestStructure(ecu_address=CLUSTER, vin=VIN, nonce=bytes(range(16)), generation=Generation.SFD2),
    last_counter=4,
)
MESSAGE = SecuredMessage(
    administrative=Administrative.REQUEST | Administrative.SIGNED,
    calculation=CALCULATION_ED25519,
    counter=5,
    inner=bytes.fromhex("2E060001"),
)
SENT = replace(MESSAGE, signature=bytes(94))
"""As it will go over the wire, but for the signature's content."""


def order(request: ChangeRequest = REQUEST, message: SecuredMessage = MESSAGE) -> bytes:
    return ChangeOrder(request=request, message=message).encode()


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def person(counter: Counter) -> Visitor:
    person = manager(counter)
    person.log_in()
    return person


def ask(person: Visitor, **changes: object) -> api.Unlock:
    fields: dict[str, object] = {
        "session": person.session,
        "kind": UnlockKind.SIGNED_CHANGE,
        "make": "vag",
        "vin": VIN,
        "ecu_address": CLUSTER,
        "role": Role.AFTER_SALES,
        "scope": Scope.CODING,
        "challenge": order(),
    }
    return person.counter.call(api.RequestUnlock(**{**fields, **changes}))


def signed(counter: Counter) -> list[AuditRecord]:
    return [record for record in counter.portal.audit_log() if record.action == "change signed"]


def test_a_change_is_signed_for_its_vehicle_unit_and_request(person: Visitor) -> None:
    signature = ChangeSignature.decode(ask(person).payload)
    key = backend_keys().token_key.public_key()
    place = Place(vin=VIN, ecu_address=CLUSTER, nonce=REQUEST.structure.nonce)
    assert signature.signed_by(key, place, MESSAGE)
    assert not signature.signed_by(key, place, replace(MESSAGE, inner=bytes.fromhex("2E060002")))
    assert signature.claims.key_id == key_id(key)
    assert (signature.claims.role, signature.claims.scope) == (Role.AFTER_SALES, Scope.CODING)


def test_the_record_says_who_and_exactly_which_change(counter: Counter, person: Visitor) -> None:
    unlock = ask(person)
    (record,) = signed(counter)
    change_id = ChangeSignature.decode(unlock.payload).claims.change_id
    digest = hashlib.sha256(SENT.encode()[:-94]).hexdigest()
    assert record.subject == f"signed-change:{change_id.hex()}:{digest}"
    assert (record.audit_id, record.person, record.vin, record.ecu_address) == (
        unlock.audit_id,
        person.email,
        VIN,
        CLUSTER,
    )
    assert (record.role, record.scope, record.company) == (Role.AFTER_SALES, Scope.CODING, "Example Workshop Ltd")


def test_two_changes_are_two_signatures_and_two_records(counter: Counter, person: Visitor) -> None:
    assert ask(person).payload != ask(person).payload
    assert len(signed(counter)) == 2
    assert len({record.subject for record in signed(counter)}) == 2


def test_one_login_is_enough_for_all_changes_of_a_session(person: Visitor) -> None:
    for _ in range(5):
        ask(person)


def test_a_make_may_want_a_code_for_each_change() -> None:
    policy = MakePolicy(
        second_factor="per_login", kinds=frozenset((UnlockKind.SIGNED_CHANGE,)), change_second_factor="per_unlock"
    )
    counter = Counter(makes={"vag": policy})
    person = manager(counter)
    person.log_in()
    with counter.refused(PortalErrorCode.SECOND_FACTOR_REQUIRED):
        ask(person)
    counter.wait_for_step()
    code = person.code()
    ask(person, code=code)
    with counter.refused(PortalErrorCode.CODE_REJECTED):
        ask(person, code=code)
    assert len(signed(counter)) == 1


def test_a_change_that_is_refused_burns_no_code() -> None:
    policy = MakePolicy(
        second_factor="per_unlock", kinds=frozenset((UnlockKind.SIGNED_CHANGE,)), change_second_factor="per_unlock"
    )
    counter = Counter(makes={"vag": policy})
    person = manager(counter)
    person.log_in()
    counter.wait_for_step()
    code = person.code()
    with counter.refused(PortalErrorCode.REQUEST_STRUCTURE_INVALID):
        ask(person, code=code, challenge=b"nothing to sign")
    ask(person, code=code)


def test_nobody_carries_a_change_by_hand(counter: Counter, person: Visitor) -> None:
    with counter.refused(PortalErrorCode.INVALID_INPUT) as refusal:
        ask(person, manual=True)
    assert refusal.value.sentence == "Each change is signed online for itself: it cannot be carried by hand."
    assert not signed(counter)


WRONG_ORDERS = {
    "nothing": b"",
    "cut off": order()[:-5],
    "a token's request": REQUEST.structure.encode(),
    "other VIN": order(replace(REQUEST, structure=replace(REQUEST.structure, vin="WVWZZZCD4MW000002"))),
    "other unit": order(replace(REQUEST, structure=replace(REQUEST.structure, ecu_address=CLUSTER + 1))),
    "first generation": order(replace(REQUEST, structure=replace(REQUEST.structure, generation=Generation.SFD))),
    "counter used before": order(message=replace(MESSAGE, counter=4)),
    "counter of long ago": order(message=replace(MESSAGE, counter=0)),
    "encrypted": order(message=replace(MESSAGE, administrative=MESSAGE.administrative | Administrative.ENCRYPTED)),
    "for a key of its own": order(message=replace(MESSAGE, administrative=0x29)),
    "not to be signed": order(message=replace(MESSAGE, administrative=Administrative.REQUEST)),
    "other calculation": order(message=replace(MESSAGE, calculation=2)),
    "signed already": order(message=replace(MESSAGE, signature=b"\x01")),
    "wrapped twice": order(message=replace(MESSAGE, inner=MESSAGE.encode())),
}


@pytest.mark.parametrize("name", WRONG_ORDERS)
def test_what_is_no_good_order_is_not_signed(counter: Counter, person: Visitor, name: str) -> None:
    with counter.refused(PortalErrorCode.REQUEST_STRUCTURE_INVALID):
        ask(person, challenge=WRONG_ORDERS[name])
    assert not signed(counter)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"role": Role.DEVELOPMENT}, PortalErrorCode.NOT_ENTITLED),
        ({"make": "mercedes"}, PortalErrorCode.INVALID_INPUT),
        ({"scope": 0}, PortalErrorCode.INVALID_INPUT),
        ({"session": "0" * 48}, PortalErrorCode.SESSION_INVALID),
        ({"vin": "short"}, PortalErrorCode.INVALID_INPUT),
    ],
)
def test_who_may_not_gets_nothing(counter: Counter, person: Visitor, changes: dict, code: PortalErrorCode) -> None:
    with counter.refused(code):
        ask(person, **changes)
    assert not signed(counter)


def test_a_password_alone_signs_nothing(counter: Counter) -> None:
    person = manager(counter)
    with counter.refused(PortalErrorCode.SECOND_FACTOR_REQUIRED):
        ask(person, session=person.browser)


def test_a_signed_change_can_be_revoked_by_its_record(counter: Counter, person: Visitor) -> None:
    unlock = ask(person)
    counter.portal.operators.revoke_unlock(unlock.audit_id, counter.now_s)
    claims = ChangeSignature.decode(unlock.payload).claims
    assert counter.portal.key_set().revoked_tokens == {claims.change_id}
