"""The portal's tables: people, companies, logins and sessions, unlocks, the log, the outbox."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them all, and the head of an empty log."""
    op.create_table(
        "accounts",
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.LargeBinary(), nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("confirm_until_s", sa.BigInteger(), nullable=False),
        sa.Column("first_name", sa.Text(), nullable=False),
        sa.Column("last_name", sa.Text(), nullable=False),
        sa.Column("birth_date", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("attempts_left", sa.BigInteger(), nullable=False),
        sa.Column("review_due_s", sa.BigInteger(), nullable=True),
        sa.Column("review_refusal", sa.Text(), nullable=True),
        sa.Column("media", sa.Text(), nullable=False, comment="names of media as a JSON list"),
        sa.Column("company_id", sa.BigInteger(), nullable=True),
        sa.Column("disassociated", sa.Boolean(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=True, comment="sealed"),
        sa.Column("pending_secret", sa.LargeBinary(), nullable=True, comment="sealed"),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("attempts_left >= 0", name=op.f("ck_accounts_attempts")),
        sa.PrimaryKeyConstraint("email", name=op.f("pk_accounts")),
    )
    op.create_index(op.f("ix_accounts_company_id"), "accounts", ["company_id"], unique=False)
    op.create_index(op.f("ix_accounts_identity_review_due_s"), "accounts", ["identity", "review_due_s"], unique=False)
    op.create_table(
        "audit",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("audit_id", sa.Text(), nullable=False),
        sa.Column("utc_s", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("company", sa.Text(), nullable=False),
        sa.Column("make", sa.Text(), nullable=False),
        sa.Column("vin", sa.Text(), nullable=False),
        sa.Column("ecu_address", sa.BigInteger(), nullable=True),
        sa.Column("role", sa.BigInteger(), nullable=True),
        sa.Column("scope", sa.BigInteger(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("company_id", sa.BigInteger(), nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_audit")),
        sa.UniqueConstraint("audit_id", name=op.f("uq_audit_audit_id")),
    )
    op.create_index(op.f("ix_audit_company_id_position"), "audit", ["company_id", "position"], unique=False)
    op.create_table(
        "audit_head",
        sa.Column("row", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint('"row" = 1', name=op.f("ck_audit_head_one")),
        sa.PrimaryKeyConstraint("row", name=op.f("pk_audit_head")),
    )
    op.create_table(
        "companies",
        sa.Column("company_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("manager", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("legal_name", sa.Text(), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False, comment="the profile as a JSON object"),
        sa.PrimaryKeyConstraint("company_id", name=op.f("pk_companies")),
    )
    op.create_table(
        "entitlements",
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("make", sa.Text(), nullable=False),
        sa.Column("role", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("email", "make", "role", name=op.f("pk_entitlements")),
    )
    op.create_table(
        "licences",
        sa.Column("company_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("make", sa.Text(), nullable=False),
        sa.Column("until_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("company_id", "make", name=op.f("pk_licences")),
    )
    op.create_table(
        "links",
        sa.Column("code_hash", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("company_id", sa.BigInteger(), nullable=True),
        sa.Column("expires_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_links")),
    )
    op.create_index(op.f("ix_links_company_id"), "links", ["company_id"], unique=False)
    op.create_index(op.f("ix_links_email_kind"), "links", ["email", "kind"], unique=False)
    op.create_index(op.f("ix_links_expires_s"), "links", ["expires_s"], unique=False)
    op.create_table(
        "logins",
        sa.Column("login_hash", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("tester_serial", sa.Text(), nullable=False),
        sa.Column("expires_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("login_hash", name=op.f("pk_logins")),
    )
    op.create_index(op.f("ix_logins_email"), "logins", ["email"], unique=False)
    op.create_index(op.f("ix_logins_expires_s"), "logins", ["expires_s"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("mail_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("mail", sa.LargeBinary(), nullable=False, comment="sealed: there may be a link in it"),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("next_try_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mail_id", name=op.f("pk_outbox")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_outbox_next_try_s"), "outbox", ["next_try_s"], unique=False)
    op.create_table(
        "recovery_codes",
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("code_hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("email", "code_hash", name=op.f("pk_recovery_codes")),
    )
    op.create_table(
        "refresh_tokens",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("strong", sa.Boolean(), nullable=False),
        sa.Column("expires_s", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_refresh_tokens")),
    )
    op.create_index(op.f("ix_refresh_tokens_email"), "refresh_tokens", ["email"], unique=False)
    op.create_index(op.f("ix_refresh_tokens_expires_s"), "refresh_tokens", ["expires_s"], unique=False)
    op.create_index(op.f("ix_refresh_tokens_family"), "refresh_tokens", ["family"], unique=False)
    op.create_table(
        "replies",
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("reply", sa.LargeBinary(), nullable=False, comment="sealed"),
        sa.Column("expires_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key_hash", name=op.f("pk_replies")),
    )
    op.create_index(op.f("ix_replies_expires_s"), "replies", ["expires_s"], unique=False)
    op.create_table(
        "revoked",
        sa.Column("issue_key", sa.Text(), nullable=False),
        sa.Column("since_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("issue_key", name=op.f("pk_revoked")),
    )
    op.create_table(
        "seals",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_seals")),
    )
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("strong", sa.Boolean(), nullable=False),
        sa.Column("expires_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_email"), "sessions", ["email"], unique=False)
    op.create_index(op.f("ix_sessions_expires_s"), "sessions", ["expires_s"], unique=False)
    op.create_index(op.f("ix_sessions_family"), "sessions", ["family"], unique=False)
    op.create_table(
        "tries",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("blocked_until_s", sa.BigInteger(), nullable=False),
        sa.Column("locked_out", sa.Boolean(), nullable=False),
        sa.Column("last_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_tries")),
    )
    op.create_index(op.f("ix_tries_last_s"), "tries", ["last_s"], unique=False)
    op.create_table(
        "issued",
        sa.Column("audit_id", sa.Text(), nullable=False),
        sa.Column("issue_key", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["audit_id"], ["audit.audit_id"], name=op.f("fk_issued_audit_id")),
        sa.PrimaryKeyConstraint("audit_id", name=op.f("pk_issued")),
    )
    op.create_index(op.f("ix_issued_issue_key_position"), "issued", ["issue_key", "position"], unique=False)
    op.execute(
        sa.text('INSERT INTO audit_head ("row", position, digest) VALUES (1, 0, :start)').bindparams(start=bytes(32))
    )
