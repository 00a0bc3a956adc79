"""What an endpoint's replica counts, as Prometheus reads it (`GET /metrics`); each replica speaks for itself."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from workloads.sdk.serving.http.request import Refusal

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)  # seconds
GONE = 499  # status of a request whose caller hung up before it was answered


@dataclass
class Seen:
    """A request as it is counted; `status` is what it was answered with."""

    status: int = 500


class Metrics:
    """The counters of one replica; `log` gives its prediction log's counts."""

    def __init__(self, endpoint: str, replica: str, log: Callable[[], Mapping[str, int]]):
        self._registry = CollectorRegistry()
        self._names = {"endpoint": endpoint, "replica": replica}
        self._known: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        names = list(self._names)
        self._requests = Counter(
            "mlops_requests",
            "Requests, by route and HTTP status.",
            [*names, "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "mlops_request_seconds", "Time to a request's end.", [*names, "route"],
            buckets=BUCKETS, registry=self._registry,
        )  # fmt: skip
        self._answers = Counter(
            "mlops_answers", "Answers in the log: answered, refused or interrupted.", [*names, "outcome"],
            registry=self._registry,
        )  # fmt: skip
        for outcome in ("answered", "refused", "interrupted"):
            self._answers.labels(**self._names, outcome=outcome)
        self._running = Gauge("mlops_requests_running", "Requests now.", names, registry=self._registry).labels(
            **self._names
        )
        logged = Gauge("mlops_log_records", "The prediction log.", [*names, "state"], registry=self._registry)
        for state in ("queued", "written", "lost"):
            logged.labels(**self._names, state=state).set_function(partial(_count, log, state))

    @contextmanager
    def request(self, route: str) -> Iterator[Seen]:
        """Count a request and its time; one that is refused by the refusal's status."""
        seen, started = Seen(), time.perf_counter()
        self._running.inc()
        try:
            yield seen
        except Refusal as refusal:
            seen.status = refusal.status
            raise
        except ConnectionError:
            seen.status = GONE
            raise
        finally:
            self._running.dec()
            requests, seconds = self._of(route, seen.status)
            requests.inc()
            seconds.observe(time.perf_counter() - started)

    def _of(self, route: str, status: int) -> tuple[Counter, Histogram]:
        """What counts a route's requests of a status, and their time.

        The library's own look-up, each time, would take as long as all the rest.
        """
        if (found := self._known.get((route, status))) is None:
            counter = self._requests.labels(**self._names, route=route, status=str(status))
            found = self._known[route, status] = (counter, self._seconds.labels(**self._names, route=route))
        return found

    def answered(self, outcome: str) -> None:
        self._answers.labels(**self._names, outcome=outcome).inc()

    def by_status(self) -> dict[str, int]:
        """How many requests were answered, by HTTP status."""
        found: dict[str, int] = {}
        for sample in next(iter(self._requests.collect())).samples:
            if sample.name.endswith("_total"):
                status = sample.labels["status"]
                found[status] = found.get(status, 0) + int(sample.value)
        return found

    def text(self) -> bytes:
        return generate_latest(self._registry)


def _count(log: Callable[[], Mapping[str, int]], state: str) -> float:
    return log()[state]
