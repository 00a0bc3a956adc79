"""What a whole run asks of Git: the dataset's step resolves the tag, and nothing after it asks again."""

from pathlib import Path

import dagster as dg
import pytest
from graph_fixtures import Delivered, World

pytestmark = pytest.mark.platform


def test_a_run_resolves_its_tag_once(
    world: World, live: Delivered, definitions: dg.Definitions, git_calls: Path
) -> None:
    result = definitions.resolve_job_def("wine_pipeline").execute_in_process(
        partition_key=live.version, instance=world.instance
    )
    assert result.success
    calls = [call for call in git_calls.read_text().splitlines() if "data-registry" in call]
    assert sum("ls-remote" in call for call in calls) == 1, calls
    assert len(calls) == 2, calls  # and one reads what it holds
