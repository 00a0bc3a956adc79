"""Jobs on Ray, by the REST API of its dashboard: the documented job API, and the state API for what there is room for.

Plain HTTP, because importing Ray's client costs every run process more than a second. Every request may be repeated:
jobs have names of our own, so a submission whose answer was lost is recognized.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http.client import HTTPException
from typing import Any, Literal
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from resources.compute.capacity import Capacity
from resources.settings import Settings
from workloads.sdk.errors import PlatformError

REQUEST_SECONDS = 20  # for one answer
PATIENCE = 3.0  # seconds, while Ray does not answer at all
STARTING = 45.0  # seconds, while it answers that it cannot yet


class ComputeUnavailable(PlatformError):
    """Ray does not answer, or refuses us."""


class State(StrEnum):
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    STOPPED = "STOPPED"
    UNKNOWN = "UNKNOWN"  # there is no such job, or no longer

    @property
    def live(self) -> bool:
        return self in (State.PENDING, State.RUNNING)


@dataclass(frozen=True)
class Status:
    """Where a job stands; `message` is one sentence, `exit_code` that of its program where it ended by itself."""

    state: State
    message: str = ""
    exit_code: int | None = None


class RayJobs:
    """The jobs of one Ray cluster. Every method may raise `ComputeUnavailable`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def submit(self, name: str, command: str, env: Mapping[str, str], resources: Mapping[str, float]) -> None:
        """Start `command` (a shell line) as the job `name`; nothing happens where that job exists already.

        `resources` is what it takes while it runs (CPU, GPU, memory in bytes).
        """
        request = {
            "entrypoint": command,
            "submission_id": name,
            "runtime_env": {"env_vars": dict(env)},
            "entrypoint_num_cpus": resources.get("CPU", 0),
            "entrypoint_num_gpus": resources.get("GPU", 0),
            "entrypoint_memory": int(resources.get("memory", 0)),
        }
        self._call("POST", "/api/jobs/", request, exists="already exists")

    def status(self, name: str, patience: float = PATIENCE) -> Status:
        """Where the job stands. `patience`: seconds that Ray may be away."""
        found = self._call("GET", f"/api/jobs/{quote(name)}", patience=patience)
        if found is None:
            return Status(State.UNKNOWN, f"Ray knows no job {name}")
        message = (found["message"] or "").strip().split("\n")[0]
        return Status(State(found["status"]), message, found.get("driver_exit_code"))

    def output(self, name: str) -> str | None:
        """All that the job has printed so far; None where it cannot be read now."""
        try:
            found = self._call("GET", f"/api/jobs/{quote(name)}/logs", patience=2, starting=2)
        except ComputeUnavailable:
            return None
        return found["logs"] if found else None

    def stop(self, name: str) -> None:
        """Ask the job to end (SIGTERM, and SIGKILL 3 s later); returns at once, and does nothing where it has ended."""
        self._call("POST", f"/api/jobs/{quote(name)}/stop")

    def capacity(self) -> Capacity:
        begun = time.monotonic()
        while not (nodes := self._state("nodes", state="ALIVE")) and time.monotonic() - begun < STARTING:
            time.sleep(0.5)
        if not nodes:
            raise ComputeUnavailable(f"Ray at {self._settings.ray} has no node; run `mlops up`")
        # Added up from what runs: Ray itself reports it only with its autoscaler, which a laptop does without.
        taken = [
            *((actor["node_id"], actor["required_resources"]) for actor in self._state("actors", state="ALIVE")),
            *(
                (task["node_id"], task["required_resources"])
                for task in self._state("tasks", state="RUNNING", type="NORMAL_TASK")
            ),
            *(
                (part["node_id"], part["unit_resources"])
                for group in self._state("placement_groups", state="CREATED")
                for part in group["bundles"]
            ),
        ]
        free = {node["node_id"]: dict(node["resources_total"]) for node in nodes}
        for place, resources in taken:
            for resource, value in (resources or {}).items():
                if resource in free.get(place, {}):  # what stands in a placement group has names of its own
                    free[place][resource] -= value
        return Capacity(nodes=[node["resources_total"] for node in nodes], free=list(free.values()))

    def waiting(self, name: str) -> bool | None:
        """Whether what a running job asked for (placement groups) waits for room; None where it asks for none."""
        driver = (self._call("GET", f"/api/jobs/{quote(name)}") or {}).get("job_id")
        if not driver:
            return None
        states = {group["state"] for group in self._state("placement_groups", creator_job_id=driver)}
        if "CREATED" in states:
            return False
        return True if states & {"PENDING", "RESCHEDULING"} else None

    def _state(self, kind: str, **equal: str) -> list[dict[str, Any]]:
        filters = "".join(
            f"&filter_keys={key}&filter_predicates=%3D&filter_values={quote(value)}" for key, value in equal.items()
        )
        found = self._call("GET", f"/api/v0/{kind}?detail=1&limit=1000{filters}")
        return found["data"]["result"]["result"] if found else []

    def _call(
        self,
        method: Literal["GET", "POST"],
        path: str,
        body: Any = None,
        exists: str = "",
        patience: float = PATIENCE,
        starting: float = STARTING,
    ) -> Any:
        """The JSON answer, None for 404. Repeated for `patience` seconds without answer, `starting` after one of 5xx.

        `exists`: text of a refusal that means the thing is there already, which is then as good as done.
        """
        begun, pause = time.monotonic(), 0.1
        while True:
            try:
                return self._once(method, path, body, exists)
            except (OSError, HTTPException) as error:
                limit, detail = (starting, f" ({error})") if isinstance(error, _ServerError) else (patience, "")
                if time.monotonic() - begun > limit:
                    where = self._settings.ray
                    raise ComputeUnavailable(f"Ray does not answer at {where}{detail}; run `mlops up`") from error
            time.sleep(pause)
            pause = min(2 * pause, 1)

    def _once(self, method: str, path: str, body: Any, exists: str) -> Any:
        address = self._settings.ray
        request = Request(  # noqa: S310  the address is a setting, http or https
            address.rstrip("/") + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._settings.ray_token}", "Content-Type": "application/json"},
        )
        # A proxy that the environment names is not for this machine's own services.
        local = urlsplit(address).hostname in ("127.0.0.1", "localhost", "::1")
        opener = build_opener(ProxyHandler({})) if local else build_opener()
        try:
            with opener.open(request, timeout=REQUEST_SECONDS) as answer:
                return json.load(answer)
        except HTTPError as error:
            text = error.read(100_000).decode(errors="replace")
            if error.code == 404:
                return None
            if exists and exists in text:
                return {}
            if error.code in (401, 403):
                token = self._settings.home / "secrets" / "ray-token"
                raise ComputeUnavailable(f"Ray at {address} refuses the token in {token}") from None
            last = (text.strip().splitlines() or [""])[-1][:500]
            if error.code < 500:
                raise ValueError(f"Ray at {address} refuses {method} {path}: {last}") from None
            raise _ServerError(f"HTTP {error.code}: {last}") from None


class _ServerError(OSError):
    """Ray answers that it cannot answer, as it does while it starts."""
