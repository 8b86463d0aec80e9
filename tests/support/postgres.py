"""A PostgreSQL of the test run's own: no service of the machine is used, asked for or started.

One cluster serves all workers of a run, behind a file lock; a keeper process stops it when the run is over, however it ended.
Each test gets a database of its own, copied from one that is migrated already. PostgreSQL refuses root: there it runs as
`postgres`.
"""

import contextlib
import fcntl
import itertools
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

WANTED = ("CI", "SGW_BENCH_NEEDS_POSTGRESQL")
"""Where one of these is set, tests that lack PostgreSQL fail instead of being skipped."""
TEMPLATE = "portal_template"
START_LIMIT_S = 60
_numbers = itertools.count()


def programs() -> Path | None:
    """Where PostgreSQL's programs are: on the path, or where Debian puts them."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "pg_ctl").exists() and (folder / "initdb").exists()), None)


def require() -> Path:
    """Return the folder of the programs; skip the test without them, or fail it where they are promised."""
    folder = programs()
    if folder is not None:
        return folder
    reason = "PostgreSQL is not installed: apt-get install postgresql"
    if any(os.environ.get(name) for name in WANTED):
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A server: where its data and socket are, and its TCP port on loopback."""

    folder: Path
    port: int
    password: str

    def url(self, database: str = "postgres", *, tcp: bool = False) -> str:
        """The URL of a database, over the Unix socket or over TCP with a password."""
        if tcp:
            return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/{database}"
        return f"postgresql://postgres@/{database}?host={self.folder}&port={self.port}"

    def execute(self, *statements: str) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[call-overload]

    def new_database(self, template: str = "template0") -> str:
        """Make a database; return its URL."""
        name = f"t{os.getpid()}_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def drop(self, url: str) -> None:
        name = url.partition("?")[0].rpartition("/")[2]
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    # ---- the server

    def start(self, *, durable: bool) -> None:
        fast = "" if durable else "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"
        options = f"-k {self.folder} -p {self.port} -c listen_addresses=127.0.0.1 -c max_connections=200 {fast}"
        log = self.folder / "log"
        self._run("pg_ctl", "-D", self.data, "-w", "-t", START_LIMIT_S, "-l", log, "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-D", self.data, "-w", "-m", mode, "stop", check=False)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def postmaster(self) -> int:
        return int((self.data / "postmaster.pid").read_text().splitlines()[0])

    def kill(self) -> None:
        """End the server as a power cut would: every process of it at once, by SIGKILL."""
        main = self.postmaster
        others = subprocess.run(["pgrep", "-P", str(main)], capture_output=True, text=True, check=False).stdout.split()
        for pid in (main, *map(int, others)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + START_LIMIT_S
        while any(alive(int(pid)) for pid in (main, *others)) and time.monotonic() < deadline:
            time.sleep(0.01)
        # Where nobody reaps them, the dead keep their numbers, and PostgreSQL takes them for living.
        for note in (self.data / "postmaster.pid", self.folder / f".s.PGSQL.{self.port}.lock"):
            note.unlink(missing_ok=True)

    def _run(self, program: str, *arguments: object, check: bool = True) -> None:
        folder = programs()
        assert folder is not None
        done = subprocess.run(
            [str(folder / program), *map(str, arguments)],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            **_not_root(),
        )
        if check and done.returncode:
            said = (done.stdout or b"").decode() or (self.folder / "log").read_text(errors="replace")
            raise RuntimeError(f"{program} failed: {said[-2000:]}")


def _not_root() -> dict[str, object]:
    if os.getuid():
        return {}
    who = pwd.getpwnam("postgres")
    return {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def make_cluster(*, durable: bool) -> Cluster:
    """Make a cluster in a folder of its own, and start it."""
    require()
    fast = Path("/dev/shm")  # noqa: S108 - a folder of our own in it
    root = fast if not durable and fast.is_dir() and os.access(fast, os.W_OK) else Path(tempfile.gettempdir())
    folder = Path(tempfile.mkdtemp(prefix="sgw-pg-", dir=root))
    if not os.getuid():
        shutil.chown(folder, "postgres")
    folder.chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    cluster = Cluster(folder, port, secrets.token_hex(8))
    secret = folder / "password"
    secret.write_text(cluster.password)
    cluster._run(
        *("initdb", "-D", cluster.data, "-U", "postgres", "-E", "UTF8", "--locale=C", "-N"),
        *("--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile", secret),
    )
    secret.unlink()
    cluster.start(durable=durable)
    return cluster


def remove(cluster: Cluster) -> None:
    cluster.stop()
    shutil.rmtree(cluster.folder, ignore_errors=True)


@contextlib.contextmanager
def shared_cluster(run_folder: Path) -> Iterator[Cluster]:
    """The run's cluster: the first worker makes it, the keeper ends it after the last one's end."""
    require()
    with (run_folder / "postgres.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        note = run_folder / "postgres.json"
        if not note.exists():
            cluster = make_cluster(durable=False)
            _keep(cluster)
            _make_template(cluster)
            note.write_text(json.dumps([str(cluster.folder), cluster.port, cluster.password]))
    folder, port, password = json.loads(note.read_text())
    yield Cluster(Path(folder), port, password)


def _make_template(cluster: Cluster) -> None:
    from portal_sim.sql import schema
    from portal_sim.sql.engine import open_engine

    cluster.execute(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0")
    engine = open_engine(cluster.url(TEMPLATE))
    schema.check(engine)
    engine.dispose()


def _keep(cluster: Cluster) -> None:
    """Start the keeper: it waits for the end of the run's first process, however that ends, and removes the cluster."""
    run = int(os.environ.get("SGW_BENCH_TEST_RUN", "0")) or (
        os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    )
    subprocess.run(
        [sys.executable, __file__, str(run), str(cluster.folder), str(cluster.port)],
        check=True,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def main(run: int, folder: str, port: int) -> None:
    """What the keeper does, as nobody's child."""
    if os.fork():
        os._exit(0)
    while alive(run):
        time.sleep(0.2)
    remove(Cluster(Path(folder), port, ""))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
