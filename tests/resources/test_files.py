"""Files that several processes write at once, each through the place that keeps it."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from resources.files import write_atomically
from resources.settings import REPOSITORY

SECRET = "from pathlib import Path; from resources.settings import Settings; print(Settings(home=Path({!r})).admin_key)"
WRITES = """
import json
from pathlib import Path
from resources.serving import Serving
from resources.settings import Settings
from resources.vectors import VectorStore
settings = Settings(home=Path({!r}), postgres_url="postgresql://somebody@127.0.0.1:1")
for _ in range(300):
    Serving(settings)._write_connection()
    json.loads(VectorStore(settings).connection_file().read_text())
    json.loads(settings.path("serving", "connection.json").read_text())
"""


def at_once(code: str, home: Path, number: int = 4) -> list[str]:
    def run(_: int) -> str:
        command = [sys.executable, "-c", code.format(str(home))]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(run, range(number)))


def test_first_starts_agree_on_a_secret(tmp_path: Path) -> None:
    for attempt in range(3):
        home = tmp_path / str(attempt)
        found = set(at_once(SECRET, home))
        assert len(found) == 1
        assert len(found.pop()) > 20
        assert [file.name for file in (home / "secrets").iterdir()] == ["admin-key"]
        assert (home / "secrets" / "admin-key").stat().st_mode & 0o777 == 0o600


def test_files_with_secrets_are_whole_and_private_whoever_writes_them(tmp_path: Path) -> None:
    at_once(WRITES, tmp_path)
    files = [tmp_path / "dev" / room / "connection.json" for room in ("serving", "embeddings")]
    for file in files:
        assert json.loads(file.read_text())["database"]
        assert file.stat().st_mode & 0o777 == 0o600
        assert list(file.parent.iterdir()) == [file]


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "one"
    write_atomically(file, "before")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(file, "\ud800")  # which no encoding has
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]
