"""`prompts/<application>` and `language_models/<application>`: the newest of each, entered as a candidate, and judged.

A prompt is registered in MLflow, by `mlops prompt register` or in its UI; the language model is what the settings name.
Both are judged by the answers that they lead to, on the newest version of the application's questions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
from pydantic import Field

from mlops_assets.bench import releasing
from mlops_assets.checks import results, specs
from mlops_assets.code import own_code, source
from mlops_assets.delivery import Delivery
from mlops_assets.entering import Origin, entered_part
from mlops_assets.part_bench import questions
from mlops_assets.plainly import plainly
from mlops_assets.prompts import first, register, usable
from mlops_assets.things import Thing, things_of
from resources.data_version import DataVersion
from resources.doors import Doors
from resources.ledger import Candidate
from resources.prompts import Prompts
from resources.settings import Settings
from workloads.artifacts import digest_of
from workloads.generative import EXTRACTIVE, Application


class PartConfig(dg.Config):
    """What a person asks for; left empty, the newest is judged."""

    number: int | None = Field(None, ge=1, description="Number of the registered prompt.")


@dataclass(frozen=True)
class Content:
    """What is registered of a part; `number` is what it has in the registry already, if it is kept there."""

    content: Mapping[str, Any]
    shown: Mapping[str, Any]  # what of it is told where two are compared
    number: int | None = None


def part(thing: Thing) -> dg.AssetsDefinition:
    """The asset of an application's prompts, or of its language models."""
    application = thing.declared
    assert isinstance(application, Application)
    what = {"prompt": "prompts", "language_model": "language models"}[thing.role]

    @dg.asset(
        key=thing.made,
        group_name=application.name,
        description=f"The newest of {application.name}'s {what}, judged by the answers that it leads to.",
        deps=[dg.AssetDep(["datasets", application.name], partition_mapping=dg.LastPartitionMapping())],
        kinds={thing.role.replace("_", ""), "mlflow"},
        owners=list(application.owners),
        code_version=own_code(application),
        check_specs=specs(application, thing.made),
    )
    @plainly
    def judge(
        context: dg.AssetExecutionContext, config: PartConfig, delivery: dg.ResourceParam[Delivery]
    ) -> dg.MaterializeResult:
        doors = delivery.doors
        candidate = candidate_of(thing, doors, context.run_id, config.number)
        data = questions(application, doors)
        context.log.info(f"{thing.name} number {candidate.number} is judged on {data.tag}")
        mechanism = releasing(thing, doors)
        report = mechanism.report(candidate)
        mechanism.project()
        return dg.MaterializeResult(
            data_version=dg.DataVersion(candidate.digest),
            metadata={
                "verdict": report.verdict,
                "number": candidate.number,
                "questions": data.tag,
                **{name: str(value) for name, value in candidate.parameters.items()},
                **answerer(report.checks),
                "registered version": dg.MetadataValue.url(doors.tracking.version_url(thing.name, candidate.number)),
                "MLflow run": dg.MetadataValue.url(doors.tracking.run_url(candidate.run_id)),
            },
            check_results=results(application, report, application.gates.on_inconclusive),
        )

    return judge


def candidate_of(thing: Thing, doors: Doors, run: str = "", number: int | None = None) -> Candidate:
    """The newest of a thing, or the prompt of a number, as a candidate; entered where it is none yet.

    Raises:
        CannotRelease: there are no questions to judge it by, or the prompt cannot be used.
        resources.tracking.NoSuchVersion: no prompt has this number.
    """
    application = thing.declared
    assert isinstance(application, Application)
    data = questions(application, doors)
    ready(thing, data, doors, run)
    return enter(thing, _content(thing, doors, number), data, doors, run)


def answerer(checks: Any) -> dict[str, str]:
    """What answered when figures were taken: they say nothing of another."""
    said = next((check.evidence["answered by"] for check in checks if "answered by" in check.evidence), None)
    return {"answered by": said} if said else {}


def ready(thing: Thing, data: DataVersion, doors: Doors, run: str) -> None:
    """See that a prompt has a language model to be judged with, and the other way round, before any is released."""
    for other in things_of(thing.declared):
        if other.name != thing.name and not doors.ledger.candidates(other.name):
            enter(other, _content(other, doors, None), data, doors, run)


def configured(settings: Settings) -> dict[str, Any]:
    """The language model that the settings name: what its part holds."""
    if settings.language_model is None:
        return {"provider": EXTRACTIVE, "model": None, "url": None, "temperature": None}
    return {
        "provider": "openai",
        "model": settings.language_model,
        "url": settings.language_model_url,
        "temperature": settings.language_model_temperature,
    }


def enter(thing: Thing, what: Content, data: DataVersion, doors: Doors, run: str) -> Candidate:
    """The candidate of a content: the one that there is, else a new one, first judged on this version of the data."""
    application = thing.declared
    origin = Origin.of(data, own_code(application), source(application.folder), run)
    said = {"number": what.number, "parameters": dict(what.shown)}
    return entered_part(thing, what.content, thing.name, origin, doors, **said)


def unjudged(thing: Thing, doors: Doors) -> str | None:
    """What of a thing was registered or configured since its newest candidate; None where nothing was."""
    candidates = doors.ledger.candidates(thing.name)
    if not candidates:  # the first ones come with the first questions
        return None
    if thing.role == "language_model":
        content = configured(doors.settings)
        return None if content == candidates[-1].parameters else digest_of(content)[:12]
    latest = Prompts(doors.tracking).latest(thing.name)
    return str(latest) if latest and latest > candidates[-1].number else None


def _content(thing: Thing, doors: Doors, number: int | None) -> Content:
    if thing.role == "language_model":
        return _content_of_settings(doors.settings)
    assert isinstance(thing.declared, Application)
    prompts = Prompts(doors.tracking)
    if number is None and (number := prompts.latest(thing.name)) is None:
        number = register(thing.declared, first(thing.declared), {}, "the application's own", doors)
    prompt = prompts.get(thing.name, number)
    content = usable(thing.declared, prompt.template, prompt.settings)
    shown = {"template": digest_of(prompt.template)[:12], **content["settings"]}
    return Content(content, shown, number)


def _content_of_settings(settings: Settings) -> Content:
    content = configured(settings)
    return Content(content, content)
