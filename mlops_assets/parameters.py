"""A workload's parameters as the Dagster launchpad shows them, and beside them the compute tier."""

from typing import Any, Literal

import dagster as dg
from pydantic import Field, create_model
from pydantic.fields import FieldInfo

from resources.compute_tiers import described
from workloads.contract import TIERS, Parameters, Workload

TIER = "tier"
TierName = Literal[tuple(TIERS)]  # type: ignore[valid-type]


def launchpad(workload: Workload) -> type[dg.Config]:
    """The `Config` of a model's asset: the same fields, defaults, descriptions and bounds as the workload's parameters.

    Bounds are checked again when the run starts, and written into the description, where a person sees them.
    The tier's default is the workload's own.
    """
    fields: dict[str, Any] = {
        name: (field.annotation, _described(field)) for name, field in workload.parameters.model_fields.items()
    }
    fields[TIER] = tier_field(workload.tier)
    return create_model(f"{workload.parameters.__name__}Config", __base__=dg.Config, **fields)


def tier_field(default: str) -> tuple[Any, Any]:
    """Annotation and field of a choice among the tiers, with what each asks for."""
    text = "; ".join(f"{name}: {described(tier)}" for name, tier in TIERS.items())
    return TierName, Field(default, description=f"What the job gets of the machine. {text}.")


def chosen(workload: Workload, config: dg.Config) -> tuple[Parameters, str]:
    """The parameters and the tier's name that a launchpad was given.

    Raises:
        pydantic.ValidationError: a parameter is out of its bounds.
    """
    return workload.parameters.model_validate(config.model_dump(exclude={TIER})), getattr(config, TIER)


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
