"""The issue of tokens and certificates: to whom, for what, with which record; every missing condition refused by name."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from portal_people import CLUSTER, VIN, Counter, Visitor, checked, colleague, manager, signed_in

from portal_sim.memory_store import MemoryStore
from portal_sim.records import KeptReply
from wire import portal_api as api
from wire.diag_cert import DiagnosticClaims, claims_of, decode_chain
from wire.errors import LocalMisuse
from wire.portal_api import AuditRecord, PortalErrorCode, UnlockKind
from wire.token import Generation, RequestStructure, Role, Scope, Token, key_id

pytestmark = pytest.mark.every_store

GATEWAY = 0x7A0
STRUCTURE = RequestStructure(ecu_address=CLUSTER, vin=VIN, nonce=bytes(range(16)))
TESTER_KEY = ec.derive_private_key(12345, ec.SECP256R1()).public_key()


def spki(key: object) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


CERTIFICATE = {
    "kind": UnlockKind.CERTIFICATE,
    "make": "mercedes",
    "ecu_address": GATEWAY,
    "challenge": spki(TESTER_KEY),
    "code": None,
}


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def person(counter: Counter) -> Visitor:
    """A validated workshop manager, logged in on the tester."""
    person = manager(counter)
    person.log_in()
    return person


def issued(counter: Counter) -> list[AuditRecord]:
    return [record for record in counter.portal.audit_log() if record.action == "unlock issued"]


# ---- who lacks something gets nothing


def no_session(counter: Counter) -> tuple[Visitor, dict[str, object]]:
    return manager(counter), {"session": "0" * 48, "code": "000000"}


def session_over(counter: Counter) -> tuple[Visitor, dict[str, object]]:
    person = manager(counter)
    person.log_in()
    counter.wait(3600)
    return person, {}


def logged_out(counter: Counter) -> tuple[Visitor, dict[str, object]]:
    person = manager(counter)
    person.log_in()
    counter.call(api.Logout(session=person.session))
    return person, {}


def password_alone(counter: Counter) -> tuple[Visitor, dict[str, object]]:
    person = manager(counter)
    return person, {"session": person.browser}


def not_checked(counter: Counter) -> tuple[Visitor, dict[str, object]]:
    person = signed_in(counter)
    person.log_in()
    return person, {}


def check_in_progress(counter: Counter) -> tuple[Visitor, dict[str, object]]:
    person = signed_in(counter)
    person.fill_in()
    person.hand_in()
    person.log_in()
    return person, {}


def check_refused(counter: Counter) -> tuple[Visitor, dict[str, object]]:
    person = signed_in(counter)
    person.fill_in()
    person.hand_in(video=api.FaceVideo(motion=0.0))
    counter.wait(1200)
    person.log_in()
    return person, {}


def no_company(counter: Counter) -> tuple[Visitor, dict[str, object]]:
    person = checked(counter)
    person.log_in()
    return person, {}


def company_pending(counter: Counter) -> tuple[Visitor, dict[str, object]]:
    person = checked(counter)
    person.company()
    person.log_in()
    return person, {}


def company_revoked(counter: Counter) -> tuple[Visitor, dict[str, object]]:
    person = manager(counter)
    person.log_in()
    counter.portal.operators.revoke_company(person.email, counter.now_s)
    return person, {}


def out_of_the_company(counter: Counter) -> tuple[Visitor, dict[str, object]]:
    boss = manager(counter)
    person = colleague(counter, boss)
    boss.disassociate(person)
    person.log_in()
    return person, {}


def asking_for(**wish: object) -> Callable[[Counter], tuple[Visitor, dict[str, object]]]:
    def row(counter: Counter) -> tuple[Visitor, dict[str, object]]:
        person = manager(counter)
        person.log_in()
        return person, wish

    return row


MISSING = {
    "session": (no_session, "session-invalid"),
    "session, it ran out": (session_over, "session-invalid"),
    "session, logged out": (logged_out, "session-invalid"),
    "second factor at the login": (password_alone, "second-factor-required"),
    "second factor at the unlock": (asking_for(code=None), "second-factor-required"),
    "right code": (asking_for(code="x"), "code-rejected"),
    "identity check": (not_checked, "identity-not-verified"),
    "identity check, in progress": (check_in_progress, "identity-not-verified"),
    "identity check, refused": (check_refused, "identity-not-verified"),
    "company": (no_company, "company-not-validated"),
    "validation of the company": (company_pending, "company-not-validated"),
    "company, revoked": (company_revoked, "company-revoked"),
    "place in the company": (out_of_the_company, "disassociated"),
    "role": (asking_for(role=Role.DEVELOPMENT), "not-entitled"),
    "known role": (asking_for(role=0), "not-entitled"),
    "role of one byte": (asking_for(role=300), "not-entitled"),
    "known make": (asking_for(make="other"), "not-entitled"),
}


PER_UNLOCK = {"second factor at the unlock", "right code"}


@pytest.mark.parametrize("missing", MISSING)
def test_who_lacks_one_condition_gets_no_token(counter: Counter, missing: str) -> None:
    prepare, code = MISSING[missing]
    person, wish = prepare(counter)
    with counter.refused(PortalErrorCode(code)):
        person.ask(**wish)
    assert issued(counter) == []


@pytest.mark.parametrize("missing", sorted(MISSING.keys() - PER_UNLOCK))
def test_who_lacks_one_condition_gets_no_certificate(counter: Counter, missing: str) -> None:
    prepare, code = MISSING[missing]
    person, wish = prepare(counter)
    with counter.refused(PortalErrorCode(code)):
        person.ask(**{**CERTIFICATE, **wish})
    assert issued(counter) == []


# ---- who has all gets a token, and a record says so


def test_a_token_says_what_was_asked_for_and_nothing_else(counter: Counter, person: Visitor) -> None:
    unlock = person.ask(challenge=STRUCTURE.encode(), scope=Scope.CODING | Scope.ADAPTATION)
    token = Token.decode(unlock.payload)
    (public,) = (Ed25519PublicKey.from_public_bytes(raw) for raw in counter.call(api.GetKeySet()).token_keys)
    assert token.signed_by(public)
    claims = token.claims
    assert (claims.vin, claims.ecu_address, claims.nonce) == (VIN, CLUSTER, STRUCTURE.nonce)
    assert (claims.role, claims.scope) == (Role.AFTER_SALES, Scope.CODING | Scope.ADAPTATION)
    assert (claims.key_id, claims.generation, claims.duration_min) == (key_id(public), Generation.SFD, 90)
    assert claims.not_before_utc_s <= counter.now_s < claims.not_after_utc_s == unlock.expires_utc_s
    assert claims.not_after_utc_s - counter.now_s == 600


def test_a_certificate_is_for_the_testers_own_key_and_ends_at_the_root(counter: Counter, person: Visitor) -> None:
    unlock = person.ask(**CERTIFICATE)
    leaf, backend_ca = decode_chain(unlock.payload)
    root = x509.load_der_x509_certificate(counter.call(api.GetKeySet()).root_ca)
    leaf.verify_directly_issued_by(backend_ca)
    backend_ca.verify_directly_issued_by(root)
    assert leaf.public_key() == TESTER_KEY
    assert claims_of(leaf) == DiagnosticClaims(vin=VIN, ecu_address=GATEWAY, role=Role.AFTER_SALES, scope=Scope.CODING)
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    begin_s, end_s = leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp()
    assert begin_s <= counter.now_s < end_s == unlock.expires_utc_s == counter.now_s + 3600


def test_mercedes_is_content_with_the_second_factor_of_the_login(counter: Counter, person: Visitor) -> None:
    assert person.ask(**CERTIFICATE).payload != person.ask(**CERTIFICATE).payload


@pytest.mark.parametrize("wish", [{}, CERTIFICATE], ids=["token", "certificate"])
def test_the_record_names_person_vehicle_unit_scope_and_time(
    counter: Counter, person: Visitor, wish: dict[str, object]
) -> None:
    unlock = person.ask(**wish)
    (record,) = issued(counter)
    assert record is counter.portal.audit_log()[-1]
    assert record.audit_id == unlock.audit_id
    assert (record.person, record.company) == (person.email, "Example Workshop Ltd")
    assert (record.make, record.vin) == (wish.get("make", "vag"), VIN)
    assert record.ecu_address == wish.get("ecu_address", CLUSTER)
    assert (record.role, record.scope, record.utc_s) == (Role.AFTER_SALES, Scope.CODING, counter.now_s)
    if wish:
        assert record.subject == f"certificate:{decode_chain(unlock.payload)[0].serial_number:x}"
    else:
        assert record.subject == f"sfd-token:{Token.decode(unlock.payload).claims.token_id.hex()}"


class BrokenStore(MemoryStore):
    """Fails once, in the moment of the issue."""

    broken = True

    def issue_with_audit(self, issue_key: str, record: AuditRecord, reply: KeptReply | None = None) -> None:
        super().issue_with_audit(issue_key, record, reply)
        if self.broken:
            raise OSError("disk full")


@pytest.mark.parametrize("wish", [{}, CERTIFICATE], ids=["token", "certificate"])
def test_without_its_record_nothing_is_issued(wish: dict[str, object]) -> None:
    store = BrokenStore()
    counter = Counter(store=store)
    person = manager(counter)
    person.log_in()
    with pytest.raises(OSError, match="disk full"):
        person.ask(**wish)
    assert issued(counter) == []
    store.broken = False
    assert person.ask(**{"code": person.code(), **wish}).audit_id == issued(counter)[0].audit_id


# ---- roles


def test_an_entitlement_is_for_one_person_one_make_and_one_role(counter: Counter, person: Visitor) -> None:
    other = colleague(counter, person)
    other.log_in()
    counter.portal.operators.entitle(person.email, "vag", Role.DEVELOPMENT, counter.now_s)
    assert Token.decode(person.ask(role=Role.DEVELOPMENT).payload).claims.role == Role.DEVELOPMENT
    with counter.refused(PortalErrorCode.NOT_ENTITLED):
        other.ask(role=Role.DEVELOPMENT)
    with counter.refused(PortalErrorCode.NOT_ENTITLED):
        person.ask(**CERTIFICATE, role=Role.DEVELOPMENT)


@pytest.mark.parametrize("role", [0, 4, -1, 256, 300])
def test_an_entitlement_to_a_role_that_there_is_not_is_the_operators_mistake(
    counter: Counter, person: Visitor, role: int
) -> None:
    with pytest.raises(LocalMisuse, match=f"no role {role}.*AFTER_MARKET 1, AFTER_SALES 2, DEVELOPMENT 3"):
        counter.portal.operators.entitle(person.email, "vag", role, counter.now_s)
    with counter.refused(PortalErrorCode.NOT_ENTITLED):
        person.ask(role=role)


def test_an_entitlement_for_a_make_that_the_portal_does_not_know_is_one_too(counter: Counter, person: Visitor) -> None:
    with pytest.raises(LocalMisuse, match=r"no make 'vw'.*vag"):
        counter.portal.operators.entitle(person.email, "vw", Role.DEVELOPMENT, counter.now_s)


@pytest.mark.parametrize("wish", [{}, CERTIFICATE], ids=["token", "certificate"])
def test_a_lock_out_holds_the_unlocks_of_a_live_session_until_a_reset(wish: dict[str, object]) -> None:
    counter = Counter(max_failures=1)
    boss = manager(counter)
    person = colleague(counter, boss)
    person.log_in()
    with counter.refused(PortalErrorCode.LOGIN_FAILED):
        person.begin("wrong")
    with counter.refused(PortalErrorCode.LOCKED_OUT):
        person.ask(**wish)
    assert issued(counter) == []
    assert person.status().manager is False  # the pages still show what they show
    boss.reset_second_factor(person)
    person.log_in()
    assert person.ask(**wish).payload


def test_one_wrong_password_does_not_hold_a_certificate_up(counter: Counter, person: Visitor) -> None:
    with counter.refused(PortalErrorCode.LOGIN_FAILED):
        person.begin("wrong")
    assert person.ask(**CERTIFICATE).payload


def test_a_refusal_for_a_role_stands_in_the_audit_log(counter: Counter, person: Visitor) -> None:
    with counter.refused(PortalErrorCode.NOT_ENTITLED):
        person.ask(role=Role.DEVELOPMENT)
    record = counter.portal.audit_log()[-1]
    assert (record.action, record.person) == ("unlock refused", person.email)
    assert "DEVELOPMENT" in record.subject


def test_one_makes_rules_do_not_lead_to_another_makes_unlock(counter: Counter, person: Visitor) -> None:
    """Else a VAG token could be had under Mercedes' policy, without the code that VAG wants for each."""
    with counter.refused(PortalErrorCode.INVALID_INPUT):
        person.ask(make="mercedes", code=None)
    with counter.refused(PortalErrorCode.INVALID_INPUT):
        person.ask(**{**CERTIFICATE, "make": "vag"})
    assert issued(counter) == []


# ---- malformed requests


OTHER_CURVE = ec.derive_private_key(5, ec.SECP384R1()).public_key()
OTHER_KIND = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
UNKNOWN_ALGORITHM = bytes.fromhex("3013300706032a0304050003080000000000000000")
MALFORMED = [
    ({"challenge": b""}, "request-structure-invalid"),
    ({"challenge": STRUCTURE.encode()[:-1]}, "request-structure-invalid"),
    ({"challenge": STRUCTURE.encode() + b"\0"}, "request-structure-invalid"),
    ({"challenge": b"XX" + STRUCTURE.encode()[2:]}, "request-structure-invalid"),
    ({"challenge": STRUCTURE.encode().replace(b"WVW", b"\xff\xff\xff")}, "request-structure-invalid"),
    ({"challenge": replace(STRUCTURE, ecu_address=0x715).encode()}, "request-structure-invalid"),
    ({"challenge": replace(STRUCTURE, vin="WVWZZZCD4MW000002").encode()}, "request-structure-invalid"),
    ({"challenge": replace(STRUCTURE, generation=Generation.SFD2).encode()}, "request-structure-invalid"),
    ({"challenge": replace(STRUCTURE, generation=9).encode()}, "request-structure-invalid"),
    ({"challenge": spki(TESTER_KEY)}, "request-structure-invalid"),
    ({"vin": ""}, "invalid-input"),
    ({"vin": VIN[:-1]}, "invalid-input"),
    ({"vin": VIN + "1"}, "invalid-input"),
    ({"vin": VIN[:-1] + "-"}, "invalid-input"),
    ({"vin": VIN[:-1] + "\u0664"}, "invalid-input"),
    ({"ecu_address": -1}, "invalid-input"),
    ({"ecu_address": 0x1_0000}, "invalid-input"),
    ({"scope": 0}, "invalid-input"),
    ({"scope": -1}, "invalid-input"),
    ({"scope": 512}, "invalid-input"),
    ({**CERTIFICATE, "challenge": b""}, "request-structure-invalid"),
    ({**CERTIFICATE, "challenge": STRUCTURE.encode()}, "request-structure-invalid"),
    ({**CERTIFICATE, "challenge": spki(TESTER_KEY)[:-1]}, "request-structure-invalid"),
    ({**CERTIFICATE, "challenge": UNKNOWN_ALGORITHM}, "request-structure-invalid"),
    ({**CERTIFICATE, "challenge": spki(OTHER_CURVE)}, "request-structure-invalid"),
    ({**CERTIFICATE, "challenge": spki(OTHER_KIND)}, "request-structure-invalid"),
    ({**CERTIFICATE, "manual": True}, "invalid-input"),
]


@pytest.mark.parametrize(("wish", "code"), MALFORMED)
def test_a_malformed_request_is_refused_and_burns_no_code(
    counter: Counter, person: Visitor, wish: dict[str, object], code: str
) -> None:
    counter.wait_for_step()
    with counter.refused(PortalErrorCode(code)):
        person.ask(**{"code": person.code(), **wish})
    assert issued(counter) == []
    assert person.ask(code=person.code()).payload


# ---- revocation


def test_a_revoked_company_gets_nothing_more_and_neither_do_its_other_users(counter: Counter, person: Visitor) -> None:
    other = colleague(counter, person)
    other.log_in()
    other.ask()
    counter.portal.operators.revoke_company(person.email, counter.now_s)
    for user in (person, other):
        user.log_in()
        with counter.refused(PortalErrorCode.COMPANY_REVOKED):
            user.ask()


def test_a_revoked_unlock_is_told_to_the_vehicles_and_no_other_is(counter: Counter, person: Visitor) -> None:
    tokens = [person.ask() for _ in range(2)]
    certificates = [person.ask(**CERTIFICATE) for _ in range(2)]
    assert not counter.portal.key_set().revoked_tokens | counter.portal.key_set().revoked_serials
    counter.portal.operators.revoke_unlock(tokens[0].audit_id, counter.now_s)
    counter.portal.operators.revoke_unlock(certificates[0].audit_id, counter.now_s)
    keys = counter.call(api.GetKeySet())
    assert keys.revoked_tokens == {Token.decode(tokens[0].payload).claims.token_id}
    assert keys.revoked_serials == {decode_chain(certificates[0].payload)[0].serial_number}


def test_what_was_never_issued_cannot_be_revoked(counter: Counter, person: Visitor) -> None:
    login = counter.portal.audit_log()[-1]
    for audit_id in ("", "0" * 16, login.audit_id):
        with counter.refused(PortalErrorCode.INVALID_INPUT):
            counter.portal.operators.revoke_unlock(audit_id, counter.now_s)
    with pytest.raises(LocalMisuse, match="belongs to no company"):
        counter.portal.operators.revoke_company("nobody@workshop.example", counter.now_s)


def test_the_key_set_holds_no_private_key(counter: Counter) -> None:
    keys = counter.call(api.GetKeySet())
    private = counter.portal.keys.token_key.private_bytes_raw()
    assert private not in keys.token_keys
    assert private not in keys.root_ca
