"""A fresh store of each kind, for tests that hold for all of them: memory, SQLite, PostgreSQL."""

import itertools
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import postgres
import pytest
from portal_people import Counter

from portal_sim.audit_chain import AuditChain
from portal_sim.memory_store import MemoryStore
from portal_sim.sealing import Sealing
from portal_sim.sql.store import CHAIN_PURPOSE, SqlStore
from portal_sim.store import Store
from wire.entropy import SeededEntropy

KINDS = ("memory", "sqlite", "postgresql")
DATABASES = ("sqlite", "postgresql")


def sealing(key: bytes = b"k" * 32) -> Sealing:
    return Sealing(key, SeededEntropy(random.Random(0)))


CHAIN = AuditChain(sealing().derived(CHAIN_PURPOSE))
"""The chain of all these stores."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let tests marked `every_store` run once for each kind of store, which all their portals have; slow ones in memory only."""
    marked = metafunc.definition.get_closest_marker
    if marked("every_store") and not marked("slow"):
        metafunc.fixturenames.insert(0, "every_store")
        metafunc.parametrize("every_store", KINDS, indirect=True)


@pytest.fixture
def every_store(
    request: pytest.FixtureRequest, new_store: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Counter, "new_store", staticmethod(lambda: new_store(request.param)))


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.Cluster]:
    """The cluster that all workers of this run share."""
    base = tmp_path_factory.getbasetemp()
    with postgres.shared_cluster(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) as cluster:
        yield cluster


@pytest.fixture
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Give the URL of a new database of a kind; SQLite's is empty, PostgreSQL's migrated."""
    dropped, numbers = [], itertools.count()

    def make(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / f'{next(numbers)}.db'}"
        cluster: postgres.Cluster = request.getfixturevalue("postgresql")
        url = cluster.new_database(postgres.TEMPLATE)
        dropped.append((cluster, url))
        return url

    yield make
    for cluster, url in dropped:
        cluster.drop(url)


@pytest.fixture
def new_store(new_url: Callable[[str], str]) -> Iterator[Callable[[str], Store]]:
    """Make a new store of a kind."""
    opened = []

    def make(kind: str) -> Store:
        if kind == "memory":
            return MemoryStore(CHAIN)
        opened.append(SqlStore.at(new_url(kind), sealing()))
        return opened[-1]

    yield make
    for store in opened:
        store.close()
