"""All that a platform holds in one file, taken while it runs, and put into an empty home of another machine.

The databases are dumped one after the other, that first whose rows name what the others hold (the ledger's and the
log's, then MLflow's, then Dagster's), and files come last: they are written before anything names them, and never
changed. So whatever the backup names is in it. What can be had again is left out: caches, work trees, logs.
"""

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from resources.database import connect
from resources.embedded.postgres import Postgres, prepare
from resources.ledger.store import MIGRATIONS
from resources.serving.api import remembered
from resources.settings import Settings
from workloads.sdk.errors import PlatformError

Database = Literal["mlops", "mlflow"]
FOLDERS = ("data-registry", "data-remote", "mlflow-artifacts", "dagster/storage")
ABOUT = "backup.json"
Progress = Callable[[str], None]

# Addresses of files that lie in the home, by database: (schema's name or its end, table, column).
PLACES: tuple[tuple[Database, str, str, str], ...] = (
    ("mlflow", "public", "experiments", "artifact_location"),
    ("mlflow", "public", "runs", "artifact_uri"),
    ("mlflow", "public", "model_versions", "source"),
    ("mlflow", "public", "model_versions", "storage_location"),
    ("mlops", "_ledger", "candidate", "artifacts_uri"),
    ("mlops", "_ledger", "batch", "uri"),
    ("mlops", "_predictions", "plans", "versions"),
)


class BackupFailed(PlatformError):
    """A backup cannot be made or restored; the message says why and what to do."""


def backup(settings: Settings, file: Path, secrets: bool = False, progress: Progress = lambda line: None) -> None:
    """Write all that the home holds into a compressed archive; the platform may run, PostgreSQL must.

    Args:
        file: is whole when it is there; none that is there already is replaced.
        secrets: also the passwords and keys; without them, new ones are made where it is restored.

    Raises:
        BackupFailed: a service that holds facts is external, the file is there, or a program fails.
        resources.database.DatabaseUnavailable: PostgreSQL does not answer.
    """
    if outside := [name for name in settings.external if name not in ("ray_url", "serve_url")]:
        names = ", ".join(f"MLOPS_{name.upper()}" for name in outside)
        raise BackupFailed(f"{names}: what is kept outside of {settings.home} is backed up there, by its own means")
    if file.exists():
        raise BackupFailed(f"{file} is there already; name another file")
    with connect(settings) as connection:  # Dagster has a database for each environment
        found = connection.execute("SELECT datname FROM pg_database WHERE datname ~ '^dagster(_|$)' ORDER BY 1")
        databases = ["mlops", "mlflow", *(name for (name,) in found)]
    about = {"home": str(settings.home), "at": time.time(), "ledger": len(MIGRATIONS), "secrets": secrets,
             "databases": databases}  # fmt: skip
    part = file.with_name(f".{file.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _scratch(settings) as folder, part.open("xb") as stream:
            part.chmod(0o600)
            with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as archive:
                (folder / ABOUT).write_text(json.dumps(about))
                archive.add(folder / ABOUT, ABOUT)
                for name in databases:
                    progress(f"database {name}")
                    dump = folder / f"{name}.dump"
                    _run(settings, "pg_dump", "--format=custom", "--compress=0", f"--file={dump}", name)
                    archive.add(dump, dump.name)
                    dump.unlink()
                scored = [str(path.relative_to(settings.home)) for path in settings.home.glob("*/predictions")]
                for place in (*FOLDERS, *scored, remembered(settings).name, *(["secrets"] if secrets else [])):
                    if (settings.home / place).exists():
                        progress(place)
                        archive.add(settings.home / place, f"home/{place}", filter=_lasting)
        part.rename(file)
    finally:
        part.unlink(missing_ok=True)


def restore(settings: Settings, file: Path, progress: Progress = lambda line: None) -> dict[str, Any]:
    """Fill an empty home from a backup; what the backup is said to be. `mlops up` starts it afterwards.

    Raises:
        BackupFailed: the home is not empty, the file is no backup, or of a newer version; the home is as it was then.
    """
    if settings.home.exists() and any(settings.home.iterdir()):
        raise BackupFailed(f"{settings.home} is not empty; set MLOPS_HOME to a new folder")
    if settings.external:
        raise BackupFailed(f"MLOPS_{settings.external[0].upper()} is set: a backup is restored into a home of its own")
    from psycopg import sql
    from psycopg.errors import DuplicateDatabase

    made = not settings.home.exists()
    try:
        with _scratch(settings) as folder:
            about = _unpack(file, folder)
            for path in sorted((folder / "home").iterdir()):
                progress(path.name)
                path.rename(settings.home / path.name)
            server = Postgres(settings)
            server.start()
            try:
                prepare(settings)
                for name in about["databases"]:
                    progress(f"database {name}")
                    with suppress(DuplicateDatabase), connect(settings, "postgres", autocommit=True) as connection:
                        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
                    dump = str(folder / f"{name}.dump")
                    options = ("--no-owner", "--clean", "--if-exists", "--exit-on-error", f"--dbname={name}", dump)
                    _run(settings, "pg_restore", *options)
                _move(settings, Path(about["home"]))
            finally:
                server.stop()
    except BaseException:
        for path in list(settings.home.iterdir()):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        if made:
            settings.home.rmdir()
        raise
    return about


def _unpack(file: Path, folder: Path) -> dict[str, Any]:
    try:
        with tarfile.open(file) as archive:
            first = archive.next()
            if first is None or first.name != ABOUT:
                raise BackupFailed(f"{file} is no backup of this platform")
            archive.extractall(folder, filter="data")
        if (folder / "home" / "secrets").exists():
            (folder / "home" / "secrets").chmod(0o700)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BackupFailed(f"{file} cannot be read as a backup: {error}") from None
    about = dict(json.loads((folder / ABOUT).read_text()))
    if about["ledger"] > len(MIGRATIONS):
        raise BackupFailed(f"{file} is of a newer version of this project; restore it with that version")
    return about


def _move(settings: Settings, home: Path) -> None:
    """Have addresses of files in the home that was backed up lead to this one."""
    from psycopg import sql

    for database, ending, table, column in PLACES if home != settings.home else ():
        with connect(settings, database) as connection:
            schemas = connection.execute(
                "SELECT table_schema, data_type FROM information_schema.columns WHERE table_schema LIKE %s"
                " AND table_name = %s AND column_name = %s", [f"%{ending}", table, column],
            ).fetchall()  # fmt: skip
            for schema, kind in schemas:
                place, field = sql.Identifier(schema, table), sql.Identifier(column)
                connection.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(place))
                connection.execute(
                    sql.SQL("UPDATE {place} SET {field} = replace({field}::text, %s, %s)::{kind}").format(
                        place=place, field=field, kind=sql.SQL(kind)
                    ),
                    [f"{home.as_uri()}/", f"{settings.home.as_uri()}/"],
                )
                _enable(connection, schema, table)


def _enable(connection: Any, schema: str, table: str) -> None:
    """The ledger's triggers are on for every session, see its migrations."""
    from psycopg import sql

    place = sql.Identifier(schema, table)
    for (name,) in connection.execute(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = format('%%I.%%I', %s::text, %s::text)::regclass"
        " AND NOT tgisinternal", [schema, table],
    ).fetchall():  # fmt: skip
        connection.execute(sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(place, sql.Identifier(name)))


def _lasting(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """All but locks and sockets, and nobody's names."""
    if member.name.endswith(".lock") or not (member.isfile() or member.isdir()):
        return None
    member.uname = member.gname = ""
    return member


@contextmanager
def _scratch(settings: Settings) -> Iterator[Path]:
    """A folder beside what is moved, so that nothing is copied twice."""
    settings.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=settings.home) as folder:
        Path(folder, "home").mkdir()
        yield Path(folder)


def _run(settings: Settings, program: str, *arguments: str) -> None:
    """One of PostgreSQL's programs, of the server's own version."""
    variables = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "PGHOST": "127.0.0.1", "PGUSER": "mlops",
                 "PGPORT": str(settings.postgres_port), "PGPASSWORD": settings.postgres_password}  # fmt: skip
    command = [str(Postgres(settings).programs / program), *arguments]
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    if done.returncode:
        raise BackupFailed(f"{program} failed: {done.stderr.strip()[-500:]}")
