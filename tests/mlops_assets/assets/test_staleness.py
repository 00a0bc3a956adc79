"""What is stale, as Dagster's own resolver sees it, over the real graph's specs with 150 data tags.

The bodies are replaced by ones that only report a data version: staleness follows from specs and versions alone.
"""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from mlops_assets import build
from mlops_assets.assets.partitions import partitions_name
from resources.settings import REPOSITORY

TAGS = [f"1.{minor}.0" for minor in range(150)]
STAGES = ("datasets", "models", "releases", "endpoints")


class Bodies:
    """Assets of the real graph, with data versions of our choosing."""

    def __init__(self, instance: dg.DagsterInstance, names: Sequence[str]) -> None:
        self.instance = instance
        self.versions: dict[str, str] = {}
        specs = {spec.key.to_user_string(): spec for spec in build(REPOSITORY / "workloads").resolve_all_asset_specs()}
        self.specs = {name: specs[name] for name in names}
        above = {dep.asset_key.to_user_string() for spec in self.specs.values() for dep in spec.deps} - set(names)
        outside = [specs[name] for name in sorted(above)]
        self.definitions = dg.Definitions(assets=[*outside, *(self._body(name) for name in names)])

    def _body(self, name: str) -> dg.AssetsDefinition:
        @dg.multi_asset(specs=[self.specs[name]], name=name.replace("/", "_"))
        def body(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
            return dg.MaterializeResult(data_version=dg.DataVersion(self.versions[name]))

        return body

    def make(self, versions: Mapping[str, str], partition: str | None = None) -> None:
        """Materialize assets, each with its data version."""
        self.versions |= versions
        keys = {self.specs[name].key for name in versions}
        job = self.definitions.resolve_implicit_global_asset_job_def()
        result = job.get_subset(asset_selection=keys).execute_in_process(
            instance=self.instance, partition_key=partition
        )
        assert result.success

    def is_stale(self, name: str, partition: str | None = None) -> bool:
        graph = self.definitions.resolve_asset_graph()
        resolver = CachingStaleStatusResolver(self.instance, graph, LoadingContextForTest(self.instance))
        return resolver.get_status(self.specs[name].key, partition) == StaleStatus.STALE


class Graph(Bodies):
    """wine's."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        super().__init__(instance, [f"wine/{stage}" for stage in STAGES])
        instance.add_dynamic_partitions(partitions_name("wine"), TAGS)

    def materialize(self, *stages: str, partition: str | None = None, **versions: str) -> None:
        known = {stage: self.versions.get(f"wine/{stage}", "") for stage in stages} | versions
        self.make({f"wine/{stage}": known[stage] for stage in stages}, partition)

    def stale(self, stage: str, partition: str | None = None) -> bool:
        return self.is_stale(f"wine/{stage}", partition)


@pytest.fixture
def graph() -> Iterator[Graph]:
    with dg.DagsterInstance.ephemeral() as instance:
        graph = Graph(instance)
        for stage in ("datasets", "models"):
            for tag in TAGS[:-2]:
                instance.report_runless_asset_event(
                    dg.AssetMaterialization(
                        graph.specs[f"wine/{stage}"].key,
                        partition=tag,
                        tags={"dagster/data_version": f"{stage} of {tag}"},
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


MADE = {  # what is released, and what makes its candidates
    "corpus/releases": "corpus/embeddings",
    "rag/prompt_releases": "rag/prompts",
    "rag/language_model_releases": "rag/language_models",
}


@pytest.fixture
def rag() -> Iterator[Bodies]:
    """The application's part of the graph, all released and served."""
    with dg.DagsterInstance.ephemeral() as instance:
        graph = Bodies(instance, [*MADE.values(), *MADE, "rag/endpoints"])
        instance.add_dynamic_partitions(partitions_name("corpus"), ["1.0.0", "1.1.0"])
        for tag in ("1.0.0", "1.1.0"):
            graph.make({"corpus/embeddings": f"vectors of {tag}"}, tag)
        graph.make({"rag/prompts": "prompt 1", "rag/language_models": "model 1"})
        graph.make({**{thing: f"{thing} 1" for thing in MADE}, "rag/endpoints": "composition 1"})
        assert not any(graph.is_stale(thing) for thing in MADE)
        assert not graph.is_stale("rag/endpoints")
        yield graph


@pytest.mark.parametrize("thing", MADE)
def test_a_release_of_any_part_makes_the_applications_endpoint_stale(rag: Bodies, thing: str) -> None:
    rag.make({thing: "another"})
    assert rag.is_stale("rag/endpoints")
    rag.make({"rag/endpoints": "composition 2"})
    assert not rag.is_stale("rag/endpoints")


@pytest.mark.parametrize("thing", MADE)
def test_a_refused_candidate_of_any_part_leaves_it_fresh(rag: Bodies, thing: str) -> None:
    rag.make({MADE[thing]: "refused"}, "1.1.0" if thing == "corpus/releases" else None)
    assert rag.is_stale(thing)
    rag.make({thing: f"{thing} 1"})  # the decision: what was released stays released
    assert not rag.is_stale(thing)
    assert not rag.is_stale("rag/endpoints")


def test_embedding_an_old_corpus_again_leaves_the_release_fresh(rag: Bodies) -> None:
    rag.make({"corpus/embeddings": "other vectors of 1.0.0"}, "1.0.0")
    assert not rag.is_stale("corpus/releases")
