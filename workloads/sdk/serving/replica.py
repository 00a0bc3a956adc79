"""A replica's state: the version that it serves, and the thread that follows the plan.

A new version is loaded beside the old one, in a thread of its own, while the replica goes on saying that it lives; then
one reference is swapped. What does not load leaves the old one serving. The last plan that was served stands in a file
too, so that a replica started while PostgreSQL is away serves what it served before.
"""

import json
import logging
import os
import selectors
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workloads.sdk.contract import Predictor
from workloads.sdk.contract.applications import App
from workloads.sdk.serving.http.metrics import Metrics
from workloads.sdk.serving.log.writer import LogWriter
from workloads.sdk.serving.versions import composition as composed
from workloads.sdk.serving.versions import loading as artifacts
from workloads.sdk.serving.versions import plan as plans
from workloads.sdk.serving.versions.cache import VersionCache
from workloads.sdk.serving.versions.loading import Loaded
from workloads.sdk.serving.versions.plan import Plan, Plans, Version

if TYPE_CHECKING:
    from psycopg import Connection

logger = logging.getLogger(__name__)

Health = Literal["loading", "healthy", "unhealthy", "not_ready"]
FALLBACKS = 5  # plans that a replica with nothing to serve tries, newest first
RETRY_SECONDS = 60  # until a plan that did not load is tried again; a withdrawn one is not


@dataclass(frozen=True)
class Config:
    """What a replica is told. It stands in Serve's configuration, which the dashboard shows: nothing in it is secret.

    Attributes:
        endpoint: name of the workload.
        package: its Python package.
        serves: `module:class` in it, a `Predictor` or an `App`.
        schema: schema of the tables in the database.
        connection: file, readable by its owner only, that holds the secrets (`Services.secret`).
        state: folder for the copy of the last plan and for artifacts brought from afar.
        paths: folders to import the package from.
        route: URL path of the endpoint.
        log_inputs, log_sample: which requests' inputs the prediction log keeps.
        cors_origins: whose pages may read answers, see `http/cors.py`.
        settings: values for what is served (`Services.setting`).
        code_version: digest of the code; another one replaces the replicas.
    """

    endpoint: str
    package: str
    schema: str
    connection: str
    state: str
    serves: str = "predict:Predictor"
    paths: list[str] = field(default_factory=list)
    route: str = "/"
    log_inputs: Literal["all", "sample", "none"] = "all"
    log_sample: float = 0.1
    cors_origins: list[str] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    code_version: str = ""


def served_by(config: Config) -> type[Predictor] | type[App]:
    """The class of what is served, imported from where the configuration says."""
    for path in config.paths:
        if path not in sys.path:
            sys.path.append(path)
    module, _, attribute = config.serves.partition(":")
    return getattr(import_module(f"{config.package}.{module}"), attribute)


class EndpointServices:
    """The `Services` of an endpoint: what its configuration says, and the file that this names."""

    def __init__(self, config: Config):
        self._settings = {"endpoint": config.endpoint, "schema": config.schema, **config.settings}
        self._secrets = Path(config.connection)

    def setting(self, name: str) -> str | None:
        return self._settings.get(name)

    def secret(self, name: str) -> str | None:
        return json.loads(self._secrets.read_text()).get(name)  # anew each time: it may have been changed


class Replica:
    """One process's share of an endpoint. `current` is None until a version is loaded.

    Attributes:
        error: why the newest plan is not served, None where it is.
        shelf: versions beside it, which a caller asks for by name.
    """

    def __init__(self, config: Config, name: str):
        self.config, self.name = config, name
        self.kind = served_by(config)
        self.started = time.monotonic()
        self.current: Loaded | None = None
        self.error: str | None = None
        self.log = LogWriter(self.connect, config.schema, config.endpoint, Path(config.state, "log"))
        self.metrics = Metrics(config.endpoint, name, self.log.counts)
        self._plans = Plans(config.schema)
        self.services = EndpointServices(config)
        self.cache = VersionCache(config.endpoint, config.schema, lambda version: self._load(Plan(0, version)))
        self._failed: tuple[int, float] | None = None  # number of a plan that did not load, and when
        self._loading = False
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._settled = threading.Event()  # set when there is a version, or surely none
        self._stop = threading.Event()
        self._bell = socket.socketpair()  # wakes the thread when the replica closes
        self._thread = threading.Thread(target=self._follow, name="plan", daemon=True)

    def start(self, patience: float = 120) -> None:
        """Follow the plan; returns when a version is served, there is none to serve, or patience ends."""
        self._thread.start()
        self._settled.wait(patience)

    def close(self) -> None:
        """Flush the log and sign off."""
        self._stop.set()
        self._bell[1].send(b"!")
        self.cache.close()
        self._thread.join(3)
        self._loader.shutdown(wait=False, cancel_futures=True)
        if self.current is not None:
            self.current.retire()
        self.log.close()
        if not self.follows:
            for end in self._bell:
                end.close()

    @property
    def follows(self) -> bool:
        return self._thread.is_alive()

    @property
    def health(self) -> Health:
        if self.current is not None:
            return "healthy"
        if self._loading:
            return "loading"
        return "unhealthy" if self.error else "not_ready"

    def connect(self) -> "Connection[Any]":
        """A connection by the file that the configuration names; it is read anew each time."""
        import psycopg

        url = self.services.secret("database")
        assert url is not None
        return psycopg.connect(url, connect_timeout=3, application_name=f"mlops endpoint {self.config.endpoint}")

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                with self.connect() as connection:
                    connection.autocommit = True
                    self._listen(connection)
            except Exception as error:  # this thread must outlive whatever happens to the database
                logger.warning("endpoint %s: the plan cannot be read (%s)", self.config.endpoint, type(error).__name__)
                self._loader.submit(self._restore).result()
                self._settled.set()
                self._stop.wait(1)

    def _listen(self, connection: "Connection[Any]") -> None:
        from psycopg import sql

        connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._plans.channel)))
        while True:
            wanted = self._heartbeat(connection)
            self.cache.refresh(connection)
            if wanted is not None and not self._stop.is_set() and self._is_due(wanted):
                self._adopt(connection)
                continue  # say at once what is served now
            self._settled.set()
            self._sleep(connection)
            if self._stop.is_set():
                self._plans.leave(connection, self.name)
                return

    def _heartbeat(self, connection: "Connection[Any]", loading: bool = False) -> int | None:
        state = {**self._state(), "loading": loading}
        return self._plans.heartbeat(connection, self.config.endpoint, self.name, state)

    def _sleep(self, connection: "Connection[Any]") -> None:
        """Until the plan is announced, the replica closes, or a second is over."""
        with selectors.DefaultSelector() as selector:
            selector.register(connection.fileno(), selectors.EVENT_READ)
            selector.register(self._bell[0], selectors.EVENT_READ)
            selector.select(timeout=plans.HEARTBEAT_SECONDS)
        for _ in connection.notifies(timeout=0):
            pass

    def _is_due(self, wanted: int) -> bool:
        if self.current is not None and self.current.plan.number == wanted:
            self.error = None  # the plan that failed meanwhile was withdrawn
            return False
        if self._failed is None or self._failed[0] != wanted:
            return True
        return time.monotonic() - self._failed[1] > RETRY_SECONDS

    def _adopt(self, connection: "Connection[Any]") -> None:
        """Serve the newest plan; with nothing to serve, the newest that loads."""
        newest = self._plans.newest(connection, self.config.endpoint, 1 if self.current else FALLBACKS)
        for index, plan in enumerate(newest):
            serving = self._loader.submit(self._serve, plan)
            while wait([serving], plans.HEARTBEAT_SECONDS).not_done:
                self._heartbeat(connection, loading=True)
                if self._stop.is_set():
                    return
            error = serving.result()
            if index == 0:
                self.error = error
                self._failed = (plan.number, time.monotonic()) if error else None
            self._plans.acknowledge(connection, self.name, plan.number, error)
            if error is None:
                return

    def _serve(self, plan: Plan) -> str | None:
        """Swap to the plan's version; the error where that fails and the old one stays."""
        old = self.current
        try:
            if old is not None and old.version.digest == plan.version.digest:
                self.current = replace(old, plan=plan)
            else:
                self._loading = True
                self.current = self._load(plan)
                if old is not None:
                    old.retire()
        except Exception as error:  # what is loaded may raise anything; it must not end the replica
            logger.exception("endpoint %s: plan %d does not load", self.config.endpoint, plan.number)
            return f"{type(error).__name__}: {error}"[:2000]
        finally:
            self._loading = False
        logger.info("endpoint %s serves %s (plan %d)", self.config.endpoint, plan.version.version, plan.number)
        self._save(plan)
        return None

    def _load(self, plan: Plan) -> Loaded:
        loaded_by = composed.load if issubclass(self.kind, App) else artifacts.load
        return loaded_by(plan, self.kind, self.services, Path(self.config.state, "artifacts"))  # type: ignore[arg-type]

    def _state(self) -> dict[str, Any]:
        now = self.current
        served = (
            {}
            if now is None
            else {"plan": now.plan.number}
            | {name: getattr(now.version, name) for name in ("release_id", "version", "digest")}
        )
        return {
            **served,
            "error": self.error,
            "log": self.log.counts(),
            "requests": self.metrics.by_status(),
            "pid": os.getpid(),
        }

    @property
    def _saved(self) -> Path:
        return Path(self.config.state, f"{self.config.endpoint}.plan.json")

    def _save(self, plan: Plan) -> None:
        try:
            self._saved.parent.mkdir(parents=True, exist_ok=True)
            part = self._saved.with_suffix(f".{os.getpid()}")
            part.write_text(json.dumps(asdict(plan)))
            part.replace(self._saved)
        except OSError as error:
            logger.warning("the plan could not be saved: %s", error)

    def _restore(self) -> None:
        """Serve what the file says, where nothing is served."""
        if self.current is not None:
            return
        try:
            saved = json.loads(self._saved.read_text())
            plan = Plan(saved["number"], Version.of(saved["version"]))
        except (OSError, ValueError, KeyError):
            return
        self.error = self._serve(plan)
