"""Examines the machine, the services and the settings, and says how to mend what is wrong."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal
from uuid import uuid4

import psutil

from resources.database import DatabaseUnavailable, connect
from resources.embedded import Platform
from resources.embedded.code_servers import prepare_home
from resources.embedded.network import listeners
from resources.embedded.serve import silent
from resources.http import request
from resources.settings import Settings

SMALLEST_DISK, SMALLEST_MEMORY = 5 * 2**30, 4 * 2**30  # bytes
LOOPBACK = ("127.", "::1", "::ffff:127.")


@dataclass(frozen=True)
class Finding:
    """One result: what was examined, how it is, and how to mend it."""

    level: Literal["ok", "warning", "problem"]
    subject: str
    text: str
    mend: str = ""


def _either(well: bool, subject: str, good: str, bad: str, mend: str) -> Finding:
    return Finding("ok", subject, good) if well else Finding("problem", subject, bad, mend)


def examine(settings: Settings) -> list[Finding]:
    """All findings, in a fixed order; a check that itself fails is a problem, never an exception."""
    checks = (_python, _programs, _disk, _memory, _ports, _services, _dagster_event, _vector, _token, _open, _settings)
    with ThreadPoolExecutor(len(checks)) as pool:
        return [finding for found in pool.map(lambda check: _run(check, settings), checks) for finding in found]


def _run(check: Callable[[Settings], Iterator[Finding]], settings: Settings) -> list[Finding]:
    subject = check.__name__.strip("_").replace("_", " ")
    try:
        return list(check(settings))
    except DatabaseUnavailable as error:
        return [Finding("problem", subject, str(error), "mlops up")]
    except Exception as error:
        return [Finding("problem", subject, f"{type(error).__name__}: {error}", "see <home>/logs")]


def _python(settings: Settings) -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:3]))
    well, mend = (3, 11) <= sys.version_info[:2] <= (3, 13), "remove .venv and run `make .venv` with one"
    yield _either(well, "Python", found, f"{found} is not 3.11 to 3.13", mend)


def _programs(settings: Settings) -> Iterator[Finding]:
    for name, purpose in (("git", "the data registry"), ("dvc", "the data's pipelines and cache")):
        place = shutil.which(name, path=os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")]))
        bad = f"not found; {purpose} cannot work without it"
        yield _either(place is not None, name, str(place), bad, f"install {name}")


def _disk(settings: Settings) -> Iterator[Finding]:
    place = next(folder for folder in (settings.home, *settings.home.parents) if folder.exists())
    free = shutil.disk_usage(place).free
    text = f"{free / 2**30:.0f} GiB free for {settings.home}"
    mend = "free some space, or set MLOPS_HOME to a larger disk"
    yield Finding("ok", "disk", text) if free >= SMALLEST_DISK else Finding("warning", "disk", text, mend)


def _memory(settings: Settings) -> Iterator[Finding]:
    memory = psutil.virtual_memory()
    text = f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB available, {os.cpu_count()} cores"
    # What the platform itself holds is not available any more, and is all right.
    if memory.total >= 1.5 * SMALLEST_MEMORY and memory.available >= SMALLEST_MEMORY / 4:
        yield Finding("ok", "memory", text)
    else:
        yield Finding("warning", "memory", text, "platform and one training want about 5 GiB; end other programs")


def _ports(settings: Settings) -> Iterator[Finding]:
    platform = Platform(settings)
    parts = [part for part in platform.parts if not part.external]
    taken = platform.taken_ports(parts)
    for text, mend in taken:
        yield Finding("problem", "ports", text, mend)
    if not taken:
        yield Finding(
            "ok", "ports", ", ".join(f"{part.title} {port}" for part in parts for port in part.ports.values())
        )


def _services(settings: Settings) -> Iterator[Finding]:
    platform = Platform(settings)
    for part in [*platform.parts, *([platform.supervisor] if platform.supervisor.wanted else [])]:
        fault = part.trouble()
        whose = "external, " if part.external else ""
        mend = "check that service and its setting" if part.external else f"mlops up; its log is {part.daemon.log}"
        yield _either(fault is None, part.title, f"{whose}answers on {part.address}", str(fault), mend)
    for fault in silent(settings).values():
        yield Finding("problem", "endpoints", fault, f"see {settings.ray}, and materialize the endpoint's asset")


def _dagster_event(settings: Settings) -> Iterator[Finding]:
    """Write an event and read it back: with a wrong driver all opens well, and the first event fails."""
    connect(settings, "dagster").close()
    from dagster import DagsterEvent, DagsterInstance
    from dagster._core.events import DagsterEventType, EngineEventData
    from dagster._core.events.log import EventLogEntry

    run = str(uuid4())
    event = DagsterEvent(DagsterEventType.ENGINE_EVENT.value, "doctor", event_specific_data=EngineEventData({}))
    with DagsterInstance.from_config(str(prepare_home(settings))) as instance:
        storage = instance.event_log_storage
        storage.store_event(EventLogEntry(None, 10, "doctor", run, 0.0, dagster_event=event))
        read = storage.get_logs_for_run(run)
        storage.delete_events(run)
    well, bad = [entry.run_id for entry in read] == [run], "an event that was written cannot be read back"
    yield _either(well, "Dagster events", "an event was written and read back", bad, "see PostgreSQL's log")


def _vector(settings: Settings) -> Iterator[Finding]:
    with connect(settings) as connection:
        row = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()
    bad = "the extension `vector` is missing in the database mlops"
    mend = "mlops up, or as administrator: CREATE EXTENSION vector"
    yield _either(row is not None, "pgvector", f"version {row and row[0]}", bad, mend)


def _token(settings: Settings) -> Iterator[Finding]:
    """That Ray asks for the token: what answers without it runs code for everybody on this machine."""
    status, _ = request(f"{settings.ray}/api/jobs/")
    if status in (401, 403):
        yield Finding("ok", "Ray's token", "the job API refuses requests without it")
    elif status == 200:
        text = f"the job API on {settings.ray} runs anybody's code without a token"
        if settings.ray_url:
            yield Finding("warning", "Ray's token", text, "switch on Ray's token authentication there")
        else:
            yield Finding("problem", "Ray's token", text, "mlops down, then mlops up")


def _open(settings: Settings) -> Iterator[Finding]:
    """What of the platform listens beyond this machine."""
    own = {process.pid: part for part in Platform(settings).parts for process in part.processes()}
    exposed = [(port, address, own[pid]) for port, address, _, pid in listeners() if pid in own]
    exposed = [one for one in exposed if not one[1].startswith(LOOPBACK)]
    for port, address, part in exposed:
        text = f"{part.title} listens on {address or '*'}:{port}, which other machines may reach"
        guard = "it asks for the token in secrets/ray-token" if part.name == "ray" else "nothing guards it"
        yield Finding("warning", "network", f"{text}; {guard}", f"close port {port} in the firewall")
    if not exposed and own:
        yield Finding("ok", "network", "everything listens on loopback only, Ray's core and HAProxy's statistics too")


def _settings(settings: Settings) -> Iterator[Finding]:
    yield Finding("ok", "settings", f"home {settings.home}, environment `{settings.env}`, proxy {settings.http_proxy}")
    for name in settings.external:
        yield Finding("ok", "settings", f"MLOPS_{name.upper()} points to an external service; sensors start stopped")
    if settings.http_proxy == "haproxy" and sys.platform != "linux":
        mend = "unset MLOPS_HTTP_PROXY"
        yield Finding("problem", "settings", "MLOPS_HTTP_PROXY=haproxy works on Linux only", mend)
