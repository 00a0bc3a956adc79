"""The endpoint of a model: `POST /predict`, and the same for MLflow's clients: `POST /invocations`, `GET /ping`."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from time import perf_counter
from typing import Any, cast

import orjson
from pydantic import BaseModel

from workloads.sdk.contract import InvalidInput, Predictor
from workloads.sdk.serving.http.finite import finite, refusal, wrong_row
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
        self.kind = cast("type[Predictor]", replica.kind)
        self._reader = Reader(self.kind.Request)
        self._text: tuple[LoadedModel | None, dict[str, Any]] | None = None
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="predict")
        self.of_version["/example"] = self._example
        self.gets["/ping"] = self.gets["/health"]

    @property
    def openapi(self) -> dict[str, Any]:
        now, config = cast("LoadedModel | None", self.replica.current), self.replica.config
        if self._text is None or self._text[0] is not now:
            request = self.kind.Request if now is None else now.predictor.takes()
            self._text = (now, openapi(config.endpoint, config.route, self.kind, request))
        return self._text[1]

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
        started = perf_counter()
        loaded = await self.wanted(scope)
        if loaded is None:
            raise self.not_ready()
        size = len(body).bit_length()
        answer = partial(self._answer, loaded, path == "/invocations", body, started)
        if len(body) < INLINE_BYTES and loaded.pace[size] < INLINE_SECONDS:
            return answer()
        return await asyncio.get_running_loop().run_in_executor(self._pool, answer)

    def _answer(self, loaded: LoadedModel, of_mlflow: bool, sent: bytes, started: float) -> tuple[Response, Record]:
        """All of a request's work, by one version."""
        begun = perf_counter()
        version = loaded.version
        body = self._translated(sent) if of_mlflow else sent
        request = self._reader.read(body)
        try:
            answers, row = self._predicted(loaded.predictor, request)
        except InvalidInput as error:
            raise Refusal(422, "invalid_input", error.reason, error.field) from None
        predictions = orjson.dumps(answers, option=orjson.OPT_SERIALIZE_NUMPY)
        if row is None and b"null" in predictions:  # as which a number that is not finite is written
            row = next((at for at, answer in enumerate(answers) if not finite(answer)), None)
        if row is not None:
            schema = loaded.predictor.request_schema()
            raise refusal(orjson.loads(body), row, partial(self._answers_finitely, loaded.predictor), schema)
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
        size = len(sent).bit_length()
        loaded.pace[size] = min(ended - begun, loaded.pace[size] * 1.02)
        record = Record(
            identity, version.release_id, version.version, loaded.plan.number, at, len(answers), latency,
            body if self.keeps_inputs() else None, predictions, version.number or None,
        )  # fmt: skip
        headers = (*loaded.headers, (b"x-prediction-id", text.encode()))
        return (200, headers, b'{"predictions":' + predictions + b"," + rest[1:]), record

    def _translated(self, body: bytes) -> bytes:
        """What MLflow's clients send, as /predict has it."""
        content = body_of(body, list(self.kind.Request.model_fields))
        try:
            return orjson.dumps(content)
        except TypeError as error:
            reason = f"holds what a model cannot be asked: {error}"
            raise Refusal(422, "invalid_input", reason) from None

    @staticmethod
    def _predicted(predictor: Predictor, request: BaseModel) -> tuple[list[dict[str, Any]], int | None]:
        """The answers; none, and the first row at fault, where the model's outputs are not finite."""
        outputs = predictor.outputs(predictor.inputs(request))
        row = wrong_row(outputs)
        return ([] if row is not None else predictor.answers(outputs)), row

    def _answers_finitely(self, predictor: Predictor, content: dict[str, Any]) -> bool:
        try:
            answers, row = self._predicted(predictor, self._reader.validate(content))
        except (InvalidInput, Refusal):
            return False
        return row is None and finite(answers)

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
