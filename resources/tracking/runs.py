"""Runs in MLflow, and how its server is reached.

Global state of MLflow (active run, tracking URI) is not used, so any number of models may be tracked in one process.
A run is found again by a key of ours: whoever goes on with a killed step goes on with its run.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit

from resources.cache import used
from resources.settings import Settings
from workloads.sdk.disk import writing
from workloads.sdk.errors import PlatformError

if TYPE_CHECKING:
    from mlflow import MlflowClient

KEY = "mlops.key"
LONGEST = 5000  # characters of a tag or parameter
# A server that is away is told from a slow one within some ten seconds; MLflow's own defaults take many minutes.
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
QUIET = {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}  # commands answer there, some of them in JSON
RunStatus = Literal["FINISHED", "FAILED", "KILLED"]


class TrackingUnavailable(PlatformError):
    """MLflow does not answer; the message says where and what to do."""


class NoSuchVersion(PlatformError):
    """A version is gone from the registry."""


class Runs:
    """Runs of one environment."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def client(self) -> "MlflowClient":
        """MLflow's own client, for what the methods below do not cover (reading)."""
        for name, value in {**PATIENCE, **QUIET}.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        return MlflowClient(self.settings.mlflow, self.settings.mlflow)

    def open_run(self, experiment: str, key: str, name: str, tags: Mapping[str, str]) -> str:
        """Start a run, or go on with the one of the same key, whatever became of its process. Returns the run's id."""
        tags = {**texts(tags), KEY: key}
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
            curves: for each name, a value per epoch or round; steps count from 0. A metric of the same name comes after
                the curve, unless that ends with it.
        """
        from mlflow.entities import Metric, Param, RunTag

        with self._answers():
            run = self.client.get_run(run_id)
            now, start = int(time.time() * 1000), run.info.start_time
            curves = curves or {}
            points = [
                Metric(name, float(value), now, len(curves.get(name, ())))
                for name, value in (metrics or {}).items()
                if run.data.metrics.get(name) != float(value) and [value] != list(curves.get(name, ()))[-1:]
            ]
            # A curve's points carry times that follow from the run's start: the server drops a point that it has.
            points += [
                Metric(name, float(value), start + step, step)
                for name, values in curves.items()
                for step, value in enumerate(values)
            ]
            values = [Param(name, value) for name, value in texts(params or {}).items()]
            notes = [RunTag(name, value) for name, value in texts(tags or {}).items()]
            while points or values or notes:
                self.client.log_batch(run_id, metrics=points[:900], params=values[:90], tags=notes[:90])
                points, values, notes = points[900:], values[90:], notes[90:]

    def log_files(self, run_id: str, folder: Path, artifact_path: str) -> str:
        """Copy a folder into the run's artifacts; returns the URI of the copy.

        Raises:
            DiskFull: there is no room for a file; it is named.
        """
        with self._answers(), writing():
            self.client.log_artifacts(run_id, str(folder), artifact_path)
            return f"{self.client.get_run(run_id).info.artifact_uri.rstrip('/')}/{artifact_path}"

    def close_run(self, run_id: str, status: RunStatus = "FINISHED") -> None:
        """End a run; the status is final unless the run is opened again."""
        with self._answers():
            self.client.set_terminated(run_id, status)

    def running(self) -> dict[str, dict[str, dict[str, str]]]:
        """The tags of each run that nobody has ended, by experiment and the run's id. Two requests, if not many run."""
        prefix = self.settings.qualified("")
        with self._answers():
            found = pages(self.client.search_experiments, filter_string=f"name LIKE '{prefix}%'")
            names = {each.experiment_id: each.name.removeprefix(prefix) for each in found}
            running: dict[str, dict[str, dict[str, str]]] = {name: {} for name in names.values()}
            for run in pages(self.client.search_runs, list(names), "attributes.status = 'RUNNING'") if names else ():
                running[names[run.info.experiment_id]][run.info.run_id] = dict(run.data.tags)
        return running

    def artifacts(self, uri: str, digest: str) -> Path:
        """A local folder with the artifacts of a URI: the place itself, or a copy that is fetched once for a digest."""
        parts = urlsplit(uri)
        if parts.scheme in ("", "file"):
            return Path(unquote(parts.path))
        local = self.settings.path("artifacts", digest)
        if not local.is_dir():
            from mlflow.artifacts import download_artifacts

            local.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=local.parent, prefix=f"{digest}.") as partial, self._answers():
                fetched = download_artifacts(uri, dst_path=partial, tracking_uri=self.settings.mlflow)
                try:
                    Path(fetched).rename(local)
                except OSError:
                    if not local.is_dir():  # else another process was quicker
                        raise
        return used(local)

    def run_url(self, run_id: str) -> str:
        """Address of a run in MLflow's UI."""
        with self._answers():
            experiment = self.client.get_run(run_id).info.experiment_id
        return f"{self.settings.mlflow}/#/experiments/{experiment}/runs/{run_id}"

    def _experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        if found := self.client.get_experiment_by_name(name):
            return found.experiment_id
        try:
            # Without its kind, MLflow's UI shows an experiment as one of language models.
            return self.client.create_experiment(name, tags={"mlflow.experimentKind": "custom_model_development"})
        except MlflowException:  # another process was quicker
            if found := self.client.get_experiment_by_name(name):
                return found.experiment_id
            raise

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


def pages(search: Callable[..., Any], *arguments: Any, **named: Any) -> Iterator[Any]:
    """All that one of the client's searches finds, page after page."""
    token = ""
    while token is not None:
        page = search(*arguments, page_token=token or None, **named)
        yield from page
        token = page.token or None


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value)[:LONGEST] for name, value in values.items()}
