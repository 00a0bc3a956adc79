"""A workload's parameters as the Dagster launchpad shows them."""

from typing import Any

import dagster as dg
from pydantic import create_model
from pydantic.fields import FieldInfo

from workloads.contract import Workload


def launchpad(workload: Workload) -> type[dg.Config]:
    """The `Config` of a model's asset: the same fields, defaults, descriptions and bounds as the workload's parameters.

    Bounds are checked again when the run starts, and written into the description, where a person sees them.
    """
    fields: dict[str, Any] = {
        name: (field.annotation, _described(field)) for name, field in workload.parameters.model_fields.items()
    }
    return create_model(f"{workload.parameters.__name__}Config", __base__=dg.Config, **fields)


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
