"""A workload's parameters as the Dagster launchpad shows them, with variants and compute tier beside them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, get_origin

import dagster as dg
from pydantic import Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from resources.compute.capacity import described
from workloads.sdk.contract import TIERS, Parameters, Workload

TIER = "tier"
TierName = Literal[tuple(TIERS)]  # type: ignore[valid-type]
VARIANTS = "variants"  # the launchpad's field


@contextmanager
def allowed(what: str) -> Iterator[None]:
    """Raises dg.Failure, one sentence with field, value and bound, where what a launchpad was given is not allowed."""
    try:
        yield
    except ValidationError as error:
        wrong = [(".".join(map(str, one["loc"])), one["input"], one["msg"]) for one in error.errors(include_url=False)]
        said = "; ".join(f"{place} is {value!r}: {why[:1].lower()}{why[1:]}" for place, value, why in wrong)
        raise dg.Failure(f"{what}: {said}; launch it again with another value") from None


class LaunchpadConfig(dg.Config):
    """The `Config` of whatever a person launches: what its bounds refuse fails the step with a sentence."""

    def __init__(self, **values: Any) -> None:
        with allowed("the launchpad"):
            super().__init__(**values)


def launchpad(workload: Workload) -> type[LaunchpadConfig]:
    """The `Config` of a model's asset: the same fields, defaults, descriptions and bounds as the workload's parameters.

    Bounds are checked when the run starts, and written into the description, where a person sees them. With
    variants there is the choice among them besides, and a parameter left empty is each variant's own.
    The tier's default is the workload's own.
    """
    fields = fields_of(workload.parameters)
    if workload.variants:
        fields = {name: _left_open(*field) for name, field in fields.items()}
        names = list(workload.variants)
        fields[VARIANTS] = (list[str], Field(names, description=f"Which to train, of {', '.join(names)}."))
    fields[TIER] = tier_field(workload.tier)
    return create_model(f"{workload.parameters.__name__}Config", __base__=LaunchpadConfig, **fields)


def fields_of(parameters: type[Parameters]) -> dict[str, Any]:
    """Annotation and field of each parameter, with its bounds in its description."""
    return {name: (field.annotation, _described(field)) for name, field in parameters.model_fields.items()}


def tier_field(default: str) -> tuple[Any, Any]:
    """Annotation and field of a choice among the tiers, with what each asks for."""
    text = "; ".join(f"{name}: {described(tier)}" for name, tier in TIERS.items())
    return TierName, Field(default, description=f"What the job gets of the machine. {text}.")


def chosen(workload: Workload, config: dg.Config) -> tuple[dict[str, Parameters], str]:
    """The parameter sets, by variant, and the tier's name that a launchpad was given; raises as `parameter_sets`."""
    return parameter_sets(workload, config.model_dump(exclude={TIER})), getattr(config, TIER)


def parameter_sets(workload: Workload, asked: Mapping[str, Any]) -> dict[str, Parameters]:
    """What to train, by variant, as a launchpad's values ask; under an empty name where the workload has no variants.

    Raises:
        dg.Failure: a value is not what the workload's parameters allow, or a variant is asked for that there is not.
    """
    if not workload.variants:
        with allowed(workload.name):
            return {"": workload.parameters.model_validate(asked)}
    over = {name: value for name, value in asked.items() if name != VARIANTS and value is not None}
    chosen = list(dict.fromkeys(asked[VARIANTS]))
    if not chosen or not workload.variants.keys() >= set(chosen):
        what = ", ".join(repr(name) for name in chosen if name not in workload.variants) or "no variant"
        raise dg.Failure(f"{workload.name}: {what} is asked for; choose among {', '.join(workload.variants)}")
    with allowed(workload.name):
        return {name: workload.parameters.model_validate({**workload.variants[name], **over}) for name in chosen}


def _described(field: FieldInfo) -> FieldInfo:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [
        f"{sign} {getattr(rule, name)}"
        for rule in field.metadata
        for name, sign in signs.items()
        if getattr(rule, name, None) is not None
    ]
    text = " ".join(filter(None, [field.description, f"({', '.join(bounds)})" if bounds else ""]))
    return FieldInfo.merge_field_infos(field, description=text)


def _left_open(kind: Any, field: FieldInfo) -> tuple[Any, FieldInfo]:
    """A parameter that need not be given. Dagster knows no optional choice, so a choice is a text, checked later."""
    text = f"{field.description or ''} Empty: each variant's own.".strip()
    if get_origin(kind) is Literal:
        return str | None, FieldInfo(default=None, description=text)
    open_field: Any = FieldInfo.merge_field_infos(field, default=None, description=text)
    return kind | None, open_field
