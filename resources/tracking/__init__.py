"""MLflow: runs, and the registry of versions with their aliases.

MLflow shows what happened; the ledger decides. Only names of this environment (`dev.wine`) are ever written, but for
`promote`, which puts a version into another environment's list and moves nothing there.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from resources.settings import Settings
from resources.tracking.prompts import Prompts
from resources.tracking.registry import DIGEST, PROMPT, Registry
from resources.tracking.runs import Runs
from resources.tracking.server import Gone, Server, TrackingUnavailable

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["DIGEST", "PROMPT", "Gone", "Tracking", "TrackingUnavailable"]


class Tracking:
    """Runs, registered versions and prompts of one environment."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._server = Server(settings)
        self.runs = Runs(self._server)
        self.registry = Registry(self._server)
        self.prompts = Prompts(self._server, self.registry)

    @property
    def client(self) -> "MlflowClient":
        """MLflow's own client, for what the methods do not cover (reading)."""
        return self._server.client

    def promote(self, target: str, number: int, environment: str, tags: Mapping[str, str]) -> tuple[int, str]:
        """Enter a version in another environment's list, artifacts and run shared. Its aliases stay as they are.

        Returns:
            The number and the name (`prod.wine`) that it has there.

        Raises:
            ValueError: `environment` cannot be the name of one.
            Gone: it is gone from the registry.
        """
        elsewhere = Tracking(self._server.settings.model_copy(update={"env": Settings(env=environment).env}))
        there = elsewhere._server.name(target)
        if target.startswith(PROMPT):
            prompt = self.prompts.get(target, number)
            number = elsewhere.prompts.register(target, prompt.template, prompt.settings, prompt.why)
            elsewhere.registry.tag(target, number, tags)
            return number, there
        with self._server.answers(f"version {number} of {self._server.name(target)}"):
            source = self.client.get_model_version(self._server.name(target), str(number))
        return elsewhere.registry.register(target, str(source.run_id), str(source.source), tags), there
