"""A prompt of an application: what it must hold to be usable, and how it is registered."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from mlops_assets.release.mechanism import CannotRelease
from resources.all import Resources
from workloads.sdk.contract.applications import Application


def usable(application: Application, template: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What an application needs of a prompt: its `template`, and all `settings`, defaults included.

    Raises:
        CannotRelease: a placeholder or a setting is missing or wrong; names it.
    """
    try:
        application.resolve(application.check)(template)
        chosen = application.settings.model_validate(dict(settings))
    except ValidationError as error:
        known = ", ".join(application.settings.model_fields)
        said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg'].lower()}" for one in error.errors())
        raise CannotRelease(f"the prompt's settings are wrong: {said} (settings: {known})") from None
    except ValueError as error:
        raise CannotRelease(str(error)) from None
    return {"template": template, "settings": chosen.model_dump(mode="json")}


def register(
    application: Application, template: str, settings: Mapping[str, Any], why: str, resources: Resources
) -> int:
    """The number of the version that holds this template with these settings.

    Raises:
        CannotRelease: it cannot be used; nothing was registered.
    """
    content = usable(application, template, settings)
    return resources.tracking.prompts.register(
        application.things()["prompt"], content["template"], content["settings"], why
    )


def first(application: Application) -> str:
    """The template beside the declaration."""
    return (application.folder / application.prompt).read_text(encoding="utf-8")
