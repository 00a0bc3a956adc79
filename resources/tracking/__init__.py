"""MLflow: runs, and the registry of versions with their aliases.

MLflow shows what happened; the ledger decides. Only names of this environment (`dev.wine`) are ever written, but for
`promote`, which puts a version into another environment's list and moves nothing there.
"""

import re
from collections.abc import Collection, Mapping

from resources.settings import Settings
from resources.tracking.runs import NoSuchVersion, TrackingUnavailable, pages, texts
from resources.tracking.trials import Trials

__all__ = ["DIGEST", "PROMPT", "NoSuchVersion", "Tracking", "TrackingUnavailable"]

DIGEST = "digest"
PROMPT = "prompt/"  # how the names of prompts begin: MLflow keeps them beside its models, and asks for them otherwise
OF_PROMPTS = " and tag.`mlflow.prompt.is_prompt` = 'true'"


class Tracking(Trials):
    """Runs and registered versions of one environment."""

    def register(self, target: str, run_id: str, artifacts_uri: str, tags: Mapping[str, str]) -> int:
        """A version for a run's artifacts (which lie within the run's own); the one it has already, if it has one."""
        return self._version(self._name(target), run_id, artifacts_uri, tags)

    def unregister(self, target: str, run_id: str, keep: Collection[int]) -> None:
        """Remove the versions of a run, but for the numbers to keep."""
        name = self._name(target)
        with self._answers():
            for version in self.client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'"):
                if int(version.version) not in keep:
                    self.client.delete_model_version(name, version.version)

    def promote(self, target: str, number: int, environment: str, tags: Mapping[str, str]) -> tuple[int, str]:
        """Enter a version in another environment's list, artifacts and run shared. Its aliases stay as they are.

        Returns:
            The number and the name (`prod.wine`) that it has there.

        Raises:
            ValueError: `environment` cannot be the name of one.
            NoSuchVersion: it is gone from the registry.
        """
        checked = Settings(env=environment).env
        elsewhere = Tracking(self.settings.model_copy(update={"env": checked}))
        there = elsewhere._name(target)
        if target.startswith(PROMPT):
            from resources.tracking.prompts import Prompts

            prompt = Prompts(self).get(target, number)
            number = Prompts(elsewhere).register(target, prompt.template, prompt.settings, prompt.why)
            elsewhere.tag_version(target, number, tags)
            return number, there
        with self._answers(f"version {number} of {self._name(target)}"):
            source = self.client.get_model_version(self._name(target), str(number))
        number = self._version(there, str(source.run_id), str(source.source), tags)
        return number, there

    def tag_version(self, target: str, number: int, tags: Mapping[str, str]) -> None:
        """Set tags of a version. Raises `NoSuchVersion`."""
        name = self._name(target)
        set_tag = self.client.set_prompt_version_tag if target.startswith(PROMPT) else self.client.set_model_version_tag
        with self._answers(f"version {number} of {name}"):
            for key, value in texts(tags).items():
                set_tag(name, str(number), key, value)

    def has_version(self, target: str, number: int) -> bool:
        """Whether the registry still has a version."""
        with self._answers():
            return bool(self.client.search_model_versions(f"{self._where(target)} and version_number = {int(number)}"))

    def aliases(self, target: str) -> dict[str, int]:
        """Where each alias points now; empty where nothing is registered."""
        with self._answers():
            found = self.client.search_registered_models(self._where(target))
        return {alias: int(number) for each in found for alias, number in each.aliases.items()}

    def all_aliases(self) -> dict[str, dict[str, int]]:
        """Where each alias points now, by target: one request for all models, and one for all prompts."""
        prefix = self.settings.qualified("")
        with self._answers():
            found = [
                each
                for kind in ("", OF_PROMPTS)
                for each in pages(self.client.search_registered_models, f"name LIKE '{prefix}%'{kind}")
            ]
        return {
            each.name.removeprefix(prefix).replace(".", "/"): {
                alias: int(number) for alias, number in each.aliases.items()
            }
            for each in found
        }

    def set_alias(self, target: str, alias: str, number: int | None) -> None:
        """Let an alias point at a version, or remove it (None). Raises `NoSuchVersion`."""
        name, prompt = self._name(target), target.startswith(PROMPT)
        with self._answers(f"version {number} of {name}"):
            if number is None:
                (self.client.delete_prompt_alias if prompt else self.client.delete_registered_model_alias)(name, alias)
            elif prompt:
                self.client.set_prompt_alias(name, alias, number)
            else:
                self.client.set_registered_model_alias(name, alias, str(number))

    def model_uri(self, target: str, number: int) -> str:
        return f"{'prompts' if target.startswith(PROMPT) else 'models'}:/{self._name(target)}/{number}"

    def version_url(self, target: str, number: int) -> str:
        """Address of a version in MLflow's UI."""
        name = self._name(target)
        if target.startswith(PROMPT):
            return f"{self.settings.mlflow}/#/prompts/{name}?promptVersion={number}"
        return f"{self.settings.mlflow}/#/models/{name}/versions/{number}"

    def _where(self, target: str) -> str:
        """A filter for searches; prompts are found only by one that names their tag."""
        return f"name = '{self._name(target)}'{OF_PROMPTS if target.startswith(PROMPT) else ''}"

    def _name(self, target: str) -> str:
        if not re.fullmatch(r"[a-z0-9_]+(/[a-z0-9_]+)?", target):
            raise ValueError(f"{target!r} is not the name of a thing: lower-case letters, digits and underscores")
        return self.settings.qualified(target.replace("/", "."))  # the registry's names hold no slash

    def _version(self, name: str, run_id: str, source: str, tags: Mapping[str, str]) -> int:
        from mlflow.exceptions import MlflowException

        tags = texts(tags)
        with self._answers():
            versions = self.client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
            same = [int(version.version) for version in versions if version.tags.get(DIGEST) == tags.get(DIGEST)]
            if same:
                return min(same)
            try:
                created = self.client.create_model_version(name, source, run_id, tags, await_creation_for=0)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                self._create_model(name)
                created = self.client.create_model_version(name, source, run_id, tags, await_creation_for=0)
            return int(created.version)

    def _create_model(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was quicker
                raise
