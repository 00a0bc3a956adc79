"""The door to MLflow: runs, and the registry of versions with their aliases.

MLflow shows what happened; the ledger decides. Only names of this environment (`dev.wine`) are ever written, but for
`promote`, which puts a version into another environment's list and moves nothing there. Global state of MLflow (active
run, tracking URI) is not used, so any number of models may be tracked in one process.
"""

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit

from resources.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

KEY, DIGEST = "mlops.key", "digest"
LONGEST = 5000  # characters of a tag or parameter
# A server that is away is told from a slow one within some ten seconds; MLflow's own defaults take many minutes.
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
RunStatus = Literal["FINISHED", "FAILED", "KILLED"]


class TrackingUnavailable(Exception):
    """MLflow does not answer; the message says where and what to do."""


class NoSuchVersion(Exception):
    """A version is gone from the registry."""


class Tracking:
    """Runs and registered versions of one environment."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def client(self) -> "MlflowClient":
        """MLflow's own client, for what the methods below do not cover (reading)."""
        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        return MlflowClient(self.settings.mlflow, self.settings.mlflow)

    # Runs.

    def open_run(self, experiment: str, key: str, name: str, tags: Mapping[str, str]) -> str:
        """Start a run, or go on with the one of the same key, whatever became of its process. Returns the run's id."""
        tags = {**_texts(tags), KEY: key}
        with self._answers():
            where = self._experiment(self.settings.qualified(experiment))
            quoted = key.replace("'", "")
            if found := self.client.search_runs([where], f"tags.`{KEY}` = '{quoted}'", order_by=["start_time ASC"]):
                run = found[0].info.run_id
                self.client.update_run(run, status="RUNNING")
                self.log(run, tags=tags)
                return run
            return self.client.create_run(where, run_name=name, tags={**tags, KEY: quoted}).info.run_id

    def log(
        self,
        run_id: str,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        curves: Mapping[str, Sequence[float]] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log what is given. Logging the same once more changes nothing, so a resumed step may repeat it.

        Args:
            curves: for each name, a value per epoch or round; steps count from 0.
        """
        from mlflow.entities import Metric, Param, RunTag

        with self._answers():
            run = self.client.get_run(run_id)
            now, start = int(time.time() * 1000), run.info.start_time
            points = [
                Metric(name, float(value), now, 0)
                for name, value in (metrics or {}).items()
                if run.data.metrics.get(name) != float(value)
            ]
            # A curve's points carry times that follow from the run's start: the server drops a point that it has.
            points += [
                Metric(name, float(value), start + step, step)
                for name, values in (curves or {}).items()
                for step, value in enumerate(values)
            ]
            for at in range(0, len(points), 900):
                self.client.log_batch(run_id, metrics=points[at : at + 900])
            values = [Param(name, value) for name, value in _texts(params or {}).items()]
            for at in range(0, len(values), 90):
                self.client.log_batch(run_id, params=values[at : at + 90])
            if tags:
                self.client.log_batch(run_id, tags=[RunTag(name, value) for name, value in _texts(tags).items()])

    def log_files(self, run_id: str, folder: Path, artifact_path: str) -> str:
        """Copy a folder into the run's artifacts; returns the URI of the copy."""
        with self._answers():
            self.client.log_artifacts(run_id, str(folder), artifact_path)
            return f"{self.client.get_run(run_id).info.artifact_uri.rstrip('/')}/{artifact_path}"

    def close_run(self, run_id: str, status: RunStatus = "FINISHED") -> None:
        """End a run; the status is final unless the run is opened again."""
        with self._answers():
            self.client.set_terminated(run_id, status)

    def artifacts(self, uri: str, digest: str) -> Path:
        """A local folder with the artifacts of a URI: the place itself, or a copy that is fetched once for a digest."""
        parts = urlsplit(uri)
        if parts.scheme in ("", "file"):
            return Path(unquote(parts.path))
        local = self.settings.path("artifacts", digest)
        if not local.is_dir():
            from mlflow.artifacts import download_artifacts

            partial = local.with_name(f"{digest}.{os.getpid()}")
            partial.mkdir(parents=True, exist_ok=True)
            with self._answers():
                fetched = download_artifacts(uri, dst_path=str(partial), tracking_uri=self.settings.mlflow)
            Path(fetched).rename(local)
        return local

    # The registry.

    def register(self, thing: str, run_id: str, artifacts_uri: str, tags: Mapping[str, str]) -> int:
        """A version for a run's artifacts (which lie within the run's own); the one it has already, if it has one."""
        return self._version(self._name(thing), run_id, artifacts_uri, tags)

    def promote(self, thing: str, number: int, environment: str, tags: Mapping[str, str]) -> tuple[int, str]:
        """Enter a version in another environment's list, artifacts and run shared. Its aliases stay as they are.

        Returns:
            The number and the name (`prod.wine`) that it has there.

        Raises:
            ValueError: `environment` cannot be the name of one.
            NoSuchVersion: it is gone from the registry.
        """
        checked = Settings(env=environment).env
        there = Tracking(self.settings.model_copy(update={"env": checked}))._name(thing)
        with self._answers(f"version {number} of {self._name(thing)}"):
            source = self.client.get_model_version(self._name(thing), str(number))
        number = self._version(there, str(source.run_id), str(source.source), tags)
        return number, there

    def tag_version(self, thing: str, number: int, tags: Mapping[str, str]) -> None:
        """Set tags of a version. Raises `NoSuchVersion`."""
        name = self._name(thing)
        with self._answers(f"version {number} of {name}"):
            for key, value in _texts(tags).items():
                self.client.set_model_version_tag(name, str(number), key, value)

    def has_version(self, thing: str, number: int) -> bool:
        """Whether the registry still has a version."""
        name = self._name(thing)
        try:
            with self._answers(f"version {number} of {name}"):
                self.client.get_model_version(name, str(number))
        except NoSuchVersion:
            return False
        return True

    def aliases(self, thing: str) -> dict[str, int]:
        """Where each alias points now; empty where nothing is registered."""
        from mlflow.exceptions import MlflowException

        with self._answers():
            try:
                found = self.client.get_registered_model(self._name(thing)).aliases
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                return {}
        return {alias: int(number) for alias, number in found.items()}

    def set_alias(self, thing: str, alias: str, number: int | None) -> None:
        """Let an alias point at a version, or remove it (None). Raises `NoSuchVersion`."""
        name = self._name(thing)
        with self._answers(f"version {number} of {name}"):
            if number is None:
                self.client.delete_registered_model_alias(name, alias)
            else:
                self.client.set_registered_model_alias(name, alias, str(number))

    # Addresses.

    def model_uri(self, thing: str, number: int) -> str:
        return f"models:/{self._name(thing)}/{number}"

    def run_url(self, run_id: str) -> str:
        """Address of a run in MLflow's UI."""
        with self._answers():
            experiment = self.client.get_run(run_id).info.experiment_id
        return f"{self.settings.mlflow}/#/experiments/{experiment}/runs/{run_id}"

    def version_url(self, thing: str, number: int) -> str:
        """Address of a version in MLflow's UI."""
        return f"{self.settings.mlflow}/#/models/{self._name(thing)}/versions/{number}"

    def _name(self, thing: str) -> str:
        if not re.fullmatch(r"[a-z0-9_]+", thing):
            raise ValueError(f"{thing!r} is not the name of a thing: lower-case letters, digits and underscores")
        return self.settings.qualified(thing)

    def _experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        if found := self.client.get_experiment_by_name(name):
            return found.experiment_id
        try:
            return self.client.create_experiment(name)
        except MlflowException:  # another process was quicker
            if found := self.client.get_experiment_by_name(name):
                return found.experiment_id
            raise

    def _version(self, name: str, run_id: str, source: str, tags: Mapping[str, str]) -> int:
        from mlflow.exceptions import MlflowException

        tags = _texts(tags)
        with self._answers():
            try:
                self.client.create_registered_model(name)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            versions: list[ModelVersion] = list(
                self.client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
            )
            same = [int(version.version) for version in versions if version.tags.get(DIGEST) == tags.get(DIGEST)]
            return min(same) if same else int(self.client.create_model_version(name, source, run_id, tags).version)

    @contextmanager
    def _answers(self, what: str = "") -> Iterator[None]:
        """Name the two ways in which MLflow fails that somebody can do something about."""
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            if what and error.error_code == "RESOURCE_DOES_NOT_EXIST":
                raise NoSuchVersion(f"MLflow has no {what} any more") from None
            if str(error).startswith(("API request to", "Failed to connect", "Response")):
                mend = "check MLOPS_MLFLOW_URL" if self.settings.mlflow_url else "run `mlops up`"
                address = urlsplit(self.settings.mlflow)
                server = f"{address.scheme}://{address.hostname}:{address.port or ''}".rstrip(":")
                raise TrackingUnavailable(f"MLflow does not answer on {server}; {mend}") from None
            raise


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value)[:LONGEST] for name, value in values.items()}
