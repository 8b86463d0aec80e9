"""The pytest plugin: a bench for each test, scenario files as tests, one seed for the whole run.

`bench` is a fixture (virtual time, one vehicle of your choice); `*.scenario.yaml` files are tests; a failure prints its seed and
the command that replays it. Under pytest-xdist the controller draws the seed.
"""

from __future__ import annotations

import re
import secrets
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bench.bench import Bench
    from bench.bench_file import BenchSpec

__all__ = [
    "bench",
    "bench_seed",
    "pytest_addoption",
    "pytest_collect_file",
    "pytest_configure",
    "pytest_configure_node",
    "pytest_report_header",
    "pytest_runtest_call",
    "pytest_runtest_makereport",
    "pytest_terminal_summary",
]

OWN_FOLDER = Path(__file__).parent
SUFFIX = ".scenario.yaml"
SEED = pytest.StashKey[int]()
FILE: pytest.StashKey[BenchSpec] = pytest.StashKey()
BENCH = pytest.StashKey["Bench"]()
ADAPTER = "adapter"
"""The property of a test, in JUnit files too, that holds what the tester's adapter reported and went on."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--bench`, `--sgw-seed`, `--sgw-trace` and `--sgw-trace-format`."""
    group = parser.getgroup("sgw-bench", "simulated security gateways")
    group.addoption("--sgw-seed", default="0", metavar="N", help="seed of every bench: a number, or `random` (printed)")
    group.addoption("--sgw-trace", default=None, metavar="DIR", help="write traces of every bench here")
    group.addoption(
        "--bench",
        default=None,
        metavar="FILE",
        dest="sgw_bench_file",
        help="where every bench stands: a ready bench file by name (virtual, vcan, udp ...) or one of your own",
    )
    group.addoption(
        "--sgw-trace-format",
        default=None,
        metavar="FORMATS",
        help="which traces: candump,asc,blf,pcapng (all of them unless told)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Read the bench file and the formats of traces; settle the seed: given, drawn here, or drawn by the xdist controller."""
    _read_bench_file(config)
    if config.getoption("--sgw-trace-format") is not None:
        _trace_formats(config)
    worker = getattr(config, "workerinput", None)
    if worker is not None and "sgw_seed" in worker:
        config.stash[SEED] = worker["sgw_seed"]
        return
    text = config.getoption("--sgw-seed")
    if text == "random":
        config.stash[SEED] = secrets.randbelow(2**31)
        return
    try:
        config.stash[SEED] = int(text)
    except ValueError:
        raise pytest.UsageError(f"--sgw-seed takes a whole number or `random`, not {text!r}") from None


def _read_bench_file(config: pytest.Config) -> None:
    name = config.getoption("sgw_bench_file")
    if name is None:
        return
    from bench.bench_file import load_bench  # noqa: PLC0415 - tests that need no bench stay quick
    from wire.errors import ConfigError  # noqa: PLC0415

    try:
        config.stash[FILE] = load_bench(name)
    except ConfigError as error:
        raise pytest.UsageError(f"--bench {name}: {error}") from None


def _trace_formats(config: pytest.Config) -> tuple[str, ...]:
    """Return the formats that traces are wanted in."""
    from wire.errors import ConfigError  # noqa: PLC0415 - tests that need no bench stay quick
    from wire.trace_files import ALL_FORMATS, read_formats  # noqa: PLC0415

    text = config.getoption("--sgw-trace-format")
    if text is None:
        return ALL_FORMATS
    if config.getoption("--sgw-trace") is None:
        raise pytest.UsageError("--sgw-trace-format: no trace is written without --sgw-trace DIR")
    try:
        return read_formats(text)
    except ConfigError as error:
        raise pytest.UsageError(f"--sgw-trace-format: {error}") from None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the seed to an xdist worker."""
    node.workerinput["sgw_seed"] = node.config.stash[SEED]


def pytest_report_header(config: pytest.Config) -> str:
    """Say the seed, so that any run can be replayed, and the bench."""
    file = config.stash.get(FILE, None)
    where = "" if file is None else f", bench {file.name!r}: {file.title}"
    return f"sgw-bench: seed {config.stash[SEED]} (replay with --sgw-seed {config.stash[SEED]}){where}"


@pytest.fixture
def bench_seed(request: pytest.FixtureRequest) -> int:
    """The seed of this run."""
    return request.config.stash[SEED]


@pytest.fixture
def bench(request: pytest.FixtureRequest, bench_seed: int) -> Iterator[Bench]:
    """A bench, in virtual time unless `--bench` says otherwise; the witness fails the test when something protected was
    answered without a grant.
    """
    from bench.bench import Bench  # noqa: PLC0415 - tests that need no bench stay quick

    folder = request.config.getoption("--sgw-trace")
    file = request.config.stash.get(FILE, None)
    with Bench(seed=bench_seed, file=file, keep_trace=folder is not None) as made:
        request.node.stash[BENCH] = made
        yield made
        request.node.user_properties.extend((ADAPTER, str(notice)) for notice in made.notices())
        if folder is not None:
            made.write_trace(Path(folder), _file_stem(request.node.nodeid), _trace_formats(request.config))


def _file_stem(nodeid: str) -> str:
    """Return a name that a file can have; parameters, which may differ in signs alone, are told apart by a checksum."""
    told_apart = f"-{zlib.crc32(nodeid.encode()):08x}" if "[" in nodeid else ""
    return re.sub(r"[^\w.]+", "-", nodeid).strip("-") + told_apart


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, Any, Any]:
    """Skip a test, with the reason, that asks for what the carrier cannot do."""
    try:
        return (yield)
    except Exception as error:
        from wire.errors import NotOnThisCarrier  # noqa: PLC0415 - tests that need no bench stay quick

        if isinstance(error, NotOnThisCarrier):
            raise pytest.skip.Exception(str(error), _use_item_location=True) from error
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Add seed and replay command to a failure's report."""
    report: Any = yield
    if report.failed and BENCH in item.stash:
        seed = item.config.stash[SEED]
        name = item.config.getoption("sgw_bench_file")
        where = "" if name is None else f" --bench {name}"
        report.sections.append(("sgw-bench", f"seed {seed}; replay: pytest {item.nodeid!r} --sgw-seed {seed}{where}"))
    return report


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    """Say what adapters reported. Name a folder `bench` of the project that ours hides, when something failed: the import error
    alone does not say why.
    """
    reports = [report for of_outcome in terminalreporter.stats.values() for report in of_outcome]
    told = [told for report in reports for told in getattr(report, "user_properties", ())]
    for notice in dict.fromkeys(text for name, text in told if name == ADAPTER):
        terminalreporter.write_line(f"sgw-bench: adapter: {notice}")
    for place in {config.rootpath / "bench", config.invocation_params.dir / "bench"}:
        if exitstatus and place.is_dir() and place != OWN_FOLDER:
            terminalreporter.write_line(
                f"sgw-bench: `import bench` means sgw-bench's own package here, not the folder {place}. "
                "If a test needs that one, rename it, or run pytest with -p no:sgw_bench."
            )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect `*.scenario.yaml` files."""
    if not file_path.name.endswith(SUFFIX):
        return None
    return ScenarioFile.from_parent(parent, path=file_path)


class ScenarioFile(pytest.File):
    """A scenario file; one test."""

    def collect(self) -> Iterator[ScenarioItem]:
        """Yield the file's one test."""
        yield ScenarioItem.from_parent(self, name=self.path.name.removesuffix(SUFFIX))


class ScenarioFailed(Exception):
    """A scenario that did not meet its expectations."""


class ScenarioItem(pytest.Item):
    """One scenario, played on a bench of its own."""

    def runtest(self) -> None:
        """Play it; a mismatch fails, what the carrier cannot do skips."""
        from bench.bench_file import VIRTUAL  # noqa: PLC0415
        from bench.runner import run_one  # noqa: PLC0415
        from scenarios.model import load_scenario  # noqa: PLC0415
        from scenarios.play import Status  # noqa: PLC0415

        folder = self.config.getoption("--sgw-trace")
        run = run_one(
            load_scenario(self.path),
            seed=self.config.stash[SEED],
            trace_dir=Path(folder) if folder else None,
            trace_formats=_trace_formats(self.config),
            stem=_file_stem(self.nodeid),
            file=self.config.stash.get(FILE, VIRTUAL),
        )
        self.user_properties.extend((ADAPTER, notice) for notice in run.notices)
        if run.played.status is Status.SKIPPED:
            pytest.skip(run.played.reason)
        if run.played.status is Status.FAILED:
            raise ScenarioFailed("\n".join([run.played.reason, *run.played.violations, f"replay: {run.replay}"]))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show what was expected and what came, without a traceback through the bench."""
        from wire.errors import ConfigError  # noqa: PLC0415

        if isinstance(excinfo.value, ScenarioFailed | ConfigError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Say where the test is."""
        return self.path, 0, f"scenario {self.name}"
