"""`<application>/prompts` and `<application>/language_models`: the newest of each, entered as a candidate, and judged.

A prompt is registered in MLflow, by `mlops prompt register` or in its UI; the language model is what the settings name.
Both are judged by the answers that they lead to, on the newest version of the application's questions.
"""

from typing import Any

import dagster as dg
from pydantic import Field

from mlops_assets.assets.checks import results, specs
from mlops_assets.assets.errors import clean_errors
from mlops_assets.assets.launchpad import LaunchpadConfig
from mlops_assets.gates.application import questions
from mlops_assets.gates.evaluators import releasing
from mlops_assets.lineage.code import own_code
from mlops_assets.release.prompts import first, register, usable
from mlops_assets.release.registration import Provenance, register_component
from mlops_assets.release.rollout import Delivery
from mlops_assets.release.targets import ReleaseTarget, stage_key, targets_of
from resources.all import Resources
from resources.ledger import Candidate
from resources.registry.version import DataVersion
from resources.settings import Settings
from workloads.sdk.artifacts import digest_of
from workloads.sdk.contract.applications import EXTRACTIVE, Application


class PartConfig(LaunchpadConfig):
    """What a person asks for; left empty, the newest is judged."""

    number: int | None = Field(None, ge=1, description="Number of the registered prompt.")


def part(target: ReleaseTarget) -> dg.AssetsDefinition:
    """The asset of an application's prompts, or of its language models."""
    application = target.declared
    assert isinstance(application, Application)
    what = {"prompt": "prompts", "language_model": "language models"}[target.role]

    @dg.asset(
        key=target.made,
        group_name=application.name,
        description=f"The newest of {application.name}'s {what}, judged by the answers that it leads to.",
        deps=[dg.AssetDep(stage_key(application.name, "datasets"), partition_mapping=dg.LastPartitionMapping())],
        kinds={target.role.replace("_", ""), "mlflow"},
        owners=list(application.owners),
        code_version=own_code(application),
        check_specs=specs(application, target.made),
    )
    @clean_errors
    def judge(
        context: dg.AssetExecutionContext, config: PartConfig, delivery: dg.ResourceParam[Delivery]
    ) -> dg.MaterializeResult:
        resources = delivery.resources
        candidate = candidate_of(target, resources, context.run_id, config.number)
        data = questions(application, resources)
        context.log.info(f"{target.name} number {candidate.number} is judged on {data.tag}")
        mechanism = releasing(target, resources)
        report = mechanism.report(candidate)
        mechanism.aliases.project()
        # What answered when figures were taken: they say nothing of another.
        answerers = [check.evidence["answered by"] for check in report.checks if "answered by" in check.evidence]
        return dg.MaterializeResult(
            data_version=dg.DataVersion(candidate.digest),
            metadata={
                "verdict": report.verdict,
                "number": candidate.number,
                "questions": data.tag,
                **{name: str(value) for name, value in candidate.parameters.items()},
                **({"answered by": answerers[0]} if answerers else {}),
                "registered version": dg.MetadataValue.url(
                    resources.tracking.registry.url(target.name, candidate.number)
                ),
                "MLflow run": dg.MetadataValue.url(resources.tracking.runs.url(candidate.run_id)),
            },
            check_results=results(application, report, application.gates.on_inconclusive),
        )

    return judge


def candidate_of(target: ReleaseTarget, resources: Resources, run: str = "", number: int | None = None) -> Candidate:
    """The newest of a target, or the prompt of a number, as a candidate; entered where it is none yet.

    Raises:
        CannotRelease: there are no questions to judge it by, or the prompt cannot be used.
        resources.tracking.Gone: no prompt has this number.
    """
    application = target.declared
    assert isinstance(application, Application)
    data = questions(application, resources)
    for other in targets_of(application):  # a prompt needs a language model to be judged with, and that a prompt
        if other.name != target.name and not resources.ledger.candidates.newest(other.name):
            _enter(other, None, data, resources, run)
    return _enter(target, number, data, resources, run)


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


def unjudged(target: ReleaseTarget, resources: Resources) -> str | None:
    """What of a target was registered or configured since its newest candidate; None where nothing was."""
    newest = resources.ledger.candidates.newest(target.name)
    if newest is None:  # the first ones come with the first questions
        return None
    if target.role == "language_model":
        content = configured(resources.settings)
        return None if content == newest.parameters else digest_of(content)[:12]
    latest = resources.tracking.prompts.latest(target.name)
    return str(latest) if latest and latest > newest.number else None


def _enter(target: ReleaseTarget, number: int | None, data: DataVersion, resources: Resources, run: str) -> Candidate:
    """The candidate of a content: the one that there is, else a new one, first judged on this version of the data."""
    application = target.declared
    assert isinstance(application, Application)
    if target.role == "language_model":
        number, content = None, configured(resources.settings)
        shown = content
    else:
        prompts = resources.tracking.prompts
        if number is None and (number := prompts.latest(target.name)) is None:
            number = register(application, first(application), {}, "the application's own", resources)
        prompt = prompts.get(target.name, number)
        content = usable(application, prompt.template, prompt.settings)
        shown = {"template": digest_of(prompt.template)[:12], **content["settings"]}  # told where two are compared
    origin = Provenance.of(data, own_code(application), application.folder, run)
    return register_component(target, content, target.name, origin, resources, number=number, parameters=shown)
