"""Every setting of the platform, typed, in one place; the only module that reads the environment.

Each field is set by `MLOPS_<NAME>` (for example `MLOPS_SERVE_PORT=9000`). A service whose URL is set is
external: `mlops up` does not start it, and uses it instead of its own.
"""

import re
import secrets
import sys
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from resources.files import write_atomically
from workloads.sdk.errors import PlatformError

REPOSITORY = Path(__file__).resolve().parent.parent  # or where the packages are installed
CHECKOUT = (REPOSITORY / "pyproject.toml").is_file()
FOLDER = REPOSITORY if CHECKOUT else Path.cwd()  # an installed copy keeps nothing beside itself
PORTS = (
    "dagster_port",
    "mlflow_port",
    "ray_dashboard_port",
    "serve_port",
    "playground_port",
    "postgres_port",
    "ray_port",
)


class EmptySecret(PlatformError):
    """A file that holds a secret holds none."""


class Settings(BaseSettings):
    """What a person may choose; everything else is derived below."""

    model_config = SettingsConfigDict(env_prefix="MLOPS_", frozen=True, extra="ignore")

    home: Path = Field(FOLDER / ".mlops", description="All local state; deleting it resets the platform.")
    workloads: Path = Field(
        REPOSITORY / "workloads", description="Folder of the workloads that the command line works on."
    )
    env: str = Field("dev", description="Environment: prefix of registered models, endpoints, schemas and paths.")

    # Ports of the embedded services, all on loopback.
    ports: int | None = Field(
        None,
        ge=1024,
        le=65500,
        description="First of the platform's ports, one after the other in place of those below: a second platform on "
        "one machine needs no more, such as MLOPS_PORTS=9000.",
    )
    postgres_port: int = Field(5433, ge=1024, le=65535, description="Embedded PostgreSQL.")
    mlflow_port: int = Field(5001, ge=1024, le=65535, description="Embedded MLflow server.")
    ray_port: int = Field(6380, ge=1024, le=65535, description="Embedded Ray: its control store (GCS).")
    ray_dashboard_port: int = Field(8265, ge=1024, le=65535, description="Embedded Ray: dashboard and job API.")
    serve_port: int = Field(8000, ge=1024, le=65535, description="HTTP port of all endpoints (Ray Serve).")
    dagster_port: int = Field(3000, ge=1024, le=65535, description="Dagster webserver.")
    playground_port: int = Field(8501, ge=1024, le=65535, description="Playground: the page to try endpoints on.")

    # External services: one URL each; None means the embedded one.
    postgres_url: str | None = Field(
        None,
        description="postgresql://user:password@host:port of an external server with pgvector; the databases "
        "`dagster`, `mlflow` and `mlops` on it are used, and created where the user may.",
    )
    mlflow_url: str | None = Field(None, description="http(s):// address of an external MLflow server.")
    ray_url: str | None = Field(
        None, description="http(s):// address of an external Ray dashboard (job and Serve API)."
    )
    serve_url: str | None = Field(None, description="http(s):// address under which an external Serve answers.")
    registry_url: str | None = Field(None, description="Git URL of an external data registry.")
    data_remote: str | None = Field(None, description="URL of the DVC remote (s3://, gs://, a directory).")
    artifacts_url: str | None = Field(None, description="URL under which MLflow stores artifacts (s3://, a directory).")

    # The language model of applications; none: they answer extractively.
    language_model_url: str | None = Field(
        None, description="http(s):// address of an OpenAI-compatible service, such as http://127.0.0.1:8080/v1."
    )
    language_model: str | None = Field(None, description="Name of the language model to ask that service for.")
    language_model_temperature: float = Field(0.0, ge=0, le=2, description="Temperature of the language model.")
    language_model_key: str | None = Field(
        None,
        repr=False,
        description="Key of that service; else the file `secrets/language-model-key` under home, if there is one.",
    )

    # A language model that gives opinions of answers in evaluations; none: nobody does.
    judge_model_url: str | None = Field(None, description="Address of the judge's service, as language_model_url.")
    judge_model: str | None = Field(None, description="Name of the judge model; not the one that answers.")
    judge_model_key: str | None = Field(
        None, repr=False, description="Key of that service; else the file `secrets/judge-model-key` under home."
    )

    http_proxy: Literal["haproxy", "python"] = Field(
        "haproxy" if sys.platform == "linux" else "python",
        description="Ray Serve's HTTP proxy: HAProxy is some ten times faster, and Linux only.",
    )
    cors_origins: str = Field(
        "",
        description="Origins (such as https://app.example.org), comma between, whose pages may ask endpoints by a "
        "browser (CORS); * is all, and by default there are none.",
    )
    replicas: int = Field(1, ge=1, description="Replicas of each endpoint whose declaration does not say how many.")
    log_inputs: Literal["all", "sample", "none"] = Field(
        "all", description="Which requests' inputs the prediction log keeps."
    )
    log_sample: float = Field(
        0.1, ge=0, le=1, description="Share of requests whose inputs are kept with log_inputs=sample."
    )
    log_retention_days: int = Field(30, ge=1, description="Days after which the prediction log's rows are deleted.")
    data_tags_seconds: int = Field(30, ge=1, description="Interval of the data_tags sensor.")
    registry_seconds: int = Field(30, ge=1, description="Interval of the registry sensor.")
    placement_seconds: int = Field(60, ge=1, description="How long a training job may wait for room before it fails.")

    @model_validator(mode="before")
    @classmethod
    def _ports_follow_each_other(cls, values: dict[str, Any]) -> dict[str, Any]:
        first = str(values.get("ports") or "")
        following = {name: int(first) + index for index, name in enumerate(PORTS)} if first.isdecimal() else {}
        return following | values  # one that is set by itself stays

    @field_validator("env")
    @classmethod
    def _env_is_a_word(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9]{0,15}", value):
            raise ValueError("an environment is a lower-case word such as dev, ci or prod")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins_are_origins(cls, value: str) -> str:
        for origin in value.replace(",", " ").split():
            if not re.fullmatch(r"\*|https?://[^/@\s]+", origin):
                raise ValueError(f"{origin} is no origin: write * or http(s)://host:port, without a path")
        return value

    @field_validator("language_model_url", "judge_model_url")
    @classmethod
    def _service_is_an_address(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"https?://[^@\s]+$", value):
            raise ValueError("write http:// or https:// and the address, without user and password or key")
        return value

    @model_validator(mode="after")
    def _a_language_model_has_name_and_address(self) -> Self:
        if (self.language_model_url is None) != (self.language_model is None):
            raise ValueError("MLOPS_LANGUAGE_MODEL_URL and MLOPS_LANGUAGE_MODEL belong together: set both, or none")
        if (self.judge_model_url is None) != (self.judge_model is None):
            raise ValueError("MLOPS_JUDGE_MODEL_URL and MLOPS_JUDGE_MODEL belong together: set both, or none")
        return self

    @field_validator("home", "workloads")
    @classmethod
    def _folder_is_absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    # Derived: addresses.

    @property
    def external(self) -> list[str]:
        """Names of the settings that point outside this machine's own platform."""
        urls = ("postgres_url", "mlflow_url", "ray_url", "serve_url", "registry_url", "data_remote", "artifacts_url")
        return [name for name in urls if getattr(self, name) is not None]

    def database(self, name: Literal["dagster", "mlflow", "mlops", "postgres"]) -> str:
        """`postgresql://` URL of one of the platform's databases; each environment has a Dagster of its own."""
        base = self.postgres_url or f"postgresql://mlops:{self.postgres_password}@127.0.0.1:{self.postgres_port}"
        own = f"_{self.env}" if name == "dagster" and self.env != "dev" else ""
        return f"{base.rstrip('/')}/{name}{own}"

    @property
    def mlflow(self) -> str:
        return self.mlflow_url or f"http://127.0.0.1:{self.mlflow_port}"

    @property
    def ray(self) -> str:
        """Address of Ray's dashboard: job API and Serve REST API."""
        return self.ray_url or f"http://127.0.0.1:{self.ray_dashboard_port}"

    @property
    def serve(self) -> str:
        return self.serve_url or f"http://127.0.0.1:{self.serve_port}"

    @property
    def dagster(self) -> str:
        return f"http://127.0.0.1:{self.dagster_port}"

    @property
    def playground(self) -> str:
        return f"http://127.0.0.1:{self.playground_port}"

    @property
    def registry(self) -> str:
        """Git URL of the data registry."""
        return self.registry_url or str(self.home / "data-registry")

    # Derived: names that carry the environment.

    def qualified(self, target: str) -> str:
        """The environment's name of a target: `dev.wine`. Used for registered models and Serve applications."""
        return f"{self.env}.{target}"

    def schema_of(self, part: Literal["ledger", "predictions", "vectors"]) -> str:
        """Schema of the database `mlops` that holds one part of this environment's facts."""
        return f"{self.env}_{part}"

    def route(self, workload: str) -> str:
        """URL path of an endpoint. The default environment has no prefix in URLs."""
        return f"/{workload}" if self.env == "dev" else f"/{self.env}/{workload}"

    def path(self, *parts: str) -> Path:
        """A folder or file of this environment under home."""
        return self.home.joinpath(self.env, *parts)

    # Derived: secrets, generated once and readable by this user only.

    @cached_property
    def postgres_password(self) -> str:
        return self._secret("postgres-password", self.home / "postgres" / "data")

    @cached_property
    def ray_token(self) -> str:
        return self._secret("ray-token")

    @cached_property
    def admin_key(self) -> str:
        """What `Authorization: Bearer` must say at the endpoints' admin routes."""
        return self._secret("admin-key")

    def secrets(self) -> dict[str, str]:
        """What endpoints and evaluations are told by `Services.secret`; nobody else is."""
        known = {"database": self.database("mlops"), "admin_key": self.admin_key}
        for name in ("language_model_key", "judge_model_key"):
            file = self.home / "secrets" / name.replace("_", "-")
            if key := getattr(self, name) or (file.read_text().strip() if file.is_file() else ""):
                known[name] = key
        return known

    def _secret(self, name: str, known_by: Path | None = None) -> str:
        """A secret, made where there is none. Raises EmptySecret where `known_by` exists, and nothing is left of it."""
        file = self.home / "secrets" / name
        if not file.exists() or not file.read_text().strip():
            if known_by is not None and known_by.exists():
                raise EmptySecret(
                    f"{file} is empty or gone, and {known_by} knows what it held; `mlops down` and `mlops up` renew it"
                )
            file.unlink(missing_ok=True)
        write_atomically(file, secrets.token_urlsafe(32), keep=True)
        return file.read_text().strip()


@lru_cache
def settings() -> Settings:
    """The settings of this process."""
    return Settings()
