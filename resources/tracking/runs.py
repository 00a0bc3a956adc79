"""Runs in MLflow. One is found again by a key of ours: whoever goes on with a killed step goes on with its run."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from resources.cache import used
from resources.tracking.server import Server, allowing, pages, texts
from workloads.sdk.contract import Trial
from workloads.sdk.disk import writing

KEY = "mlops.key"
PARENT, STATE, BEST = "mlflow.parentRunId", "trial.state", "trial.best"
ENDS = {"finished": "FINISHED", "stopped": "FINISHED", "failed": "FAILED"}
RunStatus = Literal["FINISHED", "FAILED", "KILLED"]


class Runs:
    """Runs of one environment."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def open(self, experiment: str, key: str, name: str, tags: Mapping[str, str]) -> str:
        """Start a run, or go on with the one of the same key, whatever became of its process. Returns the run's id."""
        tags = {**texts(tags), KEY: key}
        with self._server.answers():
            where = self._experiment(self._server.settings.qualified(experiment))
            quoted = key.replace("'", "")
            found = self._server.client.search_runs([where], f"tags.`{KEY}` = '{quoted}'", order_by=["start_time ASC"])
            if found:
                run = found[0].info.run_id
                self._server.client.update_run(run, status="RUNNING")
                self.log(run, tags=tags)
                return run
            return self._server.client.create_run(where, run_name=name, tags={**tags, KEY: quoted}).info.run_id

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

        with self._server.answers():
            run = self._server.client.get_run(run_id)
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
                self._server.client.log_batch(run_id, metrics=points[:900], params=values[:90], tags=notes[:90])
                points, values, notes = points[900:], values[90:], notes[90:]

    def log_trials(self, run_id: str, trials: Sequence[Trial]) -> None:
        """Log each trial as a child of a run; one that is there already, whole, is left as it is.

        A child carries the tags of its parent too: what it came from, and whose run in Dagster it is.
        """
        if not trials:
            return
        with self._server.answers():
            parent = self._server.client.get_run(run_id)
            experiment, start = parent.info.experiment_id, parent.info.start_time
            children = self._server.client.search_runs([experiment], f"tags.`{PARENT}` = '{run_id}'", max_results=5000)
            there = {child.data.tags.get(KEY): child.info for child in children}
            tags = {name: value for name, value in parent.data.tags.items() if not name.startswith("mlflow.")}
            for trial in trials:
                key = f"{run_id}:{trial.name}"
                own = {KEY: key, PARENT: run_id, STATE: trial.state, BEST: str(trial.best).lower()}
                if (info := there.get(key)) is None:
                    info = self._server.client.create_run(experiment, start, {**tags, **texts(own)}, trial.name).info
                if info.status == "RUNNING":
                    self.log(info.run_id, trial.parameters, trial.metrics, trial.curves)
                    self._server.client.set_terminated(
                        info.run_id, ENDS[trial.state], start + int(1000 * trial.seconds)
                    )

    def log_files(self, run_id: str, folder: Path, artifact_path: str) -> str:
        """Copy a folder into the run's artifacts; returns the URI of the copy.

        Raises:
            DiskFull: there is no room for a file; it is named.
        """
        with self._server.answers(), writing():
            self._server.client.log_artifacts(run_id, str(folder), artifact_path)
            return f"{self._server.client.get_run(run_id).info.artifact_uri.rstrip('/')}/{artifact_path}"

    def close(self, run_id: str, status: RunStatus = "FINISHED") -> None:
        """End a run; the status is final unless the run is opened again."""
        with self._server.answers():
            self._server.client.set_terminated(run_id, status)

    def running(self) -> dict[str, dict[str, dict[str, str]]]:
        """The tags of each run that nobody has ended, by experiment and the run's id. Two requests, if not many run."""
        prefix = self._server.settings.qualified("")
        client = self._server.client
        with self._server.answers():
            found = pages(client.search_experiments, filter_string=f"name LIKE '{prefix}%'")
            names = {each.experiment_id: each.name.removeprefix(prefix) for each in found}
            running: dict[str, dict[str, dict[str, str]]] = {name: {} for name in names.values()}
            for run in pages(client.search_runs, list(names), "attributes.status = 'RUNNING'") if names else ():
                running[names[run.info.experiment_id]][run.info.run_id] = dict(run.data.tags)
        return running

    def artifacts(self, uri: str, digest: str) -> Path:
        """A local folder with the artifacts of a URI: the place itself, or a copy that is fetched once for a digest."""
        parts = urlsplit(uri)
        if parts.scheme in ("", "file"):
            return Path(unquote(parts.path))
        local = self._server.settings.path("artifacts", digest)
        if not local.is_dir():
            from mlflow.artifacts import download_artifacts

            local.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=local.parent, prefix=f"{digest}.") as partial, self._server.answers():
                fetched = download_artifacts(uri, dst_path=partial, tracking_uri=self._server.settings.mlflow)
                try:
                    Path(fetched).rename(local)
                except OSError:
                    if not local.is_dir():  # else another process was quicker
                        raise
        return used(local)

    def url(self, run_id: str) -> str:
        """Address of a run in MLflow's UI. Raises `Gone`."""
        with self._server.answers(f"run {run_id}"):
            experiment = self._server.client.get_run(run_id).info.experiment_id
        return f"{self._server.settings.mlflow}/#/experiments/{experiment}/runs/{run_id}"

    def _experiment(self, name: str) -> str:
        client = self._server.client
        if found := client.get_experiment_by_name(name):
            if found.lifecycle_stage == "deleted":  # by a person, in MLflow's UI; nothing could be tracked
                client.restore_experiment(found.experiment_id)
            return found.experiment_id
        with allowing("RESOURCE_ALREADY_EXISTS"):
            # Without its kind, MLflow's UI shows an experiment as one of language models.
            return client.create_experiment(name, tags={"mlflow.experimentKind": "custom_model_development"})
        return client.get_experiment_by_name(name).experiment_id
