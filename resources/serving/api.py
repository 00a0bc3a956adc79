"""Ray Serve's REST API, by the standard library: which applications run, and which shall run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import OpenerDirector, ProxyHandler, Request, build_opener

from resources.settings import Settings
from workloads.sdk.errors import PlatformError

APPLICATIONS = "/api/serve/applications/"
IMPORT_PATH = "workloads.sdk.serving.app:build"  # of every endpoint


def remembered(settings: Settings) -> Path:
    """The applications that were last asked for, as JSON."""
    return settings.home / "serve-applications.json"


def recall(settings: Settings) -> list[dict[str, Any]]:
    """What is remembered; an endpoint is built by the code of today, wherever it lay when that was written."""
    try:
        applications = json.loads(remembered(settings).read_text())
    except (OSError, ValueError):
        return []
    ours = {"import_path": IMPORT_PATH}
    return [one | ours if "endpoint" in one.get("args", {}) else one for one in applications]


class ServingUnavailable(PlatformError):
    """Ray Serve does not answer, or an application does not run; the message says which and what to do."""


class ServeApi:
    """Every method raises `ServingUnavailable` where Ray does not answer or refuses."""

    def __init__(self, settings: Settings):
        self.settings = settings

    def applications(self) -> dict[str, Any]:
        """Serve's word on each application, by name."""
        return self._ask("GET")["applications"]

    def put(self, applications: Mapping[str, Mapping[str, Any]]) -> None:
        """All applications together, which is how Serve takes them. Where Serve does not run yet, this starts it."""
        http = {"host": "127.0.0.1", "port": self.settings.serve_port}
        body = {"proxy_location": "HeadOnly", "http_options": http, "applications": list(applications.values())}
        self._ask("PUT", body)
        if self.settings.ray_url is None:  # a Ray of our own forgets them when it ends; `mlops up` gives them back
            file = remembered(self.settings)
            part = file.with_suffix(".part")
            part.write_text(json.dumps(body["applications"]))
            part.replace(file)

    def answers(self, route: str) -> bool:
        """Whether the HTTP proxy leads to the endpoint; it learns of a new one a little later than Serve says so."""
        try:
            with _opener(self.settings.serve_url).open(f"{self.settings.serve}{route}/", timeout=5) as response:
                return response.headers.get_content_type() == "application/json"
        except OSError:  # refusals by HTTP status among them
            return False

    def _ask(self, method: str, body: Mapping[str, Any] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.settings.ray_token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.settings.ray + APPLICATIONS, data, headers, method=method)  # noqa: S310
        try:
            with _opener(self.settings.ray_url).open(request, timeout=60) as response:
                return json.loads(response.read() or b"null")
        except HTTPError as error:
            reason = error.read(2000).decode(errors="replace").strip()
            raise ServingUnavailable(f"Ray Serve on {self.settings.ray} refuses ({error.code}): {reason}") from None
        except (URLError, OSError) as error:
            mend = "check MLOPS_RAY_URL" if self.settings.ray_url else "run `mlops up`"
            raise ServingUnavailable(f"Ray does not answer on {self.settings.ray} ({error}); {mend}") from None


def _opener(external: str | None) -> OpenerDirector:
    """What is on this machine is never reached through an HTTP proxy of the environment."""
    return build_opener() if external else build_opener(ProxyHandler({}))
