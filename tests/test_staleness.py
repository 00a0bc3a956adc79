"""What is stale, as Dagster's own resolver sees it, over the real graph's specs with 150 data tags.

The bodies are replaced by ones that only report a data version: staleness follows from specs and versions alone.
"""

from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from mlops_assets import build
from mlops_assets.partitions import partitions_name
from resources.settings import REPOSITORY

TAGS = [f"1.{minor}.0" for minor in range(150)]
STAGES = ("datasets", "models", "releases", "endpoints")


class Graph:
    """The real graph of wine, with data versions of our choosing."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.versions: dict[str, str] = {}
        specs = {spec.key: spec for spec in build(REPOSITORY / "workloads").resolve_all_asset_specs()}
        self.specs = {stage: specs[dg.AssetKey([stage, "wine"])] for stage in STAGES}
        outside = [specs[dg.AssetKey([part, "wine"])] for part in ("registry", "aliases")]
        self.definitions = dg.Definitions(assets=[*outside, *(self._body(stage) for stage in STAGES)])
        instance.add_dynamic_partitions(partitions_name("wine"), TAGS)

    def _body(self, stage: str) -> dg.AssetsDefinition:
        @dg.multi_asset(specs=[self.specs[stage]], name=f"{stage}_wine")
        def body(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
            return dg.MaterializeResult(data_version=dg.DataVersion(self.versions[stage]))

        return body

    def materialize(self, *stages: str, partition: str | None = None, **versions: str) -> None:
        self.versions |= versions
        keys = [self.specs[stage].key for stage in stages]
        job = self.definitions.resolve_implicit_global_asset_job_def()
        result = job.get_subset(asset_selection=set(keys)).execute_in_process(
            instance=self.instance, partition_key=partition
        )
        assert result.success

    def stale(self, stage: str, partition: str | None = None) -> bool:
        graph = self.definitions.resolve_asset_graph()
        resolver = CachingStaleStatusResolver(self.instance, graph, LoadingContextForTest(self.instance))
        return resolver.get_status(self.specs[stage].key, partition) == StaleStatus.STALE


@pytest.fixture
def graph() -> Iterator[Graph]:
    with dg.DagsterInstance.ephemeral() as instance:
        graph = Graph(instance)
        for stage in ("datasets", "models"):
            for tag in TAGS[:-2]:
                instance.report_runless_asset_event(
                    dg.AssetMaterialization(
                        graph.specs[stage].key, partition=tag, tags={"dagster/data_version": f"{stage} of {tag}"}
                    )
                )
        for tag in TAGS[-2:]:
            graph.materialize("datasets", "models", partition=tag, datasets=f"data {tag}", models=f"model of {tag}")
        graph.materialize("releases", "endpoints", releases="digest 1", endpoints="digest 1")
        yield graph


def test_all_is_fresh_after_a_release(graph: Graph) -> None:
    assert not graph.stale("releases")
    assert not graph.stale("endpoints")


def test_training_the_newest_tag_makes_the_release_stale(graph: Graph) -> None:
    graph.materialize("models", partition=TAGS[-1], models="another model")
    assert graph.stale("releases")


def test_retraining_an_old_tag_does_not(graph: Graph) -> None:
    graph.materialize("models", partition=TAGS[-2], models="another model")
    assert not graph.stale("releases")
    assert not graph.stale("endpoints")


def test_a_new_tag_that_is_trained_makes_the_release_stale(graph: Graph) -> None:
    graph.instance.add_dynamic_partitions(partitions_name("wine"), ["2.0.0"])
    graph.materialize("datasets", "models", partition="2.0.0", datasets="data 2", models="model 2")
    assert graph.stale("releases")


def test_a_refused_candidate_leaves_the_endpoint_fresh(graph: Graph) -> None:
    graph.materialize("models", partition=TAGS[-1], models="refused")
    graph.materialize("releases", releases="digest 1")  # the decision: what was released stays released
    assert not graph.stale("releases")
    assert not graph.stale("endpoints")


def test_a_release_makes_the_endpoint_stale(graph: Graph) -> None:
    graph.materialize("releases", releases="digest 2")
    assert graph.stale("endpoints")
