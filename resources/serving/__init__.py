"""Ray Serve: the endpoints that run, and the plan that says which version each of them serves.

An endpoint is one Serve application, which is deployed once. Versions reach its replicas by the plan (a row in
PostgreSQL), so that a release needs no redeploy. Serve is reached by its REST API; no Ray is loaded here.
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from resources.database import connect
from resources.files import write_atomically
from resources.ledger import Ledger
from resources.serving.api import IMPORT_PATH, NotServed, ServeApi, connection_file, place_of
from resources.settings import Settings
from workloads.sdk.errors import PlatformError
from workloads.sdk.serving.versions.catalogue import Catalogue
from workloads.sdk.serving.versions.plan import Ack, LiveReplica, Plan, Plans, Version

LOADING_SECONDS = 900.0  # most that is waited for replicas that say that they load


class RolloutFailed(PlatformError):
    """A plan is not served by every live replica; the message gives each replica's error or silence."""


class Serving:
    """The endpoints of one environment. `endpoint` is always a workload's name."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.api = ServeApi(settings)
        self.schema = settings.schema_of("predictions")
        self.plans, self.catalogue = Plans(self.schema), Catalogue(self.schema)
        self._database = partial(connect, settings, autocommit=True, application_name="mlops serving")

    def migrate(self) -> None:
        """Create the tables, after the ledger's, of which they have a view; idempotent."""
        Ledger(self.settings).migrate()
        with self._database() as connection:
            self.plans.migrate(connection)
            self.catalogue.migrate(connection, self.settings.schema_of("ledger"))

    def address(self, endpoint: str) -> str:
        """`http://127.0.0.1:8000/wine`"""
        return self.settings.serve + self.settings.route(endpoint)

    # --- applications ---

    def deploy(self, package: str, name: str, serves: str = "predict:Predictor", *, code_version: str = "",
               settings: Mapping[str, str] | None = None, replicas: int = 1, timeout: float = 120) -> None:  # fmt: skip
        """Have the endpoint of a declaration run, and wait until it does. Nothing is done where it runs as asked.

        Args:
            package: the declaration's Python package, for example `workloads.wine`.
            name: the declaration's name.
            serves: `module:class` in the package: a `Predictor`, or an application's `App`.
            code_version: digest of the code; replicas of another one are replaced.
            settings: what it gets by `Services.setting`; it is shown in Serve's dashboard: no secrets.

        Raises:
            ServingUnavailable: Serve does not answer.
            NotServed: the application does not start.
            DatabaseUnavailable: PostgreSQL does not answer.
        """
        application = self._application(package, name, serves, code_version, dict(settings or {}), replicas)
        self._write_connection()  # also for replicas that run: a secret may have changed
        with self._one_at_a_time():
            running, name = self.api.applications(), application["name"]
            wanted = _wanted(running)
            there = wanted.get(name, {})
            same = all(there.get(key) == value for key, value in application.items())
            if not same or running[name]["status"] in ("DEPLOY_FAILED", "NOT_STARTED"):
                self.api.put({**wanted, name: application})
        self._wait_until_running(name, timeout)

    def remove(self, endpoint: str, timeout: float = 60) -> None:
        """Have Serve stop an endpoint's application, which takes it some 30 s; its plans and predictions stay."""
        name = self.settings.qualified(endpoint)
        with self._one_at_a_time():
            wanted = _wanted(self.api.applications())
            if wanted.pop(name, None):
                self.api.put(wanted)
        deadline = time.monotonic() + timeout
        while self.api.applications().get(name, {"status": "DELETING"})["status"] != "DELETING":
            if time.monotonic() > deadline:
                raise NotServed(f"{name} was not stopped within {timeout:.0f} s; see {self.settings.ray}")
            time.sleep(0.2)

    def status(self) -> dict[str, str]:
        """Serve's word on each endpoint's application, `RUNNING` or another; raises as `deploy`."""
        prefix = self.settings.qualified("")
        applications = self.api.applications()
        return {
            name.removeprefix(prefix): one["status"] for name, one in applications.items() if name.startswith(prefix)
        }

    # --- the plan ---

    def publish(self, endpoint: str, version: Version) -> int:
        """Say what the endpoint shall serve; the plan's number.

        The same plan again has the same number. Where a newer release is planned already, that stays, with its number.
        """
        with self._database() as connection:
            return self.plans.publish(connection, endpoint, version)

    def version(self, endpoint: str, release: int) -> Version | None:
        """A release (its id) as a plan names it: all that a replica needs to load it, and to say where it came from."""
        with self._database() as connection:
            return self.catalogue.released(connection, endpoint, release)

    def plan(self, endpoint: str) -> Plan | None:
        """The plan that holds, if there is any."""
        with self._database() as connection:
            newest = self.plans.newest(connection, endpoint, 1)
        return newest[0] if newest else None

    def wait(self, endpoint: str, number: int, timeout: float = 60) -> list[Ack]:
        """Wait until every live replica serves the plan, or a newer one; what each of them said.

        A replica may be silent for `timeout` seconds; one that says that it loads is waited for longer. A plan that
        fails is withdrawn, so that no replica takes it up later and all stay with the one before.

        Raises:
            RolloutFailed: a replica cannot load the version, does not answer, or none lives.
        """
        start = time.monotonic()
        with self._database() as connection:
            while True:
                # Replicas before acknowledgements: one that loads no more has said how it ended.
                live = self.plans.live(connection, endpoint)
                number = max([number, *(plan.number for plan in self.plans.newest(connection, endpoint, 1))])
                acks = {ack.replica: ack for ack in self.plans.acks(connection, number)}
                told = [acks[one.replica] for one in live if one.replica in acks]
                failed = [f"{ack.replica}: {ack.error}" for ack in told if ack.error]
                missing = [one for one in live if one.replica not in acks]
                if live and not failed and not missing:
                    if self.plans.served(connection, number):
                        return told
                    failed = ["another rollout has withdrawn it"]
                loading = bool(missing) and all(one.loading for one in missing)
                if failed or time.monotonic() - start > (LOADING_SECONDS if loading else timeout):
                    break
                time.sleep(0.05)
            self.plans.withdraw(connection, number)
        names = ", ".join(one.replica for one in missing)
        if failed:
            why = "; ".join(failed)
        elif loading:
            why = f"{names} loads for longer than {LOADING_SECONDS:.0f} s"
        elif missing:
            why = f"no answer within {timeout:.0f} s from {names}"
        else:
            why = f"no replica lives; see {self.settings.ray} and deploy the endpoint"
        raise RolloutFailed(f"endpoint {endpoint}, plan {number}: {why}. What was served before is served on.")

    def live(self, endpoint: str) -> dict[str, LiveReplica]:
        """What each live replica serves, by the replica's name; none where nothing was ever served here."""
        from psycopg.errors import UndefinedTable

        try:
            with self._database() as connection:
                return {replica.replica: replica for replica in self.plans.live(connection, endpoint)}
        except UndefinedTable:
            return {}

    # --- within ---

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Serve takes all applications together: who changes one reads the others first, and nobody else meanwhile.

        The lock ends with its connection.
        """
        with self._database() as connection:
            connection.execute("SELECT pg_advisory_lock(hashtextextended('mlops serve applications', 0))")
            yield

    @property
    def _connection_file(self) -> Path:
        return connection_file(self.settings, self.settings.env)

    def _write_connection(self) -> None:
        write_atomically(self._connection_file, json.dumps(self.settings.secrets()))

    def _application(self, package: str, name: str, serves: str, code_version: str, settings: dict[str, str],
                     replicas: int) -> dict[str, Any]:  # fmt: skip
        if (place := place_of(package)) is None:
            raise NotServed(f"the package {package} cannot be found, so no endpoint can serve it")
        route = self.settings.route(name)
        config = {
            "endpoint": name,
            "package": package,
            "serves": serves,
            "schema": self.schema,
            "connection": str(self._connection_file),
            "state": str(self._connection_file.parent),
            "paths": [str(place)],
            "route": route,
            "log_inputs": self.settings.log_inputs,
            "log_sample": self.settings.log_sample,
            "cors_origins": self.settings.cors_origins.replace(",", " ").split(),
            "settings": settings,
            "code_version": code_version,
            "replicas": replicas,
        }
        qualified = self.settings.qualified(name)
        return {"name": qualified, "route_prefix": route, "import_path": IMPORT_PATH, "args": config}

    def _wait_until_running(self, name: str, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while True:
            found = self.api.applications().get(name, {"status": "NOT_STARTED", "message": "", "deployments": {}})
            if found["status"] == "RUNNING" and self.api.answers(found["route_prefix"]):
                return
            late = time.monotonic() > deadline
            if late or found["status"] == "DEPLOY_FAILED":
                words = [found["message"], *(one["message"] for one in found["deployments"].values())]
                why = " ".join(filter(None, words)).strip() or "Serve gives no reason"
                what = f"does not run after {timeout:.0f} s" if late else "cannot be started"
                raise NotServed(f"the application {name} {what} ({found['status']}): {why[-2000:]}")
            time.sleep(0.2)


def _wanted(running: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of each application that is there to stay."""
    here = {name: one["deployed_app_config"] for name, one in running.items() if one["status"] != "DELETING"}
    return {name: config for name, config in here.items() if config}
