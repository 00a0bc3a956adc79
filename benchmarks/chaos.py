"""Ten minutes of load and data tags while every process of the platform in turn is killed; `make chaos`.

    python -m benchmarks.chaos                   ten minutes, in a home and on ports of its own
    python -m benchmarks.chaos --minutes 5

wine has two replicas and is asked by four callers; a new version of its data is tagged every minute and a half, the
last one after the last kill. The table says for each victim how long it was until all answered again, and what callers
met meanwhile. Exit code 1 where something that must hold does not.
"""

import argparse
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psutil

from benchmarks.own_platform import own_platform
from benchmarks.tag_to_live import live_data, unused
from resources.all import Resources
from resources.database import connect
from resources.embedded import Platform
from resources.embedded.process import command_of
from resources.http import NoAnswer, send
from resources.settings import Settings
from workloads.sdk.contract import Workload
from workloads.sdk.contract.loading import workload_of
from workloads.sdk.errors import PlatformError
from workloads.sdk.serving.log import table

CALLERS, TAG_SECONDS, PATIENCE, CALM = 4, 90, 600, 8
# (who is killed, how many of them at most, seconds until all must answer again)
VICTIMS = (
    ("haproxy -db", 9, 2), ("api grpc", 1, 60), ("ServeReplica:dev.wine", 1, 60), ("mlflow server", 1, 60),
    ("raylet/raylet", 1, 120), ("bin/postgres -D", 1, 60), ("dagster_webserver", 1, 60), ("embedded.watch", 1, 60),
    ("ServeReplica:dev.wine", 2, 60), ("gcs_server", 1, 120), ("dagster._daemon", 1, 60), ("code-server start", 1, 60),
    ("ray::HAProxyManager", 1, 60), ("ray::ServeController", 1, 60), ("streamlit", 1, 60), ("again=again", 1, 60),
)  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """What a caller met: when it asked, when it was answered, how, and the identity of the answer."""

    began: float
    ended: float
    status: str
    identity: str | None


class Callers:
    """They ask one after the other, as fast as every 50 ms."""

    def __init__(self, url: str, body: Any):
        self.seen: list[Seen] = []
        self._url, self._body, self._stop = url, body, threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(CALLERS)]

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while not self._stop.wait(0.05):
            began, identity = time.time(), None
            try:
                answer = send("POST", self._url, timeout=30, body=self._body)
                status, identity = str(answer.status_code), answer.headers.get("x-prediction-id")
                if status == "503" and "retry-after" not in answer.headers:
                    status = "503 without Retry-After"
            except NoAnswer:
                status = "no answer"
            self.seen.append(Seen(began, time.time(), status, identity))

    def between(self, began: float, ended: float) -> dict[str, int]:
        return dict(Counter(one.status for one in list(self.seen) if began <= one.ended <= ended))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    minutes = parser.parse_args().minutes
    with own_platform(supervised=True, replicas="2") as platform:
        wrong = chaos(platform, minutes)
    if left := [process for process in psutil.process_iter() if str(platform.settings.home) in _words(process)]:
        wrong.append(f"processes are left: {left}")
    print("\n".join(wrong) or "all of it held")
    sys.exit(bool(wrong))


def chaos(platform: Platform, minutes: float) -> list[str]:
    """Kill and look; what did not hold, in sentences."""
    wine, resources = workload_of("workloads.wine"), Resources(platform.settings)
    assert isinstance(wine, Workload)
    resources.registry.init()
    tagged = [resources.registry.release(wine).version.version]
    until(lambda: live_data(resources, wine) == tagged[0], "the first version is live")
    until(lambda: len(resources.serving.live("wine")) == 2, "two replicas live")
    url = resources.serving.address("wine")
    body = send("GET", f"{url}/example").json()
    begun, wrong, over = time.time(), [], threading.Event()

    def tag() -> None:
        while not over.wait(TAG_SECONDS):
            try:
                tagged.append(resources.registry.release(wine, parameters=unused(resources, wine)).version.version)
            except PlatformError as error:
                wrong.append(f"no tag: {error}")

    tagging = threading.Thread(target=tag)
    tagging.start()
    with Callers(f"{url}/predict", body) as callers:
        number = 0
        print(f"{'killed':28}{'whole after':>12}{'of':>5}  what callers met")
        while time.time() - begun < minutes * 60 or number < len(VICTIMS):
            victim, count, bound = VICTIMS[number % len(VICTIMS)]
            number += 1
            at = time.time()
            if not killed(platform, victim, count):
                continue
            whole = until_whole(platform, victim, bound, callers, at)
            met = callers.between(at, time.time())
            print(f"{victim:28}{whole:10.1f} s{bound:>5}  {met}", flush=True)
            if whole > bound:
                wrong.append(f"after {victim} was killed it took {whole:.1f} s until all answered, not {bound}")
            time.sleep(CALM)
        over.set()
        tagging.join()
        tagged.append(resources.registry.release(wine, parameters=unused(resources, wine)).version.version)
        until(lambda: live_data(resources, wine) == tagged[-1], "the last version is live")
    return wrong + broken_promises(resources, platform, callers.seen, tagged)


def killed(platform: Platform, text: str, count: int) -> int:
    """Kill so many processes of the platform; how many there were."""
    parts = [*platform.parts, platform.supervisor]
    found = [process for part in parts for process in part.processes() if text in " ".join(command_of(process)[:5])]
    for process in found[:count]:
        process.kill()
    return len(found[:count])


def until_whole(platform: Platform, victim: str, bound: float, callers: Callers, at: float) -> float:
    """Seconds until every part answers and callers are answered; for HAProxy only callers are asked."""
    parts = [*platform.wanted, platform.supervisor]
    time.sleep(0.2)
    while time.time() - at < 5 * bound:
        answered = [one.ended for one in callers.seen[-CALLERS:] if one.status == "200" and one.began > at]
        if len(answered) == CALLERS and ("haproxy" in victim or not any(platform._faults(parts).values())):
            return (min(answered) if "haproxy" in victim else time.time()) - at
        time.sleep(0.1)
    return time.time() - at


def broken_promises(resources: Resources, platform: Platform, seen: list[Seen], tagged: list[str]) -> list[str]:
    """What must be so in the end, where it is not."""
    wrong, ledger = [], resources.ledger
    statuses = Counter(one.status for one in seen)
    print(f"\n{len(seen)} requests: {dict(statuses)}")
    if other := set(statuses) - {"200", "503", "no answer"}:
        wrong.append(f"callers met {sorted(other)}")
    answered = {one.identity for one in seen if one.identity}
    missing = unlogged(platform.settings, answered)
    print(f"answered {len(answered)}, not in the log {len(missing)}")
    if missing:
        wrong.append(f"{len(missing)} of {len(answered)} answers are not in the log")
    trained = Counter(candidate.data_version for candidate in ledger.candidates.of("wine"))
    print(f"trainings by tag: { ({version: trained[version] for version in tagged}) }")
    if trained[tagged[-1]] != 1 or max(trained.values()) > 1:
        wrong.append(f"trainings by tag: {dict(trained)}, the newest is {tagged[-1]}")
    release, plan = ledger.current("wine"), resources.serving.plan("wine")
    candidate = release and ledger.candidates.by_id(release.candidate)
    champion = resources.tracking.registry.aliases("wine").get("champion")
    answers = send("GET", f"{resources.serving.address('wine')}/info").json()
    facts = (release and release.version, candidate and candidate.number, plan and plan.version.version,
             champion, answers["version"])  # fmt: skip
    print("ledger, its number, plan, alias, answer:", facts)
    if facts[0] is None or len({facts[0], facts[2], facts[4]}) > 1 or facts[1] != facts[3]:
        wrong.append(f"ledger, plan, alias and answer differ: {facts}")
    alerts = Counter(alert.kind for alert in ledger.alerts.since())
    restarts = {part.name: len(platform.restarts.of(part.name)) for part in platform.parts}
    print(f"alerts: {dict(alerts)}; restarts: {restarts}")
    if not alerts["restart"] or not alerts["restarts"]:
        wrong.append("no alert says that something was restarted, or that it keeps happening")
    return wrong


def unlogged(settings: Settings, answered: set[str]) -> set[str]:
    """Those of the answers that the log, which is written in the background, does not hold after half a minute."""
    asked = table.statement(
        settings.schema_of("predictions"), "SELECT prediction_id FROM {predictions} WHERE prediction_id = ANY(%s)"
    )
    end = time.time() + 30
    while True:
        with connect(settings) as connection:
            rows = connection.execute(asked, [list(map(UUID, answered))]).fetchall()
        missing = answered - {str(row[0]) for row in rows}
        if not missing or time.time() > end:
            return missing
        time.sleep(1)


def until(look: Callable[[], Any], what: str) -> None:
    end = time.time() + PATIENCE
    while not look():
        if time.time() > end:
            raise SystemExit(f"not within {PATIENCE} s: {what}")
        time.sleep(0.5)


def _words(process: psutil.Process) -> str:
    return " ".join(command_of(process))


if __name__ == "__main__":
    main()
