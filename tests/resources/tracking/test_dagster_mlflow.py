"""Why the platform does not use dagster-mlflow: two models of one Dagster run share one MLflow run.

Its resource finds an MLflow run by the Dagster run's id, and holds it as MLflow's process-wide active run. Should this
test fail one day, what it says has been mended there, and `resources/tracking/__init__.py` may be reconsidered.
"""

from collections.abc import Iterator

import dagster as dg
import pytest
from dagster_mlflow import end_mlflow_on_run_finished, mlflow_tracking
from mlflow import MlflowClient, set_tracking_uri

from resources.settings import Settings


@dg.op(required_resource_keys={"mlflow"})
def first(context: dg.OpExecutionContext) -> float:
    context.resources.mlflow.log_metric("right", 0.9)
    return 0.9


@dg.op(required_resource_keys={"mlflow"})
def second(context: dg.OpExecutionContext, before: float) -> None:
    context.resources.mlflow.log_metric("right", 0.5)


@end_mlflow_on_run_finished
@dg.job(resource_defs={"mlflow": mlflow_tracking})
def two_models() -> None:
    second(first())


@pytest.fixture
def server(mlflow: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of MLflow; what the resource sets for the whole process is set back."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow.mlflow)
    yield mlflow.mlflow
    set_tracking_uri(None)


@pytest.mark.filterwarnings("ignore")
def test_two_models_of_one_dagster_run_share_one_mlflow_run(server: str) -> None:
    config = {"experiment_name": "two-models", "mlflow_tracking_uri": server}
    result = two_models.execute_in_process(run_config={"resources": {"mlflow": {"config": config}}})
    assert result.success
    client = MlflowClient(server)
    runs = client.search_runs([client.get_experiment_by_name("two-models").experiment_id])
    assert len(runs) == 1  # and not one for each model
    values = [point.value for point in client.get_metric_history(runs[0].info.run_id, "right")]
    assert values == [0.9, 0.5]  # of different models, in one curve
