"""Ray Serve's REST API: which applications run, and which shall run."""

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from resources import http
from resources.files import write_atomically
from resources.settings import Settings
from workloads.sdk.errors import PlatformError, Unavailable

APPLICATIONS = "/api/serve/applications/"
IMPORT_PATH = "workloads.sdk.serving.app:build"  # of every endpoint


def remembered(settings: Settings) -> Path:
    """The applications that were last asked for, as JSON."""
    return settings.home / "serve-applications.json"


def recall(settings: Settings) -> list[dict[str, Any]]:
    """What is remembered; an endpoint is built by the code of today, in this home, wherever both lay before."""
    try:
        applications = json.loads(remembered(settings).read_text())
    except (OSError, ValueError):
        return []
    return [_of_today(one, settings) if "endpoint" in one.get("args", {}) else one for one in applications]


def place_of(package: str) -> Path | None:
    """Folder that holds the top package of a package, to import it from; None where it cannot be found."""
    spec = find_spec(package.partition(".")[0])
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]).parent if places else None


def connection_file(settings: Settings, env: str) -> Path:
    """Secrets for the replicas of an environment, in a file: arguments of applications are shown in the dashboard."""
    return settings.home / env / "serving" / "connection.json"


def _of_today(application: dict[str, Any], settings: Settings) -> dict[str, Any]:
    known, connection = application["args"], connection_file(settings, application["name"].partition(".")[0])
    paths = [path for path in known.get("paths", ()) if Path(path).is_dir()] or [str(place_of(known["package"]) or "")]
    args = {**known, "connection": str(connection), "state": str(connection.parent), "paths": paths}
    return {**application, "import_path": IMPORT_PATH, "args": args}


class ServingUnavailable(Unavailable):
    """Ray Serve does not answer; the message says where and what to do."""


class NotServed(PlatformError):
    """An application does not run, or does not end; the message holds Serve's own reason."""


class ServeApi:
    """Every method raises `ServingUnavailable` where Ray does not answer or refuses."""

    def __init__(self, settings: Settings):
        self.settings = settings

    def applications(self) -> dict[str, Any]:
        """Serve's word on each application, by name."""
        return self._ask("GET")["applications"]

    def put(self, applications: Mapping[str, Mapping[str, Any]]) -> None:
        """All applications together, which is how Serve takes them. Where Serve does not run yet, this starts it."""
        listens = {"host": "127.0.0.1", "port": self.settings.serve_port}
        body = {"proxy_location": "HeadOnly", "http_options": listens, "applications": list(applications.values())}
        self._ask("PUT", body)
        if self.settings.ray_url is None:  # a Ray of our own forgets them when it ends; `mlops up` gives them back
            write_atomically(remembered(self.settings), json.dumps(body["applications"]))

    def answers(self, route: str) -> bool:
        """Whether the HTTP proxy leads to the endpoint; it learns of a new one a little later than Serve says so."""
        try:
            answer = http.send("GET", f"{self.settings.serve}{route}/")
        except http.NoAnswer:
            return False
        return answer.is_success and answer.headers.get("Content-Type", "").startswith("application/json")

    def _ask(self, method: str, body: Mapping[str, Any] | None = None) -> Any:
        try:
            answer = http.send(method, self.settings.ray + APPLICATIONS, self.settings.ray_token, 60, body)
        except http.NoAnswer as error:
            mend = "check MLOPS_RAY_URL" if self.settings.ray_url else "run `mlops up`"
            raise ServingUnavailable(f"Ray does not answer on {self.settings.ray} ({error}); {mend}") from None
        if answer.is_error:
            reason, status = answer.text[:2000].strip(), answer.status_code
            raise ServingUnavailable(f"Ray Serve on {self.settings.ray} refuses ({status}): {reason}")
        return json.loads(answer.content or b"null")
