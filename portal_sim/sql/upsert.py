"""INSERT ... ON CONFLICT: both databases have it, and SQLAlchemy has it in each one's dialect alone."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects import postgresql, sqlite

from portal_sim.sql import tables as t


@dataclass(frozen=True, slots=True)
class Upserts:
    """Statements of one dialect. `account` and `revocation` give something back where a row was written."""

    account: sa.Executable
    tries: sa.Executable
    licence: sa.Executable
    entitlement: sa.Executable
    revocation: sa.Executable


def upserts(dialect: str) -> Upserts:
    """Return the statements for `sqlite` or `postgresql`."""
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    account, tries, licence = insert(t.accounts), insert(t.tries), insert(t.licences)
    values: dict[str, sa.BindParameter[object]] = {column.name: bindparam(column.name) for column in t.accounts.c}
    return Upserts(
        account=account.values(values)
        .on_conflict_do_update(
            index_elements=["email"],
            set_={name: account.excluded[name] for name in values if name != "email"},
            where=sa.and_(t.accounts.c.confirmed.is_(sa.false()), t.accounts.c.confirm_until_s <= bindparam("now_s")),
        )
        .returning(t.accounts.c.email),
        tries=tries.on_conflict_do_update(
            index_elements=["subject"],
            set_={name: tries.excluded[name] for name in ("failures", "blocked_until_s", "locked_out", "last_s")},
        ),
        licence=licence.on_conflict_do_update(
            index_elements=["company_id", "make"], set_={"until_s": licence.excluded.until_s}
        ),
        entitlement=insert(t.entitlements).on_conflict_do_nothing(),
        revocation=insert(t.revoked).on_conflict_do_nothing().returning(t.revoked.c.issue_key),
    )
