"""The endpoint of a model: `POST /predict`, and the same for MLflow's clients: `POST /invocations`, `GET /ping`."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, cast

import orjson

from workloads.sdk.contract import InvalidInput, Predictor
from workloads.sdk.serving.http.ids import uuid7
from workloads.sdk.serving.http.openapi import openapi
from workloads.sdk.serving.http.request import Message, Reader, Receive, Refusal, read_body
from workloads.sdk.serving.http.scoring import body_of
from workloads.sdk.serving.http.service import Response, Send, Service, json, wrong_method
from workloads.sdk.serving.log.record import Record
from workloads.sdk.serving.replica import Replica
from workloads.sdk.serving.versions.loading import LoadedModel

INLINE_SECONDS = 0.002  # what takes longer is done in a thread, so that others' requests go on
INLINE_BYTES = 2**16


class Endpoint(Service):
    """The application of one replica of a model's endpoint."""

    def __init__(self, replica: Replica):
        super().__init__(replica)
        config = replica.config
        self.kind = cast("type[Predictor]", replica.kind)
        self._reader = Reader(self.kind.Request)
        self.openapi = openapi(config.endpoint, config.route, self.kind)
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="predict")
        self.of_version["/example"] = self._example
        self.gets["/ping"] = self.gets["/health"]

    async def own(self, path: str, scope: Message, receive: Receive, send: Send) -> tuple[Response, Record]:
        if path not in ("/predict", "/invocations"):
            raise Refusal(404, "not_found", f"there is nothing at {path}; see /docs")
        if scope["method"] != "POST":
            raise wrong_method("POST")
        with self.metrics.request(path) as seen:
            answer = await self._predict(path, scope, receive)
            seen.status = answer[0][0]
            return answer

    async def _predict(self, path: str, scope: Message, receive: Receive) -> tuple[Response, Record]:
        body = await read_body(scope, receive)
        if path == "/invocations":
            body = orjson.dumps(body_of(body, list(self.kind.Request.model_fields)))
        started = perf_counter()
        loaded = await self.wanted(scope)
        if loaded is None:
            raise self.not_ready()
        size = len(body).bit_length()
        if len(body) < INLINE_BYTES and loaded.pace[size] < INLINE_SECONDS:
            return self._answer(loaded, body, started)
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._answer, loaded, body, started)

    def _answer(self, loaded: LoadedModel, body: bytes, started: float) -> tuple[Response, Record]:
        """All of a request's work, by one version."""
        begun = perf_counter()
        predictor, version = loaded.predictor, loaded.version
        try:
            inputs = predictor.inputs(self._reader.read(body))
        except InvalidInput as error:
            raise Refusal(422, "invalid_input", error.reason, error.field) from None
        answers = predictor.answers(predictor.outputs(inputs))
        predictions = orjson.dumps(answers, option=orjson.OPT_SERIALIZE_NUMPY)
        identity, at = uuid7(), datetime.now(UTC)
        ended = perf_counter()
        latency = round((ended - started) * 1000, 3)
        text = str(identity)
        rest = orjson.dumps(
            {
                "prediction_id": text,
                "version": version.version,
                "release_id": version.release_id,
                "model_uri": version.model_uri,
                "timestamp": at,
                "processing_time_ms": latency,
            }
        )
        # The smallest time seen, slowly forgotten: a wait for the processor is not the model's own time.
        size = len(body).bit_length()
        loaded.pace[size] = min(ended - begun, loaded.pace[size] * 1.02)
        record = Record(
            identity, version.release_id, version.version, loaded.plan.number, at, len(answers), latency,
            body if self.keeps_inputs() else None, predictions, version.number or None,
        )  # fmt: skip
        headers = (*loaded.headers, (b"x-prediction-id", text.encode()))
        return (200, headers, b'{"predictions":' + predictions + b"," + rest[1:]), record

    def example(self, now: LoadedModel | None) -> dict[str, Any] | None:
        return now.example if now else None

    def described(self, now: LoadedModel | None) -> dict[str, Any]:
        kind = self.kind
        request = kind.Request.model_json_schema() if now is None else now.predictor.request_schema()
        return {"request_schema": request, "prediction_schema": kind.Prediction.model_json_schema()}

    def _example(self, now: LoadedModel | None) -> Response:
        if now is None:
            raise self.not_ready()
        return json(now.example)
