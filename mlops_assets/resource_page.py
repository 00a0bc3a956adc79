"""What Dagster's page *Resources* shows of each resource: what it is for, and where it points.

Not `dagster.ConfigurableResource`, which makes an object anew of its fields for every step: these are made of the whole
of `resources.settings`, and share their connections. What the page shows is the same.
"""

from urllib.parse import urlsplit

import dagster as dg

from mlops_assets.release.rollout import Delivery
from resources.all import Resources
from resources.database import address


def shown(resources: Resources, delivery: Delivery) -> dict[str, dg.ResourceDefinition]:
    """The resources of the definitions, by the names that steps, sensors and schedules ask for."""
    chosen, registry = resources.settings, resources.registry
    data = {
        "MLOPS_REGISTRY_URL": chosen.registry,
        "MLOPS_DATA_REMOTE": registry.remote or "as the repository's own DVC configuration says",
    }
    database = {"MLOPS_POSTGRES_URL": f"{address(chosen)}/mlops, schema {chosen.schema_of('ledger')}"}
    all_of_them = {
        "registry": (
            registry,
            data,
            "Versions of data: tags of a Git repository, and the DVC remote with their files.",
        ),
        "compute": (resources.compute, {"MLOPS_RAY_URL": chosen.ray}, "Ray: jobs, with what their tier asks for."),
        "tracking": (
            resources.tracking,
            {"MLOPS_MLFLOW_URL": chosen.mlflow},
            "MLflow: runs, registered models, prompts.",
        ),
        "ledger": (resources.ledger, database, "Data versions, candidates with gate reports, releases and alerts."),
        "delivery": (delivery, {"MLOPS_SERVE_URL": chosen.serve}, "Ray Serve: endpoints, and what each answers with."),
    }
    return {name: _shown(*one) for name, one in all_of_them.items()}


def _shown(made: object, settings: dict[str, str], description: str) -> dg.ResourceDefinition:
    """A resource that is made already, with the settings that say where it points."""
    values = {name: _without_user(value) for name, value in settings.items()}

    def resource(_: dg.InitResourceContext) -> object:
        return made

    resource.__module__, resource.__name__ = type(made).__module__, type(made).__name__  # the type that the page names
    return dg.ResourceDefinition(resource, dg.Field(dict.fromkeys(values, str), default_value=values), description)


def _without_user(url: str) -> str:
    """A URL without user, password or token."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if parts.netloc else url
