"""MLflow's registry of prompts: a template and its settings are one version, with a number and a digest.

Aliases, tags and promotion of prompts go through `Registry`, like those of everything that is registered.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from resources.tracking.registry import DIGEST, PROMPT, Registry
from resources.tracking.server import Gone, Server, allowing, pages
from workloads.sdk.artifacts import canonical, digest_of

if TYPE_CHECKING:
    from mlflow.entities.model_registry import PromptVersion

SETTINGS = "settings"
LONGEST = 5000  # characters of the settings as JSON: what MLflow's tags hold for sure


@dataclass(frozen=True)
class Prompt:
    """A registered prompt.

    Attributes:
        thing: its name in the ledger, `prompt/rag`.
        number: of the version.
        template: its text, with placeholders.
        settings: JSON-ready, all of them.
        why: what was said when it was registered.
        digest: SHA-256 over template and settings: its identity.
        aliases: those that point at it.
    """

    thing: str
    number: int
    template: str
    settings: Mapping[str, Any]
    why: str
    digest: str
    aliases: tuple[str, ...] = ()


def digest(template: str, settings: Mapping[str, Any]) -> str:
    """Identity of a prompt."""
    return digest_of({"template": template, "settings": dict(settings)})


class Prompts:
    """Registered prompts of one environment."""

    def __init__(self, server: Server, registry: Registry) -> None:
        self._server = server
        self._registry = registry

    def register(self, target: str, template: str, settings: Mapping[str, Any], why: str) -> int:
        """A version for a template with settings; the one that they have already, if they have one.

        Raises:
            ValueError: the settings are longer than the registry holds, or it is no prompt's name.
        """
        name, identity, written = self._name(target), digest(template, settings), canonical(dict(settings))
        if len(written) > LONGEST:
            raise ValueError(f"the settings have {len(written)} characters as JSON; the registry holds {LONGEST}")
        if same := [each.number for each in self.list(target) if each.digest == identity]:
            return min(same)
        with self._server.answers():
            with allowing("RESOURCE_ALREADY_EXISTS"):
                self._server.client.create_prompt(name)
            made = self._server.client.create_prompt_version(
                name, template, description=why, tags={DIGEST: identity, SETTINGS: written}
            )
        return int(made.version)

    def get(self, target: str, number: int) -> Prompt:
        """A version. Raises `Gone`."""
        name = self._name(target)
        what = f"version {number} of {name}"
        with self._server.answers(what):
            found = self._server.client.get_prompt_version(name, number)
        if found is None:
            raise Gone(f"MLflow has no {what}")
        return _prompt(target, found)

    def list(self, target: str) -> list[Prompt]:
        """All versions, newest first; those that were registered not by this class (in MLflow's UI) too."""
        versions, found = pages(self._server.client.search_prompt_versions, self._name(target), max_results=100), []
        with self._server.answers(), allowing("RESOURCE_DOES_NOT_EXIST"):
            found = [_prompt(target, version) for version in versions]
        aliases = self._registry.aliases(target)
        return [
            replace(each, aliases=tuple(sorted(name for name, at in aliases.items() if at == each.number)))
            for each in sorted(found, key=lambda each: -each.number)
        ]

    def latest(self, target: str) -> int | None:
        """The newest version's number; None where there is none."""
        return max((each.number for each in self.list(target)), default=None)

    def _name(self, target: str) -> str:
        if not target.startswith(PROMPT):
            raise ValueError(f"{target!r} is no prompt; a prompt's name begins with {PROMPT}")
        return self._server.name(target)


def _prompt(target: str, version: "PromptVersion") -> Prompt:
    """One that was registered in MLflow's UI has no settings: it is used with the defaults."""
    settings = json.loads(version.tags.get(SETTINGS, "{}"))
    return Prompt(
        thing=target,
        number=int(version.version),
        template=str(version.template),
        settings=settings,
        why=version.commit_message or "",
        digest=version.tags.get(DIGEST) or digest(str(version.template), settings),
    )
