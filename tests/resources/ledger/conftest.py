"""The ledger that this room's tests write to, each about a target of its own."""

import pytest

from resources.ledger import Ledger
from resources.settings import Settings


@pytest.fixture(scope="module")
def ledger(postgres: Settings) -> Ledger:
    ledger = Ledger(postgres.model_copy(update={"env": "ledgertest"}))
    ledger.migrate()
    return ledger


@pytest.fixture
def target(request: pytest.FixtureRequest) -> str:
    """A target of the test's own."""
    return request.node.name.removeprefix("test_")
