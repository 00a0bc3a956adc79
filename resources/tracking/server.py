"""How MLflow's server is reached, and what its failures are called.

Global state of MLflow (active run, tracking URI) is not used, so any number of models may be tracked in one process.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from resources.settings import Settings
from workloads.sdk.errors import PlatformError, Unavailable

if TYPE_CHECKING:
    from mlflow import MlflowClient

LONGEST = 5000  # characters of a tag or parameter
# A server that is away is told from a slow one within some ten seconds; MLflow's own defaults take many minutes.
DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # commands answer there, some of them in JSON
}


class TrackingUnavailable(Unavailable):
    """MLflow does not answer; the message says where and what to do."""


class Gone(PlatformError):
    """A version or a run is gone from MLflow."""


class Server:
    """The server, with the names of one environment."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def client(self) -> "MlflowClient":
        """MLflow's own client, for what the methods below do not cover (reading)."""
        for name, value in DEFAULTS.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        return MlflowClient(self.settings.mlflow, self.settings.mlflow)

    def name(self, target: str) -> str:
        """A target's name in the registry. Raises ValueError for what cannot be one's."""
        if not re.fullmatch(r"[a-z0-9_]+(/[a-z0-9_]+)?", target):
            raise ValueError(f"{target!r} is not the name of a thing: lower-case letters, digits and underscores")
        return self.settings.qualified(target.replace("/", "."))  # the registry's names hold no slash

    @contextmanager
    def answers(self, what: str = "") -> Iterator[None]:
        """Name the two ways in which MLflow fails that somebody can do something about."""
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            if what and error.error_code == "RESOURCE_DOES_NOT_EXIST":
                raise Gone(f"MLflow has no {what} any more") from None
            if str(error).startswith(("API request to", "Failed to connect", "Response")):
                mend = "check MLOPS_MLFLOW_URL" if self.settings.mlflow_url else "run `mlops up`"
                address = urlsplit(self.settings.mlflow)
                server = f"{address.scheme}://{address.hostname}:{address.port or ''}".rstrip(":")
                raise TrackingUnavailable(f"MLflow does not answer on {server}; {mend}") from None
            raise


@contextmanager
def allowing(code: str) -> Iterator[None]:
    """Go on where MLflow refuses with this code, as where another process was quicker."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code != code:
            raise


def pages(search: Callable[..., Any], *arguments: Any, **named: Any) -> Iterator[Any]:
    """All that one of the client's searches finds, page after page."""
    token: str | None = ""
    while token is not None:
        page = search(*arguments, page_token=token or None, **named)
        yield from page
        token = page.token or None


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value)[:LONGEST] for name, value in values.items()}
