"""`/metrics` of a model's endpoint, read as Prometheus reads it; and what its replicas say of it together."""

from pathlib import Path

from patience import until
from prometheus_client.parser import text_string_to_metric_families
from serving_support import call, migrated, replica, version

from resources.serving.prediction_log import PredictionLog
from resources.settings import Settings
from workloads.sdk.serving.http.model import Endpoint

NAME = "counted_shift"
SENT = [{"rows": [[1, 2]]}, {"rows": [[1, 2]]}, {"rows": [[1, 5000]]}, {"rows": "none"}]


def test_requests_are_counted_by_route_and_status_and_summed_over_replicas(postgres: Settings, tmp_path: Path) -> None:
    serving, log = migrated(postgres), PredictionLog(postgres)
    assert log.pace(NAME) is None
    serving.publish(NAME, version(tmp_path, 1.0))
    replicas = [replica(serving, tmp_path, f"{NAME}-{number}", NAME) for number in (1, 2)]
    first, second = map(Endpoint, replicas)
    try:
        for body in SENT:
            call(first, "POST", "/predict", body)
        call(second, "POST", "/invocations", {"inputs": [[1, 2]]})
        call(first, "GET", "/health")  # nobody asked for an answer
        answer = call(first, "GET", "/metrics")
        assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4")
        samples = [one for family in text_string_to_metric_families(answer.body.decode()) for one in family.samples]
        counted = {one.labels["status"]: one.value for one in samples if one.name == "mlops_requests_total"}
        assert counted == {"200": 2, "422": 2}
        assert {one.labels["route"] for one in samples if one.name == "mlops_requests_total"} == {"/predict"}
        (timed,) = [one for one in samples if one.name == "mlops_request_seconds_count"]
        assert timed.value == len(SENT)
        assert "/metrics" in call(first, "GET", "/openapi.json").json["paths"]

        def told() -> bool:
            live = serving.live(NAME)
            asked = [live[one.name].requests for one in replicas if one.name in live]
            return asked == [{"200": 2, "422": 2}, {"200": 1}]

        until(told)
        pace = until(lambda: (found := log.pace(NAME)) and found)
        assert 0 < pace.p50 <= pace.p95
        assert log.pace(NAME, 1) is not None
    finally:
        for one in replicas:
            one.close()
