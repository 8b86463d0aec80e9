"""What each database writes its own way: INSERT ... ON CONFLICT, and several writes in one statement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects import postgresql, sqlite

from portal_sim.sql import tables as t


@dataclass(frozen=True, slots=True)
class Together:
    """Writes that belong together, and the move of the log's head as the last of them.

    PostgreSQL takes them in one statement, which saves round trips; SQLite cannot, and has none to save. Values are named
    `TABLE_COLUMN`.
    """

    statements: tuple[tuple[sa.Executable, tuple[str, ...]], ...]

    def done(self, connection: sa.Connection, values: Mapping[str, object]) -> bool:
        """Carry them out; return whether the head of the log was where it was believed to be (`audit_head_before`)."""
        *others, (last, last_names) = self.statements
        for statement, names in others:
            connection.execute(statement, {name: values[name] for name in names})
        return connection.execute(last, {name: values[name] for name in last_names}).first() is not None


@dataclass(frozen=True, slots=True)
class Statements:
    """Statements of one dialect. `account` and `revocation` give something back where a row was written.

    `append` adds to the log, `issue` an issued unlock too, `issue_and_reply` its kept answer as well.
    """

    account: sa.Executable
    tries: sa.Executable
    licence: sa.Executable
    entitlement: sa.Executable
    revocation: sa.Executable
    append: Together
    issue: Together
    issue_and_reply: Together


def statements(dialect: str) -> Statements:
    """Return the statements for `sqlite` or `postgresql`."""
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    account, tries, licence = insert(t.accounts), insert(t.tries), insert(t.licences)
    values: dict[str, sa.BindParameter[object]] = {column.name: bindparam(column.name) for column in t.accounts.c}
    together = _one_by_one if dialect == "sqlite" else _at_once
    return Statements(
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
        append=together(t.audit),
        issue=together(t.audit, t.issued),
        issue_and_reply=together(t.audit, t.issued, t.replies),
    )


_H = t.audit_head.c
_MOVE_HEAD = (
    sa.update(t.audit_head)
    .where(_H.position == bindparam("audit_head_before"))
    .values(position=bindparam("audit_position"), digest=bindparam("audit_digest"))
    .returning(_H.position)
)
_OF_HEAD = ("audit_head_before", "audit_position", "audit_digest")


def _names(table: sa.Table) -> tuple[str, ...]:
    return tuple(f"{table.name}_{column.name}" for column in table.c)


def _insert(table: sa.Table) -> sa.Insert:
    return sa.insert(table).values({column.name: bindparam(f"{table.name}_{column.name}") for column in table.c})


def _one_by_one(*tables: sa.Table) -> Together:
    inserts = ((_insert(table), _names(table)) for table in tables)
    return Together((*inserts, (_MOVE_HEAD, _OF_HEAD)))


def _at_once(*tables: sa.Table) -> Together:
    moved = _MOVE_HEAD.cte("moved")
    inserts = (_insert(table).cte(f"new_{table.name}") for table in tables)
    names = (name for table in tables for name in _names(table))
    return Together(((sa.select(moved.c.position).add_cte(*inserts), (*names, "audit_head_before")),))
