"""MLflow's registry of versions, with their aliases."""

from collections.abc import Collection, Mapping
from functools import partial

from resources.tracking.server import Server, allowing, pages, texts

DIGEST = "digest"
PROMPT = "prompt/"  # how the names of prompts begin: MLflow keeps them beside its models, and asks for them otherwise
OF_PROMPTS = " and tag.`mlflow.prompt.is_prompt` = 'true'"


class Registry:
    """Registered versions of one environment."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def register(self, target: str, run_id: str, artifacts_uri: str, tags: Mapping[str, str], above: int = 0) -> int:
        """A version for a run's artifacts (which lie within the run's own); the one it has already, if it has one.

        Args:
            above: its number is greater, also where MLflow begins to count again since a person has deleted the model.
        """
        name, tags, client = self._server.name(target), texts(tags), self._server.client
        create = partial(client.create_model_version, name, artifacts_uri, run_id, tags, await_creation_for=0)
        with self._server.answers():
            versions = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
            same = [int(version.version) for version in versions if version.tags.get(DIGEST) == tags.get(DIGEST)]
            if same:
                return min(same)
            number = 0
            with allowing("RESOURCE_DOES_NOT_EXIST"):
                number = int(create().version)
            if number == 0:
                with allowing("RESOURCE_ALREADY_EXISTS"):
                    client.create_registered_model(name)
                number = int(create().version)
            while number <= above:
                client.delete_model_version(name, str(number))
                number = int(create().version)
            return number

    def unregister(self, target: str, run_id: str, keep: Collection[int]) -> None:
        """Remove the versions of a run, but for the numbers to keep."""
        name = self._server.name(target)
        with self._server.answers():
            for version in self._server.client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'"):
                if int(version.version) not in keep:
                    self._server.client.delete_model_version(name, version.version)

    def tag(self, target: str, number: int, tags: Mapping[str, str]) -> None:
        """Set tags of a version. Raises `Gone`."""
        name, client = self._server.name(target), self._server.client
        set_tag = client.set_prompt_version_tag if target.startswith(PROMPT) else client.set_model_version_tag
        with self._server.answers(f"version {number} of {name}"):
            for key, value in texts(tags).items():
                set_tag(name, str(number), key, value)

    def has(self, target: str, number: int) -> bool:
        """Whether the registry still has a version."""
        with self._server.answers():
            which = f"{self._where(target)} and version_number = {int(number)}"
            return bool(self._server.client.search_model_versions(which))

    def aliases(self, target: str) -> dict[str, int]:
        """Where each alias points now; empty where nothing is registered."""
        with self._server.answers():
            found = self._server.client.search_registered_models(self._where(target))
        return _numbers(found[0].aliases) if found else {}

    def all_aliases(self) -> dict[str, dict[str, int]]:
        """Where each alias points now, by target: one request for all models, and one for all prompts."""
        prefix = self._server.settings.qualified("")
        with self._server.answers():
            search, which = self._server.client.search_registered_models, f"name LIKE '{prefix}%'"
            found = [*pages(search, which), *pages(search, which + OF_PROMPTS)]
        names = (each.name.removeprefix(prefix).replace(".", "/") for each in found)
        return {name: _numbers(each.aliases) for name, each in zip(names, found, strict=True)}

    def set_alias(self, target: str, alias: str, number: int | None) -> None:
        """Let an alias point at a version, or remove it (None). Raises `Gone`."""
        name, client, prompt = self._server.name(target), self._server.client, target.startswith(PROMPT)
        with self._server.answers(f"version {number} of {name}"):
            if number is None:
                (client.delete_prompt_alias if prompt else client.delete_registered_model_alias)(name, alias)
            elif prompt:
                client.set_prompt_alias(name, alias, number)
            else:
                client.set_registered_model_alias(name, alias, str(number))

    def uri(self, target: str, number: int) -> str:
        return f"{'prompts' if target.startswith(PROMPT) else 'models'}:/{self._server.name(target)}/{number}"

    def url(self, target: str, number: int) -> str:
        """Address of a version in MLflow's UI."""
        name = self._server.name(target)
        if target.startswith(PROMPT):
            return f"{self._server.settings.mlflow}/#/prompts/{name}?promptVersion={number}"
        return f"{self._server.settings.mlflow}/#/models/{name}/versions/{number}"

    def _where(self, target: str) -> str:
        """A filter for searches; prompts are found only by one that names their tag."""
        return f"name = '{self._server.name(target)}'{OF_PROMPTS if target.startswith(PROMPT) else ''}"


def _numbers(aliases: Mapping[str, str]) -> dict[str, int]:
    return {alias: int(number) for alias, number in aliases.items()}
