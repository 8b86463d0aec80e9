"""The tables. Times are UTC in seconds; what is secret is sealed or hashed before it gets here.

No table points at an account: people are remembered in the log, and throttled, whether an account has their address or not.
`audit_head` has one row: how long the log is, and its last digest.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)
_MAIL_ID = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up by itself in an INTEGER alone


def _key(name: str) -> Column[str]:
    return Column(name, Text, primary_key=True)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _whole(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


accounts = Table(
    "accounts",
    metadata,
    _key("email"),
    Column("password_hash", LargeBinary, nullable=False),
    _flag("confirmed"),
    _whole("confirm_until_s"),
    _text("first_name"),
    _text("last_name"),
    _text("birth_date"),
    _text("identity"),
    _whole("attempts_left"),
    _whole("review_due_s", nullable=True),
    Column("review_refusal", Text),
    Column("media", Text, nullable=False, comment="names of media as a JSON list"),
    _whole("company_id", nullable=True),
    _flag("disassociated"),
    Column("secret", LargeBinary, comment="sealed"),
    Column("pending_secret", LargeBinary, comment="sealed"),
    _whole("last_step"),
    CheckConstraint("attempts_left >= 0", name="attempts"),
    Index(None, "company_id"),
    Index(None, "identity", "review_due_s"),
)

tries = Table(
    "tries",
    metadata,
    _key("subject"),
    _whole("failures"),
    _whole("blocked_until_s"),
    _flag("locked_out"),
    _whole("last_s"),
    Index(None, "last_s"),
)

recovery_codes = Table("recovery_codes", metadata, _key("email"), _key("code_hash"))

companies = Table(
    "companies",
    metadata,
    Column("company_id", BigInteger, primary_key=True, autoincrement=False),
    _text("manager"),
    _text("state"),
    _text("legal_name"),
    Column("fields", Text, nullable=False, comment="the profile as a JSON object"),
)

licences = Table(
    "licences",
    metadata,
    Column("company_id", BigInteger, primary_key=True, autoincrement=False),
    _key("make"),
    _whole("until_s"),
)

entitlements = Table(
    "entitlements",
    metadata,
    _key("email"),
    _key("make"),
    Column("role", BigInteger, primary_key=True, autoincrement=False),
)

links = Table(
    "links",
    metadata,
    _key("code_hash"),
    _text("kind"),
    _text("email"),
    _whole("company_id", nullable=True),
    _whole("expires_s"),
    Index(None, "email", "kind"),
    Index(None, "company_id"),
    Index(None, "expires_s"),
)

logins = Table(
    "logins",
    metadata,
    _key("login_hash"),
    _text("email"),
    _text("tester_serial"),
    _whole("expires_s"),
    Index(None, "email"),
    Index(None, "expires_s"),
)

sessions = Table(
    "sessions",
    metadata,
    _key("token_hash"),
    _text("email"),
    _text("family"),
    _flag("strong"),
    _whole("expires_s"),
    Index(None, "email"),
    Index(None, "family"),
    Index(None, "expires_s"),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    _key("token_hash"),
    _text("email"),
    _text("family"),
    _flag("strong"),
    _whole("expires_s"),
    _flag("used"),
    Index(None, "email"),
    Index(None, "family"),
    Index(None, "expires_s"),
)

replies = Table(
    "replies",
    metadata,
    _key("key_hash"),
    _text("request_hash"),
    Column("reply", LargeBinary, nullable=False, comment="sealed"),
    _whole("expires_s"),
    Index(None, "expires_s"),
)

audit = Table(
    "audit",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("audit_id", Text, nullable=False, unique=True),
    _whole("utc_s"),
    _text("action"),
    _text("person"),
    _text("company"),
    _text("make"),
    _text("vin"),
    _whole("ecu_address", nullable=True),
    _whole("role", nullable=True),
    _whole("scope", nullable=True),
    _text("subject"),
    _whole("company_id", nullable=True),
    Column("digest", LargeBinary, nullable=False),
    Index(None, "company_id", "position"),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("row", Integer, primary_key=True, autoincrement=False),
    _whole("position"),
    Column("digest", LargeBinary, nullable=False),
    CheckConstraint('"row" = 1', name="one"),
)

issued = Table(
    "issued",
    metadata,
    Column("audit_id", Text, ForeignKey("audit.audit_id"), primary_key=True),
    _text("issue_key"),
    _text("person"),
    _whole("position"),
    Index(None, "issue_key", "position"),
)

revoked = Table("revoked", metadata, _key("issue_key"), _whole("since_s"))

outbox = Table(
    "outbox",
    metadata,
    Column("mail_id", _MAIL_ID, primary_key=True, autoincrement=True),
    Column("mail", LargeBinary, nullable=False, comment="sealed: there may be a link in it"),
    _whole("attempts"),
    _whole("next_try_s"),
    Index(None, "next_try_s"),
    sqlite_autoincrement=True,  # no number is used again, as on PostgreSQL
)

seals = Table("seals", metadata, _key("name"), Column("sealed", LargeBinary, nullable=False))
