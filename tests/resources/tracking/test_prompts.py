"""The resource to prompts, on a real MLflow: template and settings are one version, and aliases move as for models."""

import pytest

from resources.settings import Settings
from resources.tracking import Gone, Tracking
from resources.tracking.prompts import Prompts, digest

TEXT = "Answer {question} from\n{context}\n"


@pytest.fixture(scope="module")
def tracking(mlflow: Settings) -> Tracking:
    return Tracking(mlflow.model_copy(update={"env": "prompttest"}))


@pytest.fixture(scope="module")
def prompts(tracking: Tracking) -> Prompts:
    return tracking.prompts


@pytest.fixture
def target(request: pytest.FixtureRequest) -> str:
    return f"prompt/{request.node.originalname.removeprefix('test_')[:50]}"


def test_template_and_settings_are_one_version(prompts: Prompts, target: str) -> None:
    assert (prompts.latest(target), prompts.list(target)) == (None, [])
    first = prompts.register(target, TEXT, {"sentences": 3, "refusal": "Nothing."}, "the first")
    assert prompts.register(target, TEXT, {"sentences": 1, "refusal": "Nothing."}, "shorter") == 2
    assert prompts.register(target, f"{TEXT}!", {"sentences": 3, "refusal": "Nothing."}, "louder") == 3
    assert prompts.register(target, TEXT, {"refusal": "Nothing.", "sentences": 3}, "again") == first == 1
    found = prompts.get(target, 2)
    assert (found.template, found.settings, found.why) == (TEXT, {"sentences": 1, "refusal": "Nothing."}, "shorter")
    assert found.digest == digest(TEXT, {"refusal": "Nothing.", "sentences": 1})
    assert [each.number for each in prompts.list(target)] == [3, 2, 1]
    assert prompts.latest(target) == 3
    assert len({each.digest for each in prompts.list(target)}) == 3


def test_a_prompt_that_was_written_in_mlflow_has_no_settings(tracking: Tracking, prompts: Prompts, target: str) -> None:
    name = tracking.settings.qualified(target.replace("/", "."))
    tracking.client.create_prompt(name)
    tracking.client.create_prompt_version(name, TEXT, description="by hand")
    found = prompts.get(target, 1)
    assert (found.template, found.settings, found.digest) == (TEXT, {}, digest(TEXT, {}))


def test_aliases_are_set_moved_and_removed_as_for_a_model(tracking: Tracking, prompts: Prompts, target: str) -> None:
    assert tracking.registry.aliases(target) == {}
    for sentences in (1, 2):
        prompts.register(target, TEXT, {"sentences": sentences}, "")
    for number in (1, 2, 2):
        tracking.registry.set_alias(target, "champion", number)
    tracking.registry.set_alias(target, "previous", 1)
    assert tracking.registry.aliases(target) == {"champion": 2, "previous": 1}
    assert [each.aliases for each in prompts.list(target)] == [("champion",), ("previous",)]
    for _ in range(2):
        tracking.registry.set_alias(target, "previous", None)
    assert tracking.registry.aliases(target) == {"champion": 2}
    tracking.registry.tag(target, 2, {"version": "1.0.0"})
    assert (
        tracking.client.get_prompt_version(tracking.settings.qualified(target.replace("/", ".")), 2).tags["version"]
        == "1.0.0"
    )
    assert prompts.get(target, 2).settings == {"sentences": 2}
    assert (tracking.registry.has(target, 2), tracking.registry.has(target, 3)) == (True, False)
    for change in (
        lambda: tracking.registry.set_alias(target, "champion", 3),
        lambda: tracking.registry.tag(target, 3, {"a": "b"}),
        lambda: prompts.get(target, 3),
    ):
        with pytest.raises(Gone, match="version 3"):
            change()
    name = tracking.settings.qualified(target.replace("/", "."))
    assert tracking.registry.uri(target, 2) == f"prompts:/{name}/2"
    assert tracking.registry.url(target, 2).endswith(f"/#/prompts/{name}?promptVersion=2")


def test_another_environment_gets_a_version_of_its_own(tracking: Tracking, prompts: Prompts, target: str) -> None:
    there = Tracking(tracking.settings.model_copy(update={"env": "promptprod"}))
    prompts.register(target, f"{TEXT}?", {"sentences": 1}, "one")
    number = prompts.register(target, TEXT, {"sentences": 2}, "two")
    for _ in range(2):
        found = tracking.promote(target, number, "promptprod", {"promoted_from": "prompttest 1.0.0"})
        assert found == (1, f"promptprod.{target.replace('/', '.')}")
    copy = there.prompts.get(target, 1)
    assert (copy.template, copy.settings, copy.digest) == (TEXT, {"sentences": 2}, prompts.get(target, number).digest)
    assert there.registry.aliases(target) == {}


@pytest.mark.parametrize("name", ["rag", "index/corpus", "prompt/../x", "prompt/a/b", "prompt/", "prompt/A"])
def test_no_name_but_a_prompts_is_taken(prompts: Prompts, name: str) -> None:
    for touch in (
        lambda: prompts.register(name, TEXT, {}, ""),
        lambda: prompts.get(name, 1),
        lambda: prompts.list(name),
    ):
        with pytest.raises(ValueError):
            touch()
    with pytest.raises(ValueError, match="5000"):
        prompts.register("prompt/long", TEXT, {"refusal": "x" * 6000}, "")
