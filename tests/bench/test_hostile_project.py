"""The wheel, installed into projects that have something called `bench` themselves; and what the wheel holds."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from scenarios.library import find

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parents[2]
Run = Callable[..., "subprocess.CompletedProcess[str]"]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
DIST_INFO = f"sgw_bench-{PROJECT['project']['version']}.dist-info"
DATA = ("bench/vehicles", "ecu_sim/profiles", "sgw_sim/profiles", "scenarios/library")


def _do(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    bare = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "PYTHON", "COLUMNS"))}
    return subprocess.run(
        [str(word) for word in words], cwd=cwd, env=bare, capture_output=True, text=True, timeout=100, check=False
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without network."""
    folder = tmp_path_factory.mktemp("wheel")
    built = _do(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=CHECKOUT)
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that sees the wheel as installed, and the dependencies of this one; not the checkout."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python3*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", packages, wheel)
    installed = _do(*pip, cwd=folder)
    assert installed.returncode == 0, installed.stderr
    return folder / "bin" / "python"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a package `bench` and a test of it."""
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "__init__.py").write_text("")
    (tmp_path / "bench" / "mine.py").write_text("def one():\n    return 1\n")
    (tmp_path / "conftest.py").write_text("")
    (tmp_path / "test_mine.py").write_text("def test_mine():\n    from bench.mine import one\n    assert one() == 1\n")
    return tmp_path


# ---- what the wheel holds


def test_the_wheel_holds_every_package_with_its_data_and_type_marker(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    for folder in DATA:
        files = {str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / folder).rglob("*.yaml")}
        assert files
        assert files <= names
    assert "sgw_bench_plugin.py" in names


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {*PACKAGES, "sgw_bench_plugin.py", DIST_INFO}
    assert len(names) == len(set(names))
    assert not [name for name in names if Path(name).name.startswith(("test_", "conftest")) or "__pycache__" in name]


def test_the_wheel_names_the_command_the_plugin_and_the_licence(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    entry_points = archive.read(f"{DIST_INFO}/entry_points.txt").decode()
    assert "sgw-bench = bench.cli:main" in entry_points
    assert "[pytest11]\nsgw_bench = sgw_bench_plugin" in entry_points
    assert f"{DIST_INFO}/licenses/LICENSE" in archive.namelist()


def test_an_installed_wheel_plays_the_library_without_the_checkout(python: Path, tmp_path: Path) -> None:
    where = _do(python, "-c", "import bench; print(bench.__file__)", cwd=tmp_path)
    assert where.stdout.startswith(str(python.parents[1]))
    done = _do(python, "-m", "bench.cli", "run", "@happy", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"{len(find(['@happy']))} passed" in done.stdout


def test_the_plugin_of_an_installed_wheel_gives_its_fixture(python: Path, tmp_path: Path) -> None:
    (tmp_path / "test_scan.py").write_text("def test_scan(bench):\n    assert bench.tester().scan()\n")
    done = _do(python, "-m", "pytest", "-q", cwd=tmp_path)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


# ---- hostile projects


def test_a_package_bench_before_ours_is_named_in_one_clear_sentence(python: Path, project: Path) -> None:
    done = _do(python, "-m", "pytest", "-q", cwd=project)
    assert done.returncode != 0
    said = [line for line in (done.stdout + done.stderr).splitlines() if "sgw-bench cannot load" in line]
    assert len(said) == 1
    assert f"the package 'bench' in {project / 'bench'} stands before sgw-bench's own on the import path" in said[0]
    assert "Rename it" in said[0]


@pytest.mark.parametrize("name", ["scenarios", "wire"])
def test_any_other_package_before_one_of_ours_is_named_too(python: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    done = _do(python, "-m", "pytest", "-q", cwd=tmp_path)
    assert f"the package {name!r} in {tmp_path / name} stands before sgw-bench's own" in done.stdout + done.stderr


def test_a_module_bench_before_ours_is_named_too(python: Path, tmp_path: Path) -> None:
    (tmp_path / "bench.py").write_text("")
    done = _do(python, "-m", "pytest", "-q", cwd=tmp_path)
    assert f"the module {tmp_path / 'bench.py'} stands before sgw-bench's own" in done.stdout + done.stderr


@pytest.mark.parametrize("regular", [True, False], ids=["package", "folder"])
def test_a_bench_that_ours_hides_is_named_when_its_import_fails(python: Path, project: Path, regular: bool) -> None:
    if not regular:
        (project / "bench" / "__init__.py").unlink()
    done = _do(python, "-P", "-m", "pytest", "-q", cwd=project)
    assert "No module named 'bench.mine'" in done.stdout
    assert f"not the folder {project / 'bench'}. If a test needs that one, rename it" in done.stdout


def test_a_bench_that_ours_hides_is_not_spoken_of_while_nothing_fails(python: Path, project: Path) -> None:
    (project / "test_mine.py").write_text("def test_mine():\n    pass\n")
    done = _do(python, "-P", "-m", "pytest", "-q", cwd=project)
    assert "1 passed" in done.stdout
    assert "sgw-bench" not in done.stdout


@pytest.mark.parametrize("options", [(), ("-P",)], ids=["python -m pytest", "pytest"])
def test_both_work_side_by_side_without_the_plugin(python: Path, project: Path, options: tuple[str, ...]) -> None:
    done = _do(python, *options, "-m", "pytest", "-q", "-p", "no:sgw_bench", cwd=project)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
