"""Jobs on Ray, by the REST API of its dashboard: the documented job API, and the state API for what there is room for.

Plain HTTP, because importing Ray's client costs every run process more than a second. Every request may be repeated:
jobs have names of our own, so a submission whose answer was lost is recognized.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal
from urllib.parse import quote

from resources import http
from resources.compute.capacity import Capacity
from resources.settings import Settings
from workloads.sdk.errors import Unavailable

REQUEST_SECONDS = 20  # for one answer
PATIENCE = 3.0  # seconds, while Ray does not answer at all
STARTING = 45.0  # seconds, while it answers that it cannot yet
MOST_ROWS = 10_000  # of a list, which is Ray's own limit
# Ray's words for jobs that were not ended by their program: the process that Ray starts it from was killed, say.
LOST = {
    "JOB_SUPERVISOR_ACTOR_DIED",
    "JOB_SUPERVISOR_ACTOR_START_FAILURE",
    "JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE",
    "RUNTIME_ENV_SETUP_FAILURE",
}


class ComputeUnavailable(Unavailable):
    """Ray does not answer, or refuses us."""


class State(StrEnum):
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    STOPPED = "STOPPED"
    LOST = "LOST"  # Ray lost what ran it
    UNKNOWN = "UNKNOWN"  # there is no such job, or no longer

    @property
    def live(self) -> bool:
        return self in (State.PENDING, State.RUNNING)

    @property
    def gone(self) -> bool:
        """Whether it ended through no doing of its own, so that another attempt goes on from its checkpoint."""
        return self in (State.LOST, State.UNKNOWN)


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
        self._agents: dict[str, str] = {}  # by job: the service on its node that has its log, empty: not reached

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
        if agent := found.get("driver_agent_http_address"):
            self._agents.setdefault(name, agent)
        message = (found["message"] or "").strip().split("\n")[0]
        state = State.LOST if found.get("error_type") in LOST else State(found["status"])
        return Status(state, message, found.get("driver_exit_code"))

    def output(self, name: str, seen: int = 0) -> bytes | None:
        """What the job has printed so far after its first `seen` bytes; None where it cannot be read now.

        The agent on the job's node, once `status` has named it, gives a part of the file. Where it cannot be reached
        from here, Ray's head gives the whole log each time.
        """
        if agent := self._agents.get(name):
            url, token = f"{agent}/logs/job-driver-{quote(name)}.log", self._settings.ray_token
            try:
                answer = http.send("GET", url, token, 2, Range=f"bytes={seen}-", **{"Accept-Encoding": "identity"})
            except http.NoAnswer:
                answer = None
            if answer is not None and answer.status_code in (206, 416):  # 416: there is no more
                return answer.content if answer.status_code == 206 else b""
            self._agents[name] = ""
        try:
            found = self._call("GET", f"/api/jobs/{quote(name)}/logs", patience=2, starting=2)
        except ComputeUnavailable:
            return None
        return found["logs"].encode()[seen:] if found else None

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
        running = self._state("actors", state="ALIVE") + self._state("tasks", state="RUNNING", type="NORMAL_TASK")
        reserved = [part for group in self._state("placement_groups", state="CREATED") for part in group["bundles"]]
        taken = [(one["node_id"], one["required_resources"]) for one in running]
        taken += [(part["node_id"], part["unit_resources"]) for part in reserved]
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
        answer = self._call("GET", f"/api/v0/{kind}?detail=1&limit={MOST_ROWS}{filters}")
        if not answer:
            return []
        found = answer["data"]["result"]
        # Of tasks, the total counts those that have ended and are forgotten, too.
        known, had = found["num_filtered"], kind == "tasks" or found["num_after_truncation"] >= found["total"]
        if len(found["result"]) < known or not had:
            raise ComputeUnavailable(
                f"Ray at {self._settings.ray} lists only {len(found['result'])} of its {kind}, so nobody knows what "
                "is free; end some, or restart Ray"
            )
        return found["result"]

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
        try:
            return http.patiently(lambda: self._once(method, path, body, exists), patience, starting)
        except (http.NoAnswer, http.ServerError) as error:
            detail = f" ({error})" if isinstance(error, http.ServerError) else ""
            raise ComputeUnavailable(f"Ray does not answer at {self._settings.ray}{detail}; run `mlops up`") from error

    def _once(self, method: str, path: str, body: Any, exists: str) -> Any:
        address = self._settings.ray
        answer = http.send(method, address.rstrip("/") + path, self._settings.ray_token, REQUEST_SECONDS, body)
        status, text = answer.status_code, answer.text[:100_000]
        if status == 404:
            return None
        if status < 400:
            return answer.json()
        if exists and exists in text:
            return {}
        if status in (401, 403):
            token = self._settings.home / "secrets" / "ray-token"
            raise ComputeUnavailable(f"Ray at {address} refuses the token in {token}")
        last = (text.strip().splitlines() or [""])[-1][:500]
        if status < 500:
            raise ValueError(f"Ray at {address} refuses {method} {path}: {last}")
        raise http.ServerError(f"HTTP {status}: {last}")
