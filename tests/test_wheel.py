"""What pip installs works without the checkout: everything that the platform reads is in the wheel."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from homes import ports, temporary_home

from resources.settings import REPOSITORY

Mlops = Callable[..., str]


def _of_others() -> dict[str, str]:
    """The environment without what is set for this checkout."""
    ours = ("MLOPS_", "PYTHON", "DAGSTER")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The `bin` of an environment with the wheel, and with what is installed here but for this checkout."""
    files = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    source, wheels = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheels")
    for name in filter(None, files.stdout.split("\0")):  # building leaves files beside the source
        if (REPOSITORY / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / name, source / name)
    # A PYTHONPATH that holds the checkout would make pip find the project there and leave the wheel out.
    pip = [sys.executable, "-m", "pip", "--quiet"]
    env = _of_others()
    build = [*pip, "wheel", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, source]
    subprocess.run(build, env=env, check=True)
    # Where every user may enter: as root, PostgreSQL runs as another one.
    folder = temporary_home() / "venv"
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    install = [*pip, "--python", python, "install", "--no-index", "--no-deps", *wheels.glob("*.whl")]
    subprocess.run(install, env=env, check=True)
    site = next(folder.glob("lib/python*/site-packages"))
    # Its folder alone: the .pth files in it, the editable installation of the checkout among them, are not read.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    yield folder / "bin"
    shutil.rmtree(folder.parent)


@pytest.fixture
def mlops(installed: Path) -> Iterator[Mlops]:
    """Runs `mlops` in an empty folder, on free ports; what runs there is ended afterwards."""
    folder = temporary_home()
    env = _of_others() | {f"MLOPS_{name.upper()}": str(port) for name, port in ports().items()}

    def run(*arguments: str, program: str = "mlops") -> str:
        command = [installed / program, *arguments]
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    yield run
    run("down")
    shutil.rmtree(folder)


def test_it_shows_its_help_and_writes_a_workload(mlops: Mlops) -> None:
    assert "new" in mlops("--help")
    for kind in ("sklearn", "plain", "lightning", "transformers"):
        assert "workload.py" in mlops("new", f"iris_{kind}", "--kind", kind, "--into", "team/models")


def test_the_definitions_load_from_what_is_installed(mlops: Mlops, installed: Path) -> None:
    code = "import mlops_assets.definitions as d, resources.settings as s; d.defs.resolve_asset_graph();"
    found = mlops("-c", code + "print(d.__file__, s.settings().home, sep='\\n')", program="python").splitlines()
    assert Path(found[0]).is_relative_to(installed.parent)
    assert not Path(found[1]).is_relative_to(installed.parent), "state must not lie in site-packages"


@pytest.mark.platform
def test_the_platform_starts(mlops: Mlops) -> None:
    mlops("up")
    status = mlops("status")
    assert "answers" in status
    assert "broken" not in status
    assert "stopped" not in status
