"""A search's trials in MLflow: each a child of the model's run, with its parameters, its curves and how it ended."""

from collections.abc import Sequence

from resources.tracking.runs import KEY, Runs, texts
from workloads.sdk.contract import Trial

PARENT, STATE, BEST = "mlflow.parentRunId", "trial.state", "trial.best"
ENDS = {"finished": "FINISHED", "stopped": "FINISHED", "failed": "FAILED"}


class Trials(Runs):
    """Runs, and the runs below them."""

    def log_trials(self, run_id: str, trials: Sequence[Trial]) -> None:
        """Log each trial as a child of a run; one that is there already, whole, is left as it is.

        A child carries the tags of its parent too: what it came from, and whose run in Dagster it is.
        """
        if not trials:
            return
        with self._answers():
            parent = self.client.get_run(run_id)
            experiment, start = parent.info.experiment_id, parent.info.start_time
            children = self.client.search_runs([experiment], f"tags.`{PARENT}` = '{run_id}'", max_results=5000)
            there = {child.data.tags.get(KEY): child.info for child in children}
            tags = {name: value for name, value in parent.data.tags.items() if not name.startswith("mlflow.")}
            for trial in trials:
                key = f"{run_id}:{trial.name}"
                own = {KEY: key, PARENT: run_id, STATE: trial.state, BEST: str(trial.best).lower()}
                if (info := there.get(key)) is None:
                    info = self.client.create_run(experiment, start, {**tags, **texts(own)}, trial.name).info
                if info.status == "RUNNING":
                    self.log(info.run_id, trial.parameters, trial.metrics, trial.curves)
                    self.client.set_terminated(info.run_id, ENDS[trial.state], start + int(1000 * trial.seconds))
