"""A database from its URL: it keeps its promises, grows with the versions, and what is wrong with it is said in one sentence."""

import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from threading import Thread

import postgres
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from portal_stores import DATABASES, sealing
from typer.testing import CliRunner

from bench.cli_portal_database import app
from portal_sim.audit_chain import START
from portal_sim.records import Link
from portal_sim.sql import schema, tables
from portal_sim.sql.engine import ONLY_OURS, is_here, open_engine, opened, writing
from portal_sim.sql.store import SqlStore
from portal_sim.store import Conflict, Store
from wire.errors import BenchError, CarrierFault, ConfigError
from wire.portal_api import Mail, PortalError, PortalErrorCode

NewUrl = Callable[[str], str]
kinds = pytest.mark.parametrize("kind", DATABASES)


@pytest.fixture
def empty_url(new_url: NewUrl, request: pytest.FixtureRequest) -> NewUrl:
    """Give the URL of a database with nothing in it."""

    def make(kind: str) -> str:
        if kind == "sqlite":
            return new_url(kind)
        cluster: postgres.Cluster = request.getfixturevalue("postgresql")
        url = cluster.new_database()
        request.addfinalizer(lambda: cluster.drop(url))
        return url

    return make


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("sqlite:///portal.db", True),
        ("postgresql://portal@/portal?host=/run/postgresql", True),
        ("postgresql://portal@localhost/portal", True),
        ("postgresql://portal@127.0.0.1:5432/portal", True),
        ("postgresql://portal@[::1]/portal", True),
        ("postgresql://portal@db.example/portal", False),
        ("postgresql://portal@/portal?host=db.example", False),
        ("postgresql://portal@192.0.2.7/portal", False),
    ],
)
def test_a_database_is_here_or_behind_a_network(url: str, here: bool) -> None:
    assert is_here(url) is here


# ---- promises


def test_sqlite_keeps_what_is_committed_and_makes_writers_wait(new_url: NewUrl) -> None:
    with opened(new_url("sqlite")) as engine, engine.connect() as connection:
        told = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "busy_timeout")
        }
    full = 2
    assert told == {
        "journal_mode": "wal",
        "synchronous": full,
        "foreign_keys": 1,
        "secure_delete": 1,
        "busy_timeout": 5000,
    }


def test_sqlites_file_is_for_nobody_else(new_url: NewUrl, tmp_path: Path) -> None:
    SqlStore.at(new_url("sqlite"), sealing()).close()
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {ONLY_OURS}


def test_a_writer_of_sqlite_has_the_lock_before_its_first_statement(new_url: NewUrl) -> None:
    with opened(new_url("sqlite")) as engine, writing(engine) as connection:
        assert connection.connection.dbapi_connection.in_transaction
        other = sqlite3.connect(engine.url.database, timeout=0, isolation_level=None)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()


def test_postgresql_ends_waits_and_commits_to_the_disk(new_url: NewUrl) -> None:
    with opened(new_url("postgresql")) as engine, engine.connect() as connection:
        names = ("statement_timeout", "lock_timeout", "synchronous_commit", "application_name", "transaction_isolation")
        told = [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in names]
    assert told == ["10s", "5s", "on", "sgw-bench portal", "read committed"]


@kinds
def test_a_reader_sees_one_instant(kind: str, new_store: Callable[[str], Store]) -> None:
    store = new_store(kind)
    with store.reading() as reading:
        assert reading.licences(1) == {}
        other = Thread(target=_license, args=(store,))
        other.start()
        other.join()
        assert reading.licences(1) == {}
    with store.reading() as reading:
        assert reading.licences(1) == {"vag": 9}


def _license(store: Store) -> None:
    with store.unit() as unit:
        unit.set_licence(1, "vag", 9)


@kinds
def test_the_log_is_not_changed_whoever_asks(kind: str, new_url: NewUrl) -> None:
    url = new_url(kind)
    store = SqlStore.at(url, sealing())
    with store.unit() as unit:
        unit.issue_with_audit("sfd-token:00", _record())
    store.close()
    for statement in (
        "UPDATE audit SET person = 'x'",
        "DELETE FROM issued",
        "DELETE FROM audit",
        "UPDATE issued SET person = 'x'",
    ):
        with (
            opened(url) as engine,
            engine.connect() as connection,
            pytest.raises(sa.exc.IntegrityError, match="append-only"),
        ):
            connection.exec_driver_sql(statement)


def _record() -> object:
    from wire.portal_api import AuditRecord

    fields = dict.fromkeys(("action", "person", "company", "make", "vin", "subject"), "")
    return AuditRecord(audit_id="a", utc_s=1, ecu_address=None, role=None, scope=None, **fields)


@kinds
def test_what_is_secret_does_not_stand_in_the_database(kind: str, new_url: NewUrl) -> None:
    from portal_people import Counter, manager

    url = new_url(kind)
    store = SqlStore.at(url, sealing())
    counter = Counter(store=store)
    person = manager(counter)
    step = person.begin()
    with store.unit() as unit:
        unit.add_mail(Mail(to="a", subject="b", text="c", sent_utc_s=1, link_code="the-link-code"))
        secret = unit.account(person.email).pending_secret
    store.close()
    with opened(url) as engine, engine.connect() as connection:
        kept = repr([list(connection.execute(sa.select(table))) for table in tables.metadata.sorted_tables])
    for plain in (person.password, person.browser, step.login_id, "the-link-code", repr(secret)[2:-1], secret.hex()):
        assert plain not in kept


# ---- versions


@kinds
def test_a_new_database_is_set_up_by_itself_and_only_once(kind: str, empty_url: NewUrl) -> None:
    url = empty_url(kind)
    for _ in range(2):
        SqlStore.at(url, sealing()).close()
    with opened(url) as engine:
        assert schema.version_of(engine) == schema.versions()[-1]


@kinds
def test_two_who_start_at_once_set_up_one_database(kind: str, empty_url: NewUrl) -> None:
    url, done = empty_url(kind), []

    def start() -> None:
        SqlStore.at(url, sealing()).close()
        done.append(True)

    starters = [Thread(target=start) for _ in range(4)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert len(done) == 4


def test_many_who_open_a_new_file_at_once_all_get_it(tmp_path: Path) -> None:
    """SQLite tells all but one of them that it is locked, at once, while it is turned to its write-ahead log."""
    done = []

    def start(url: str) -> None:
        open_engine(url).dispose()
        done.append(url)

    for number in range(10):
        url = f"sqlite:///{tmp_path / f'{number}.db'}"
        starters = [Thread(target=start, args=(url,)) for _ in range(8)]
        for starter in starters:
            starter.start()
        for starter in starters:
            starter.join()
    assert len(done) == 80


@kinds
def test_the_versions_lead_to_the_tables_that_the_code_knows(kind: str, empty_url: NewUrl) -> None:
    with opened(empty_url(kind)) as engine:
        schema.check(engine)
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_server_default": True})
            assert compare_metadata(context, tables.metadata) == []


@kinds
@pytest.mark.parametrize("version", schema.versions()[:-1])
def test_an_old_database_is_changed_by_command_alone_and_keeps_what_is_in_it(
    kind: str, version: str, empty_url: NewUrl
) -> None:
    url = empty_url(kind)
    with opened(url) as engine:
        schema.upgrade(engine, version)
        with writing(engine) as connection:
            connection.execute(sa.insert(tables.revoked).values(issue_key="k", since_s=7))
    with pytest.raises(schema.MigrationNeeded, match="sgw-bench portal database upgrade"):
        SqlStore.at(url, sealing())
    assert CliRunner().invoke(app, ["version", "--database", url]).exit_code == 1
    done = CliRunner().invoke(app, ["upgrade", "--database", url])
    assert (done.exit_code, done.output) == (0, f"version {version} is now {schema.versions()[-1]}\n")
    assert "already" in CliRunner().invoke(app, ["upgrade", "--database", url]).output
    assert CliRunner().invoke(app, ["version", "--database", url]).exit_code == 0
    store = SqlStore.at(url, sealing())
    with store.reading() as reading:
        assert (dict(reading.revoked()), reading.audit_head()) == ({"k": 7}, (0, START))
    store.close()


@kinds
def test_a_step_that_fails_leaves_the_database_as_it_was(
    kind: str, empty_url: NewUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(empty_url(kind)) as engine:
        monkeypatch.setattr("alembic.op.create_index", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            schema.check(engine)
        assert sa.inspect(engine).get_table_names() == []


@kinds
def test_a_database_of_a_newer_version_is_left_alone(kind: str, empty_url: NewUrl) -> None:
    url = empty_url(kind)
    with opened(url) as engine:
        schema.check(engine)
        with writing(engine) as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(ConfigError, match="made by a newer sgw-bench"):
            schema.upgrade(engine)
    with pytest.raises(ConfigError, match="made by a newer sgw-bench"):
        SqlStore.at(url, sealing())


@kinds
def test_somebody_elses_database_is_left_alone(kind: str, empty_url: NewUrl) -> None:
    url = empty_url(kind)
    with opened(url) as engine:
        with writing(engine) as connection:
            connection.exec_driver_sql("CREATE TABLE theirs (a INTEGER)")
        with pytest.raises(ConfigError, match="somebody else's"):
            schema.check(engine)
        assert sa.inspect(engine).get_table_names() == ["theirs"]


@kinds
def test_another_key_is_refused_at_the_start(kind: str, new_url: NewUrl) -> None:
    url = new_url(kind)
    SqlStore.at(url, sealing()).close()
    with pytest.raises(ConfigError, match="made under another key"):
        SqlStore.at(url, sealing(b"x" * 32))


# ---- what is wrong is said


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://u:geheim@h/d", "not known; known are memory:, sqlite"),
        ("oracle8://u:geheim@h/d", "no database URL|not known"),
        ("portal.db", "no database URL"),
        ("", "no database URL"),
        ("memory:", "no database"),
        ("sqlite://", "names no database"),
        ("sqlite:///:memory:", "names no database"),
        ("postgresql://u:geheim@h", "names no database"),
        ("postgresql://u:geheim@h:port/d", "no database URL"),
        ("sqlite:////nowhere/at/all/x.db", "No such file"),
        ("sqlite:////dev", "Is a directory"),
        ("postgresql://u:geheim@127.0.0.1:1/d", "no PostgreSQL answers at 127.0.0.1:1/d: start it"),
        ("postgres://u:geheim@127.0.0.1:1/d", "no PostgreSQL answers"),
    ],
)
def test_a_url_that_leads_nowhere(url: str, sentence: str) -> None:
    with pytest.raises(BenchError, match=sentence) as refusal:
        open_engine(url)
    assert "geheim" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"something else" * 100)
    with pytest.raises(ConfigError, match=r"x\.db: the file is no SQLite database"):
        open_engine(f"sqlite:///{tmp_path}/x.db")


@pytest.mark.skipif(not os.getuid(), reason="root may write everywhere")
def test_a_file_that_may_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "x.db").touch(mode=0o400)
    with pytest.raises(ConfigError, match="cannot be opened for writing"):
        open_engine(f"sqlite:///{tmp_path}/x.db")


def test_a_file_that_another_process_has_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal_sim.sql.engine._ON_CONNECT", ("PRAGMA busy_timeout = 1", "PRAGMA journal_mode = WAL"))
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(CarrierFault, match="another process holds the database locked"):
        open_engine(f"sqlite:///{tmp_path}/x.db")
    other.close()


def test_a_wrong_password_user_or_database_of_postgresql(postgresql: postgres.Cluster) -> None:
    right = postgresql.url(tcp=True)
    with opened(right) as engine:
        assert engine.dialect.name == "postgresql"
    for wrong, sentence in (
        (right.replace(postgresql.password, "geheim"), "refused user or password"),
        (right.replace(f":{postgresql.password}", ""), "wants a password"),
        (right.replace("/postgres", "/missing").replace("missing:", "postgres:"), "knows no such"),
        (postgresql.url("missing"), "knows no such user or database"),
    ):
        with pytest.raises(ConfigError, match=sentence) as refusal:
            open_engine(wrong)
        assert "geheim" not in str(refusal.value)
        assert postgresql.password not in str(refusal.value)


# ---- trouble in the middle


def test_a_full_disk_undoes_the_unit_and_asks_to_come_again(new_store: Callable[[str], Store]) -> None:
    store = new_store("sqlite")
    with store.unit() as unit:  # over the connection that the next units have too
        pages = unit._connection.exec_driver_sql("PRAGMA page_count").scalar()
        unit._connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")

    def fill() -> None:
        with store.unit() as unit:
            for number in range(1000):
                unit.add_mail(Mail(to="a", subject=str(number), text="x" * 1000, sent_utc_s=1))

    with pytest.raises(PortalError) as refusal:
        fill()
    assert refusal.value.code is PortalErrorCode.UNAVAILABLE
    with store.reading() as reading:
        assert reading.undelivered(0, 9) == []
    with store.unit() as unit:
        unit.set_licence(1, "vag", 9)


@kinds
@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
def test_text_that_no_database_keeps_is_refused_or_kept(
    kind: str, text: str, new_store: Callable[[str], Store]
) -> None:
    def ask() -> None:
        with new_store(kind).reading() as reading:
            assert reading.account(text) is None

    if (kind, text) == ("sqlite", "a\x00b"):
        ask()
        return
    with pytest.raises(PortalError) as refusal:
        ask()
    assert refusal.value.code is PortalErrorCode.INVALID_INPUT


@kinds
def test_a_mistake_of_ours_is_seen_and_tells_no_values(kind: str, new_store: Callable[[str], Store]) -> None:
    store = new_store(kind)

    def twice() -> None:
        with store.unit() as unit:
            for _ in range(2):
                unit.add_link("the-hash", Link("confirm", "tessa@workshop.example", None, 9))

    with pytest.raises(sa.exc.IntegrityError) as mistake:
        twice()
    assert "tessa@" not in str(mistake.value)
    with store.unit() as unit:
        assert unit.use_link("the-hash", "confirm", 0) is None


@pytest.mark.parametrize(
    ("state", "outcome"), [("40001", Conflict), ("40P01", Conflict), ("55P03", PortalError), ("57014", PortalError)]
)
def test_who_lost_a_race_does_it_again_and_who_waited_too_long_is_told(
    state: str, outcome: type[Exception], new_store: Callable[[str], Store]
) -> None:
    def lose() -> None:
        with new_store("postgresql").unit() as unit:
            unit._connection.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{state}'; END $$")

    with pytest.raises(outcome):
        lose()


def test_a_writer_that_waits_too_long_for_its_turn_is_told(
    new_store: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal_sim.sql.store.WAIT_S", 0.01)
    store = new_store("sqlite")
    with store.unit(), pytest.raises(PortalError, match="busy"):
        _license(store)


def test_a_connection_that_is_lost_in_the_middle_undoes_the_unit_and_the_next_one_works(
    postgresql: postgres.Cluster, new_store: Callable[[str], Store]
) -> None:
    store = new_store("postgresql")

    def lose() -> None:
        with store.unit() as unit:
            unit.set_licence(1, "vag", 9)
            pid = unit._connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            postgresql.execute(f"SELECT pg_terminate_backend({pid}, 5000)")
            unit.set_licence(1, "fca", 9)

    with pytest.raises(PortalError) as refusal:
        lose()
    assert (refusal.value.code, refusal.value.retry_after_s) == (PortalErrorCode.UNAVAILABLE, 1)
    with store.unit() as unit:
        assert unit.licences(1) == {}


def test_a_connection_that_is_lost_in_the_pool_is_not_noticed(
    postgresql: postgres.Cluster, new_store: Callable[[str], Store]
) -> None:
    store = new_store("postgresql")
    with store.reading() as reading:
        pid = reading._connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
    postgresql.execute(f"SELECT pg_terminate_backend({pid}, 5000)")
    with store.unit() as unit:
        unit.set_licence(1, "vag", 9)


def test_the_connection_for_glances_is_kept_and_one_that_is_lost_meanwhile_is_not_noticed(
    postgresql: postgres.Cluster, new_store: Callable[[str], Store]
) -> None:
    store = new_store("postgresql")
    pids = [_glancer(store) for _ in range(3)]
    assert len(set(pids)) == 1
    postgresql.execute(f"SELECT pg_terminate_backend({pids[0]}, 5000)")
    assert _glancer(store) != pids[0]


def test_a_glance_whose_connection_is_lost_is_told_and_the_next_one_works(
    postgresql: postgres.Cluster, new_store: Callable[[str], Store]
) -> None:
    store = new_store("postgresql")

    def lose() -> None:
        with store.glance() as glance:
            pid = glance._connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            postgresql.execute(f"SELECT pg_terminate_backend({pid}, 5000)")
            glance.licences(1)

    with pytest.raises(PortalError) as refusal:
        lose()
    assert refusal.value.code is PortalErrorCode.UNAVAILABLE
    with store.glance() as glance:
        assert glance.licences(1) == {}


def _glancer(store: Store) -> int:
    with store.glance() as glance:
        pid: int = glance._connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
    return pid


@kinds
@pytest.mark.parametrize("way", ["glance", "reading"])
def test_what_is_kept_at_hand_leaves_ten_connections_for_anybody(
    kind: str, way: str, new_store: Callable[[str], Store]
) -> None:
    store = new_store(kind)
    for each in (store.glance, store.reading, store.unit):
        with each() as asked:
            assert asked.licences(1) == {}
    for _ in range(2):
        with ExitStack() as stack:
            many = [stack.enter_context(getattr(store, way)()) for _ in range(10)]
            assert [asked.licences(1) for asked in many] == [{}] * 10
            with store.unit() as unit:
                unit.set_licence(2, "vag", 9)
    with store.glance() as glance:
        assert glance.licences(2) == {"vag": 9}


@pytest.mark.slow
def test_a_server_that_is_away_is_said_and_found_again(new_url: NewUrl) -> None:
    cluster = postgres.make_cluster(durable=False)
    try:
        store = SqlStore.at(cluster.new_database(), sealing())
        _license(store)
        cluster.stop()
        for _ in range(2):
            with pytest.raises(PortalError) as refusal:
                _license(store)
            assert refusal.value.code is PortalErrorCode.UNAVAILABLE
        cluster.start(durable=False)
        with store.unit() as unit:
            assert unit.licences(1) == {"vag": 9}
        store.close()
    finally:
        postgres.remove(cluster)
