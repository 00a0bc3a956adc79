"""Ray Serve on the platform's Ray: started by Ray's REST API, with the endpoints that ran when Ray ended."""

import json
import time
from pathlib import Path

import psutil

from resources.embedded import haproxy
from resources.embedded.part import Part, PartFailed
from resources.embedded.process import command_of
from resources.embedded.ray import Ray
from resources.files import write_atomically
from resources.http import request
from resources.serving.api import APPLICATIONS, ServeApi, recall
from resources.settings import Settings

PROXY = {"-db", "ray::ProxyActor"}  # in the command line of HAProxy as Ray starts it, and of Ray's own proxy
TAKEN = "Address already in use"  # HAProxy's words


class Serve(Part):
    """Ray Serve: controller and HTTP proxy. Its processes are Ray's."""

    name, title, after, seconds = "serve", "Ray Serve", ("ray",), 90
    elsewhere, listens = ("serve_url", "ray_url"), ("serve_port",)

    def running(self) -> bool:
        return self._status().get("controller_info", {}).get("actor_id") is not None

    def core(self) -> list[psutil.Process]:
        """What answers on its port."""
        return [process for process in Ray(self.settings).processes() if PROXY & set(command_of(process))]

    def processes(self) -> list[psutil.Process]:
        return []  # counted as Ray's

    def fault(self) -> str | None:
        status, _ = request(f"{self.address}/-/routes", timeout=2)
        # 503 is its answer while no endpoint is deployed.
        return None if status in (200, 503) else f"Ray Serve does not answer on {self.address}"

    def recover(self) -> bool:
        return haproxy.stand_in(self.settings, Ray(self.settings).processes()) and self._answers_within(10)

    def start(self) -> None:
        if self.running() and not self._answers_within(30):
            # Its controller lives and nothing is served: Ray shuts it down, and it starts anew.
            request(self._api, token=self.settings.ray_token, timeout=60, method="DELETE")
        try:
            super().start()
        except PartFailed as failed:
            # The proxy's inner ports stand in Ray's environment, and a stranger may have taken one since. For nothing
            # else is Ray restarted: trainings run on it.
            if TAKEN not in str(failed) or f":{self.settings.serve_port}]" in str(failed):
                raise
            ray = Ray(self.settings)
            ray.stop()
            ray.start()
            super().start()

    def launch(self) -> None:
        # The dashboard answers some seconds before its Serve module does.
        deadline, applications = time.monotonic() + 30, recall(self.settings)
        for file in {one["args"]["connection"] for one in applications if "connection" in one.get("args", {})}:
            write_atomically(Path(file), json.dumps(self.settings.secrets()))  # a secret, or the home, may be another
        while (answer := self._put(applications))[0] != 200:
            status, text = answer
            if 400 <= status < 500:
                applications = []  # what was remembered is not understood any more: endpoints are deployed anew
            if time.monotonic() > deadline:
                reason = text.decode(errors="replace")[-300:]
                raise PartFailed(f"Ray refuses to start Serve (status {status}): {reason}")
            time.sleep(0.2)
        while self._deploying() and time.monotonic() < deadline + 60:
            time.sleep(0.2)

    def _put(self, applications: list[dict]) -> tuple[int, bytes]:
        http = {"host": "127.0.0.1", "port": self.settings.serve_port}
        body = {"proxy_location": "HeadOnly", "http_options": http, "applications": applications}
        return request(self._api, token=self.settings.ray_token, timeout=60, method="PUT", body=body)

    def _deploying(self) -> bool:
        applications = self._status().get("applications", {}).values()
        return any(one["status"] in ("NOT_STARTED", "DEPLOYING") for one in applications)

    def last_words(self) -> str:
        folder = Ray(self.settings).logs
        logs = sorted((folder / "serve").glob("proxy_*.log"), key=lambda file: file.stat().st_mtime)
        if not logs:
            return f"its proxy was never started; see the logs in {folder}"
        lines = logs[-1].read_text(errors="replace").splitlines()
        told = [line for line in lines if "[ALERT]" in line or "Error" in line] or lines
        return f"{logs[-1]} ends with:\n" + "\n".join(told[-5:])

    def stop(self) -> None:
        """Nothing: it ends with Ray."""

    @property
    def _api(self) -> str:
        return self.settings.ray + APPLICATIONS

    def _status(self) -> dict:
        status, text = request(self._api, token=self.settings.ray_token)
        return json.loads(text) if status == 200 else {}


def silent(settings: Settings) -> dict[str, str]:
    """One sentence for each endpoint of this Serve that was deployed and does not answer, by its address."""
    api = ServeApi(settings)
    routes = [one["route_prefix"] for one in recall(settings)] if settings.ray_url is None else []
    dumb = [route for route in routes if not api.answers(route)]
    return {route: f"the endpoint {settings.serve}{route} does not answer" for route in dumb}
