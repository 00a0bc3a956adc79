"""Dagster's instance on the platform's PostgreSQL; named by `dagster.yaml`, and loaded by Dagster alone.

`dagster.yaml` stands in `resources/embedded`, with a link in the repository's root. It says nothing that depends on the
machine: address, password and folders come from `resources.settings`. So plain `dagster dev` and the platform's own
processes use the same home.
"""

import os
import sys
from collections.abc import Mapping
from typing import Any

import click
from dagster import DagsterInstance
from dagster._core.instance.ref import InstanceRef
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from sqlalchemy import create_engine, event
from sqlalchemy.exc import DisconnectionError

from resources.database import DatabaseUnavailable, connect
from resources.embedded.code_servers import prepare_home
from resources.embedded.dagster import DagsterDaemon, dev
from resources.embedded.part import PartFailed
from resources.embedded.postgres import prepare
from resources.settings import Settings, settings


class InstanceUnavailable(click.ClickException):
    """Dagster cannot be used now; its commands print the sentence without a traceback."""


class PlatformStorage(DagsterPostgresStorage):
    """Runs, events and schedules in the database `dagster`; takes no configuration."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "PlatformStorage":
        try:
            try:
                connect(settings(), "dagster").close()
            except DatabaseUnavailable as error:
                if "has no database" not in str(error):
                    raise
                prepare(settings())  # this environment's own, at its first use
        except (DatabaseUnavailable, PartFailed) as error:
            raise InstanceUnavailable(str(error)) from None
        # psycopg2 by name: dagster-postgres fails with psycopg 3, at its first event.
        url = settings().database("dagster").replace("postgresql://", "postgresql+psycopg2://", 1)
        return cls(postgres_url=url, inst_data=inst_data)


class PlatformInstance(DagsterInstance):
    """Everything that `dagster.yaml` does not set lies under home; a second daemon is refused.

    Each process keeps a connection for each kind of record. Dagster's own make one for every event, which costs more
    than writing it. After a restart of PostgreSQL a kept one would answer once with an error, so it is tried first.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for part in self._parts:
            part._engine = create_engine(part.postgres_url, isolation_level="AUTOCOMMIT", pool_size=1, max_overflow=-1)
            event.listen(part._engine, "checkout", check_connection)
        # `dagster dev` marks its environment, which its children inherit: only the command itself is asked.
        if os.environ.get("DAGSTER_IS_DEV_CLI") == "1" and sys.argv[1:2] == ["dev"]:
            claim_dev(settings())

    @property
    def _parts(self) -> tuple[Any, ...]:
        return self.run_storage, self.event_log_storage, self.schedule_storage

    def optimize_for_webserver(self, *arguments: Any, **named: Any) -> None:
        """It gets pools of its own from Dagster, larger ones."""
        super().optimize_for_webserver(*arguments, **named)
        for part in self._parts:
            event.listen(part._engine, "checkout", check_connection)

    def dispose(self) -> None:
        super().dispose()
        for part in self._parts:
            part._engine.dispose()

    @classmethod
    def config_schema(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def config_defaults(cls, base_dir: str) -> Mapping[str, ConfigurableClassData | None]:
        storage = ConfigurableClassData(PlatformStorage.__module__, PlatformStorage.__name__, "{}")
        # The folder that Dagster offers is a temporary one, unless DAGSTER_HOME is set.
        return {**InstanceRef.config_defaults(str(prepare_home(settings()))), "storage": storage}


def check_connection(connection: Any, record: Any, proxy: Any) -> None:
    """Have SQLAlchemy replace a connection of its pool that was lost."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except connection.Error as error:
        raise DisconnectionError from error


def claim_dev(settings: Settings) -> None:
    """Make this process the one `dagster dev` of its home.

    Raises:
        InstanceUnavailable: a daemon runs already, or a service that runs need does not; the message says which.
    """
    from resources.embedded import Platform

    daemon = DagsterDaemon(settings)
    if daemon.running():
        raise InstanceUnavailable(
            f"Dagster's daemon already runs on this home, started by `mlops up` (UI: {settings.dagster}), and a second "
            "one would start every run twice; to use `dagster dev` instead, run `mlops down --dagster` first"
        )
    other = dev(settings).process()
    if other is not None and other.pid != os.getpid():
        raise InstanceUnavailable(f"`dagster dev` already runs on this home (pid {other.pid}); end that one first")
    away = [part.title for part in Platform(settings).services if part.fault() is not None]
    if away:
        raise InstanceUnavailable(
            f"{' and '.join(away)} {'does' if len(away) == 1 else 'do'} not answer; run `mlops up --without-dagster`, "
            "then `dagster dev` again"
        )
    dev(settings).remember(os.getpid())
