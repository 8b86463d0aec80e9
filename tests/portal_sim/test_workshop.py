"""What a manager sees and does: people and invitations, revocations, the log; what anybody may ask for; unlocks by file."""

import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from portal_people import CLUSTER, VIN, Counter, Visitor, backend_keys, checked, colleague, manager, signed_in

from portal_sim.options import MakePolicy
from wire import portal_api as api
from wire.diag_cert import decode_chain
from wire.manual_flow import REQUEST, TOKEN, decode_text, encode_text
from wire.portal_api import CheckState, PortalErrorCode, UnlockKind
from wire.token import RequestStructure, Role, Scope, Token

STRUCTURE = RequestStructure(ecu_address=CLUSTER, vin=VIN, nonce=bytes(16))
DAY_S = 24 * 3600


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def boss(counter: Counter) -> Visitor:
    return manager(counter)


def rival(counter: Counter) -> Visitor:
    """Return the manager of another workshop, which has the same name."""
    person = manager(counter, "rita")
    person.log_in()
    return person


# ---- people


def test_a_manager_sees_who_belongs_to_the_company_and_who_is_invited(counter: Counter, boss: Visitor) -> None:
    conrad = colleague(counter, boss)
    boss.sign_in()
    boss.invite(Visitor(counter, "tessa"))
    seen = counter.call(api.ListUsers(session=boss.browser))
    assert [(each.email, each.manager, each.identity) for each in seen.users] == [
        (conrad.email, False, CheckState.APPROVED),
        (boss.email, True, CheckState.APPROVED),
    ]
    assert seen.invited == ("tessa@workshop.example",)


def test_nobody_else_sees_them(counter: Counter, boss: Visitor) -> None:
    conrad = colleague(counter, boss)
    conrad.sign_in()
    with counter.refused(PortalErrorCode.NOT_THE_MANAGER):
        counter.call(api.ListUsers(session=conrad.browser))
    other = rival(counter)
    assert [each.email for each in counter.call(api.ListUsers(session=other.session)).users] == [other.email]


def test_an_invitation_that_is_withdrawn_leads_nowhere(counter: Counter, boss: Visitor) -> None:
    tessa = signed_in(counter)
    boss.sign_in()
    boss.invite(tessa)
    counter.call(api.WithdrawInvitation(session=boss.browser, email=tessa.email))
    with counter.refused(PortalErrorCode.LINK_INVALID):
        tessa.accept()
    assert counter.actions()[-1] == "invitation withdrawn"
    with counter.refused(PortalErrorCode.INVALID_INPUT):
        counter.call(api.WithdrawInvitation(session=boss.browser, email=tessa.email))


def test_nobody_withdraws_another_companys_invitation(counter: Counter, boss: Visitor) -> None:
    tessa = signed_in(counter)
    boss.sign_in()
    boss.invite(tessa)
    with counter.refused(PortalErrorCode.INVALID_INPUT):
        counter.call(api.WithdrawInvitation(session=rival(counter).session, email=tessa.email))
    tessa.sign_in()
    assert tessa.accept()


# ---- what one may ask for


def entitlements(person: Visitor) -> dict[str, api.Entitlement]:
    found = person.counter.call(api.GetEntitlements(session=person.browser))
    return {each.make: each for each in found}


def test_who_is_validated_sees_what_each_make_gives(counter: Counter, boss: Visitor) -> None:
    counter.portal.operators.entitle(boss.email, "vag", Role.DEVELOPMENT, counter.now_s)
    seen = entitlements(boss)
    assert set(seen) == {"vag", "mercedes", "fca"}
    assert seen["vag"].roles == (Role.AFTER_MARKET, Role.AFTER_SALES, Role.DEVELOPMENT)
    assert seen["mercedes"].roles == (Role.AFTER_MARKET, Role.AFTER_SALES)
    assert seen["fca"].kinds == (UnlockKind.PROOF,)
    assert seen["vag"].licensed_until_utc_s is None


def test_who_is_not_sees_nothing(counter: Counter, boss: Visitor) -> None:
    assert entitlements(checked(counter, "tessa")) == {}
    counter.portal.operators.revoke_company(boss.email, counter.now_s)
    assert entitlements(boss) == {}


def test_where_a_make_wants_a_licence_nothing_is_issued_without_one() -> None:
    vag = MakePolicy(second_factor="per_login", kinds=frozenset({UnlockKind.SFD_TOKEN}), licensed=True)
    counter = Counter(makes={"vag": vag})
    boss = manager(counter)
    boss.log_in()
    with counter.refused(PortalErrorCode.NOT_LICENSED):
        boss.ask()
    assert counter.portal.audit_log()[-1].subject == "not licensed: vag"
    assert entitlements(boss) == {}
    until_s = counter.now_s + 600
    counter.portal.operators.license(boss.email, "vag", until_s, counter.now_s)
    assert entitlements(boss)["vag"].licensed_until_utc_s == until_s
    assert boss.ask()
    counter.wait(600)
    with counter.refused(PortalErrorCode.NOT_LICENSED):
        boss.ask()


# ---- revocation


def test_a_manager_revokes_what_a_colleague_got_and_vehicles_hear_of_it(counter: Counter, boss: Visitor) -> None:
    conrad = colleague(counter, boss)
    conrad.log_in()
    unlock = conrad.ask()
    boss.log_in()
    counter.call(api.RevokeUnlock(session=boss.session, audit_id=unlock.audit_id))
    token_id = Token.decode(unlock.payload).claims.token_id
    assert counter.call(api.GetKeySet()).revoked_tokens == {token_id}
    record = counter.portal.audit_log()[-1]
    assert (record.action, record.person, record.subject) == ("unlock revoked", boss.email, unlock.audit_id)


def test_nobody_revokes_another_companys_unlock_and_none_that_is_not(counter: Counter, boss: Visitor) -> None:
    boss.log_in()
    unlock = boss.ask()
    login = next(each for each in counter.portal.audit_log() if each.action == "login")
    for audit_id, person in ((unlock.audit_id, rival(counter)), ("0" * 16, boss), (login.audit_id, boss)):
        with counter.refused(PortalErrorCode.INVALID_INPUT):
            counter.call(api.RevokeUnlock(session=person.session, audit_id=audit_id))
    assert counter.call(api.GetKeySet()).revoked_tokens == frozenset()


def test_revoking_takes_the_second_factor(counter: Counter, boss: Visitor) -> None:
    with counter.refused(PortalErrorCode.SECOND_FACTOR_REQUIRED):
        counter.call(api.RevokeUnlock(session=boss.browser, audit_id="0" * 16))


@pytest.mark.judge("OpenSSL")
def test_the_revocation_list_names_certificates_and_openssl_reads_it(
    counter: Counter, boss: Visitor, tmp_path: Path
) -> None:
    boss.log_in()
    key = ec.derive_private_key(7, ec.SECP256R1()).public_key()
    challenge = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    asked = {"kind": UnlockKind.CERTIFICATE, "make": "mercedes", "challenge": challenge, "code": None}
    kept, gone = (boss.ask(**asked) for _ in range(2))
    counter.call(api.RevokeUnlock(session=boss.session, audit_id=gone.audit_id))
    listed = counter.call(api.GetRevocationList())
    made = x509.load_der_x509_crl(listed.der)
    serials = {one.audit_id: decode_chain(one.payload)[0].serial_number for one in (kept, gone)}
    assert [each.serial_number for each in made] == [serials[gone.audit_id]]
    assert made.is_signature_valid(backend_keys().ca_key.public_key())
    ca = tmp_path / "ca.pem"
    ca.write_bytes(backend_keys().backend_ca.public_bytes(Encoding.PEM))
    crl = tmp_path / "list.der"
    crl.write_bytes(listed.der)
    command = ["openssl", "crl", "-inform", "DER", "-in", str(crl), "-noout", "-text", "-CAfile", str(ca)]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"{serials[gone.audit_id]:X}".lower() in said.stdout.lower().replace(":", "")
    assert "verify OK" in said.stderr


# ---- the log


def read(counter: Counter, reader: Visitor, **wanted: object) -> api.AuditPage:
    return counter.call(api.ReadAudit(session=reader.browser, **wanted))


def test_a_manager_reads_what_the_companys_people_did_and_nobody_elses(counter: Counter, boss: Visitor) -> None:
    rival(counter)
    conrad = colleague(counter, boss)
    conrad.log_in()
    conrad.ask()
    seen = read(counter, boss).records
    assert {record.person for record in seen} == {boss.email, conrad.email}
    assert [record.person for record in seen if record.action == "unlock issued"] == [conrad.email]
    conrad.sign_in()
    with counter.refused(PortalErrorCode.NOT_THE_MANAGER):
        read(counter, conrad)


def test_it_is_filtered_and_read_page_by_page(counter: Counter, boss: Visitor) -> None:
    boss.log_in()
    for _ in range(3):
        boss.ask()
    found = read(counter, boss, action="unlock issued", limit=2)
    assert (len(found.records), found.more) == (2, True)
    rest = read(counter, boss, action="unlock issued", limit=2, after=found.position)
    assert (len(rest.records), rest.more) == (1, False)
    assert read(counter, boss, person="nobody@x.example").records == ()
    until_s = rest.records[0].utc_s
    assert len(read(counter, boss, action="unlock issued", until_utc_s=until_s).records) == 2


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"limit": 1001}, {"after": -1}])
def test_a_page_that_cannot_be_is_refused(counter: Counter, boss: Visitor, wrong: dict[str, int]) -> None:
    with counter.refused(PortalErrorCode.INVALID_INPUT):
        read(counter, boss, **wrong)


# ---- unlocks by file


def by_file(person: Visitor, text: str, **changes: object) -> api.UnlockFile:
    person.counter.wait_for_step()
    fields = {"make": "vag", "role": Role.AFTER_SALES, "scope": Scope.CODING, "code": person.code(), **changes}
    return person.counter.call(api.RequestUnlockByFile(session=person.session, request_text=text, **fields))


def test_a_file_goes_in_and_a_file_comes_out(counter: Counter, boss: Visitor) -> None:
    boss.log_in()
    made = by_file(boss, encode_text(REQUEST, {"VIN": VIN}, STRUCTURE.encode()))
    headers, payload = decode_text(TOKEN, made.text)
    claims = Token.decode(payload).claims
    assert (headers["VIN"], claims.vin, claims.ecu_address, claims.nonce) == (VIN, VIN, CLUSTER, bytes(16))
    assert made.expires_utc_s == counter.now_s + DAY_S
    assert counter.portal.audit_log()[-1].audit_id == made.audit_id


@pytest.mark.parametrize(
    "text", ["", "not a file", encode_text(TOKEN, {}, STRUCTURE.encode()), encode_text(REQUEST, {}, b"short")]
)
def test_what_is_no_request_file_is_refused_and_says_why(counter: Counter, boss: Visitor, text: str) -> None:
    boss.log_in()
    with counter.refused(PortalErrorCode.REQUEST_STRUCTURE_INVALID) as refused:
        by_file(boss, text)
    assert refused.value.sentence.startswith("Please check the ")
    assert refused.value.sentence.endswith(".")
    assert ".." not in refused.value.sentence


def test_a_line_that_is_wrong_in_a_request_file_is_named(counter: Counter, boss: Visitor) -> None:
    boss.log_in()
    with counter.refused(PortalErrorCode.REQUEST_STRUCTURE_INVALID) as refused:
        by_file(boss, "not a file")
    assert refused.value.sentence.startswith("Please check the text of the request (line 1): not an SFD UNLOCK REQUEST")
