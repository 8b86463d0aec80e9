"""From rows to records and back. What is secret is sealed on its way in, bound to what it belongs to, and opened again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from portal_sim.records import Account, AuditEntry, Company, LiveSession, Tries
from portal_sim.sealing import Sealing
from wire.plain import from_plain, to_plain
from wire.portal_api import AuditRecord, CheckState, CompanyState, Mail

COMPANY = "company__"
"""What the company's columns are called by where they stand beside others."""
ABOUT_MAIL = "a mail in the outbox"


def about_secret(email: str) -> str:
    """Return what an authenticator's secret is bound to."""
    return f"the authenticator of {email}"


def about_reply(key_hash: str) -> str:
    """Return what a kept answer is bound to."""
    return f"the answer {key_hash}"


def account_of(row: Any, sealing: Sealing) -> Account:
    """Return the account in a row."""

    def opened(sealed: bytes | None) -> bytes | None:
        return None if sealed is None else sealing.unseal(sealed, about_secret(row.email))

    return Account(
        email=row.email,
        password_hash=row.password_hash,
        confirmed=row.confirmed,
        confirm_until_s=row.confirm_until_s,
        first_name=row.first_name,
        last_name=row.last_name,
        birth_date=row.birth_date,
        identity=CheckState(row.identity),
        attempts_left=row.attempts_left,
        review_due_s=row.review_due_s,
        review_refusal=row.review_refusal,
        media=() if row.media == "[]" else tuple(json.loads(row.media)),
        company_id=row.company_id,
        disassociated=row.disassociated,
        secret=opened(row.secret),
        pending_secret=opened(row.pending_secret),
        last_step=row.last_step,
    )


def account_values(account: Account, sealing: Sealing) -> dict[str, object]:
    """Return an account as a row."""

    def sealed(secret: bytes | None) -> bytes | None:
        return None if secret is None else sealing.seal(secret, about_secret(account.email))

    values: dict[str, object] = {name: getattr(account, name) for name in Account.__slots__}
    return {
        **values,
        "identity": account.identity.value,
        "media": json.dumps(account.media),
        "secret": sealed(account.secret),
        "pending_secret": sealed(account.pending_secret),
    }


def company_of(values: Mapping[Any, Any], prefix: str = "") -> Company:
    """Return the company whose columns have this prefix."""
    return Company(
        company_id=values[f"{prefix}company_id"],
        manager=values[f"{prefix}manager"],
        state=CompanyState(values[f"{prefix}state"]),
        legal_name=values[f"{prefix}legal_name"],
        fields=json.loads(values[f"{prefix}fields"]),
    )


def session_of(row: Any) -> LiveSession:
    """Return the session in a row."""
    return LiveSession(email=row.email, family=row.family, strong=row.strong, expires_s=row.expires_s)


def tries_of(row: Any) -> Tries:
    """Return what stands against a subject in a row."""
    return Tries(row.failures, row.blocked_until_s, row.locked_out, row.last_s)


def entry_of(row: Any) -> AuditEntry:
    """Return the audit log's entry in a row."""
    record = AuditRecord(
        audit_id=row.audit_id,
        utc_s=row.utc_s,
        action=row.action,
        person=row.person,
        company=row.company,
        make=row.make,
        vin=row.vin,
        ecu_address=row.ecu_address,
        role=row.role,
        scope=row.scope,
        subject=row.subject,
        company_id=row.company_id,
    )
    return AuditEntry(position=row.position, record=record, digest=row.digest)


def entry_values(entry: AuditEntry) -> dict[str, object]:
    """Return an entry of the audit log as a row."""
    record = {name: getattr(entry.record, name) for name in AuditRecord.__slots__}
    return {**record, "position": entry.position, "digest": entry.digest}


def mail_text(mail: Mail) -> bytes:
    """Return a mail as it is sealed."""
    return json.dumps(to_plain(mail)).encode()


def mail_of(text: bytes) -> Mail:
    """Return the mail that was sealed."""
    return from_plain(Mail, json.loads(text))
