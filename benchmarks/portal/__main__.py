"""`make benchmark-portal`: the service under load, as ratios to what bounds it, in one run. One worker, durable commits, Argon2id
at OWASP's minimum. What is compared is measured in turns, and the median of the turns counts. `--short`: every row, in seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from rich.console import Console
from rich.table import Table

from benchmarks.portal.people import Person, login, look, unlock, write_people
from portal_sim.passwords import hashes_at_once

ROOT = Path(__file__).resolve().parents[2]
CONNECTIONS = 8
P99_MS = 50.0
FLAT_MIB = 10.0
"""What memory may differ by, from after the warm-up to the end: an allocator's arenas, no leak of 100 bytes a request."""


@dataclass(frozen=True)
class Plan:
    """How long and how often."""

    seconds: float
    turns: int
    people: int
    requests: int


WHOLE, SHORT = Plan(4.0, 7, 8000, 100_000), Plan(0.5, 1, 300, 2_000)
"""Many short turns: a machine's pace changes within seconds, and what is compared must meet the same."""


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    what: str
    measured: str
    bound: str
    ratio: str
    target: str
    reached: bool


class Served:
    """A process that prints where it serves. `most_load`: the most of a core that a load on any of them has taken."""

    most_load: ClassVar[float] = 0.0

    def __init__(self, *command: str) -> None:
        self._child = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._child.stdout is not None
        line = next(line for line in self._child.stdout if line.startswith("portal at"))
        self.host, _, port = line.split()[-1].removeprefix("http://").rpartition(":")
        self.port = int(port)

    @property
    def rss_mib(self) -> float:
        """Memory of the process that is in use (Linux)."""
        pages = int(Path(f"/proc/{self._child.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def close(self) -> None:
        """End the process."""
        self._child.send_signal(signal.SIGTERM)
        self._child.communicate()

    def load(
        self, requests: list[str], seconds: float, *, repeat: bool = True, rate: float | None = None
    ) -> dict[str, float]:
        """Put a load on it, from a process of its own; return what came of it."""
        connections = CONNECTIONS if rate is None else 4 * CONNECTIONS
        job = {
            "host": self.host,
            "port": self.port,
            "connections": connections,
            "requests": requests,
            "seconds": seconds,
            "repeat": repeat,
            "rate": rate,
        }
        client = [sys.executable, "-m", "benchmarks.portal.client"]
        done = subprocess.run(client, cwd=ROOT, input=json.dumps(job), capture_output=True, text=True, check=True)
        result: dict[str, Any] = json.loads(done.stdout)
        good = sum(count for status, count in result["statuses"].items() if status.startswith("2"))
        total = sum(result["statuses"].values())
        if good != total:
            raise SystemExit(f"the service refused {total - good} of {total}: {result['statuses']}")
        result["per_s"] = good / result["seconds"]
        Served.most_load = max(Served.most_load, result["cpu_s"] / result["seconds"])
        return result


@contextlib.contextmanager
def portal(folder: Path, database: str, count: int) -> Iterator[tuple[Served, list[Person]]]:
    """Serve a portal with people in it."""
    url = database or f"sqlite:///{folder / 'portal.sqlite'}"
    people = write_people(folder, url, count)
    served = Served("-m", "bench.cli", "portal", "--port", "0", "--data", str(folder), "--database", url)
    try:
        yield served, people
    finally:
        served.close()


class Figures:
    """Measures one store's rates; each login takes somebody who has not logged in yet."""

    def __init__(self, served: Served, people: list[Person], plan: Plan) -> None:
        self.served, self.plan = served, plan
        self._fresh = iter(people)
        self._people = people

    def reads(self) -> float:
        """Return how often profiles are read in a second."""
        return self._rate([look(person) for person in self._people[:100]])

    def issues(self) -> float:
        """Return how many certificates are issued in a second."""
        return self._rate([unlock(person) for person in self._people[:100]])

    def logins(self) -> float:
        """Return how many people sign in in a second, with password and code."""
        some = [person for person, _ in zip(self._fresh, range(int(self.plan.seconds * 100)), strict=False)]
        return self._rate([login(person) for person in some], repeat=False)

    def blend(self, count: int) -> float:
        """Return how many of a mix are answered in a second."""
        return self._rate(self.mixed(count), repeat=False)

    def latency(self, requests: Callable[[int], list[str]], rate: float) -> dict[str, float]:
        """Return what it is like at half of a rate."""
        half = rate / 2
        return self.served.load(requests(int(half * self.plan.seconds) + 1), self.plan.seconds, rate=half, repeat=False)

    def mixed(self, count: int) -> list[str]:
        """Nine of ten look, nearly all others ask for an unlock, one in a hundred logs in."""
        kinds = [look] * 90 + [unlock] * 9 + [login]
        made = []
        for number in range(count):
            kind = kinds[number * 37 % 100]
            made.append(login(next(self._fresh)) if kind is login else kind(self._people[number % 100]))
        return made

    def _rate(self, requests: list[str], *, repeat: bool = True) -> float:
        return self.served.load(requests, self.plan.seconds, repeat=repeat)["per_s"]


def bare_hashes(seconds: float) -> float:
    """Return how many passwords a second this machine compares."""
    command = [sys.executable, "-m", "benchmarks.portal.bare", "hashes", str(hashes_at_once()), str(seconds)]
    return float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def in_turns(turns: int, *acts: Callable[[], float]) -> list[float]:
    """Return the median of each, measured in turns with the others."""
    rounds = [[act() for act in acts] for _ in range(turns)]
    return [statistics.median(figures) for figures in zip(*rounds, strict=True)]


def against(what: str, measured: float, bound: float, bound_name: str, least: float) -> Row:
    ratio = measured / bound
    return Row(
        what,
        f"{measured:,.0f} /s",
        f"{bound:,.0f} /s {bound_name}",
        f"{ratio:.1%}",
        f"at least {least:.0%}",
        ratio >= least,
    )


def calm(what: str, result: dict[str, float]) -> Row:
    p50, p99 = result["p50_s"] * 1e3, result["p99_s"] * 1e3
    return Row(
        what,
        f"{p50:.1f} ms, 99 %: {p99:.1f} ms",
        f"{result['per_s']:,.0f} /s",
        "",
        f"below {P99_MS:.0f} ms",
        p99 < P99_MS,
    )


def sqlite_rows(figures: Figures, bare: Served) -> Iterator[Row]:
    """Measure the portal on SQLite."""
    plan = figures.plan
    request = ["GET /v1/profile HTTP/1.1\r\nHost: portal.example\r\n\r\n"]
    reads, bound = in_turns(plan.turns, figures.reads, lambda: bare.load(request, plan.seconds)["per_s"])
    yield against("profile reads", reads, bound, "bare endpoint", 0.40)
    (issues,) = in_turns(plan.turns, figures.issues)
    yield Row("certificates issued", f"{issues:,.0f} /s", "", "", "at least 150 /s", issues >= 150)
    logins, hashes = in_turns(plan.turns, figures.logins, lambda: bare_hashes(plan.seconds))
    yield against("logins, password and code", logins, hashes, "bare hashes", 0.85)
    yield calm("a profile read at half of that", figures.latency(lambda n: _cycled(figures, look, n), reads))
    yield calm("an issue at half of that", figures.latency(lambda n: _cycled(figures, unlock, n), issues))
    together = 1 / (0.90 / reads + 0.09 / issues + 0.01 / logins)  # about: enough of them is made for the turns
    (blend,) = in_turns(plan.turns, lambda: figures.blend(int(together * plan.seconds)))
    mixed = figures.latency(figures.mixed, blend)
    yield calm("90 % reads, 9 % issues, 1 % logins, half", mixed)


def postgresql_rows(theirs: Figures, ours: Figures) -> Iterator[Row]:
    """Measure the portal on PostgreSQL, in turns with the one on SQLite."""
    for what, act, other in (
        ("profile reads", theirs.reads, ours.reads),
        ("certificates issued", theirs.issues, ours.issues),
        ("logins, password and code", theirs.logins, ours.logins),
    ):
        rate, beside = in_turns(theirs.plan.turns, act, other)
        yield against(f"{what}, PostgreSQL", rate, beside, "SQLite", 0.50)


def _cycled(figures: Figures, kind: Callable[[Person], str], count: int) -> list[str]:
    hundred = [kind(person) for person in figures._people[:100]]
    return [hundred[number % 100] for number in range(count)]


def memory_row(served: Served, people: list[Person], plan: Plan) -> Row:
    """Send many requests, and look at the memory after each tenth."""
    requests = [unlock(people[0])] * 2 + [look(person) for person in people[:98]]
    tenth, seen = plan.requests // 10, []
    for _ in range(11):  # the first tenth warms up
        served.load([requests[number % 100] for number in range(tenth)], 3600, repeat=False)
        seen.append(served.rss_mib)
    grown = seen[-1] - seen[0]
    told = f"{seen[0]:.1f} to {seen[-1]:.1f} MiB"
    return Row(
        f"memory over {plan.requests:,} requests",
        told,
        "",
        f"{grown:+.1f} MiB",
        f"within {FLAT_MIB:.0f} MiB",
        grown < FLAT_MIB,
    )


def main() -> None:
    """Measure and print."""
    reader = argparse.ArgumentParser(prog="benchmarks.portal", description=__doc__)
    reader.add_argument("--short", action="store_true", help="every row, in seconds: not to be believed")
    reader.add_argument("--postgresql", help="the URL of an empty database; a cluster of its own unless told")
    reader.add_argument("--no-postgresql", action="store_true", help="leave its rows out")
    asked = reader.parse_args()
    plan = SHORT if asked.short else WHOLE
    console = Console(width=None if sys.stdout.isatty() else 150)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="sgw-benchmark-") as text, console.status("measuring"):
        folder = Path(text)
        with portal(folder / "sqlite", "", plan.people) as (served, people):
            figures = Figures(served, people, plan)
            bare = Served("-m", "benchmarks.portal.bare", "endpoint")
            rows.extend(sqlite_rows(figures, bare))
            bare.close()
            rows.append(memory_row(served, people, plan))
            with contextlib.nullcontext() if asked.no_postgresql else postgresql(asked.postgresql) as url:
                if url is None:
                    console.print("without PostgreSQL: its rows are left out")
                else:
                    with portal(folder / "postgresql", url, plan.people) as (other, others):
                        rows.extend(postgresql_rows(Figures(other, others, plan), figures))
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores, one worker"
    table = Table(title=f"{machine}; a load took at most {Served.most_load:.0%} of a core")
    for heading in ("", "measured", "beside", "ratio", "to reach", ""):
        table.add_column(heading, justify="left" if heading == "" else "right")
    for row in rows:
        reached = "reached" if row.reached else "[bold red]not reached[/]"
        table.add_row(row.what, row.measured, row.bound, row.ratio, row.target, reached)
    console.print(table)


@contextlib.contextmanager
def postgresql(url: str | None) -> Iterator[str | None]:
    """Yield the URL of an empty database: the one named, or one in a cluster that lives as long; None where there is none."""
    if url is not None:
        yield url
        return
    sys.path.append(str(ROOT / "tests" / "support"))
    postgres = import_module("postgres")  # the tests' own

    if postgres.programs() is None:
        yield None
        return
    cluster = postgres.make_cluster(durable=True)
    try:
        yield cluster.new_database()
    finally:
        postgres.remove(cluster)


if __name__ == "__main__":
    main()
