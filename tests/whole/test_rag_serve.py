"""The RAG application on Ray Serve, behind its HTTP proxy: streams arrive as they are made, and end when callers go."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from patience import until
from rag_support import Model, composition, events, make_table, migrate, running, version

from resources.serving import Serving
from resources.settings import Settings

pytestmark = pytest.mark.platform

BODY = {"question": "What does the lambda expression yield?", "stream": True}


@pytest.fixture
def serving(platform: Settings) -> Iterator[Serving]:
    migrate(platform)
    make_table(platform)
    serving = Serving(platform)
    yield serving
    serving.remove("rag_serve")


def test_streams_pass_the_proxy(serving: Serving, tmp_path: Path) -> None:
    model = Model({"endless": None})
    with running(model) as url, httpx.Client(timeout=60, trust_env=False) as client:
        slow = {"provider": "openai", "model": "endless", "url": f"{url}/v1", "temperature": 0.0}
        serving.publish("rag_serve", version(tmp_path / "1", composition(model=slow)))
        serving.deploy("workloads.rag", "rag_serve", "app:App")
        at = serving.address("rag_serve")
        with client.stream("POST", f"{at}/query", json=BODY) as response:
            stream = events(response.iter_lines())
            assert [next(stream) for _ in range(3)] == [("token", "Still ")] * 3
            assert model.open == 1
            number = serving.publish("rag_serve", version(tmp_path / "2", composition(release=2), 2))
            serving.wait("rag_serve", number)
            answer = client.post(f"{at}/query", json={**BODY, "stream": False})
            assert answer.headers["x-model-version"] == answer.json()["version"] == "1.0.2"
            assert not answer.json()["refused"]
            assert next(stream) == ("token", "Still "), "the stream goes on with what it began with"
        until(lambda: model.open == 0)
        until(lambda: "mlops_requests_running{" in (text := client.get(f"{at}/metrics").text) and "} 0.0" in text)
        with client.stream("POST", f"{at}/query", json=BODY) as response:
            found = list(events(response.iter_lines()))
        assert found[-1][0] == "done"
        assert found[-1][1]["answer"] == answer.json()["answer"]
        wrong = client.post(f"{at}/query", json={"question": "a" * 2**20})
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (413, "too_large")
        assert client.post(f"{at}/debug/retrieval", json={"question": "a"}).status_code == 401
        key = {"authorization": f"Bearer {serving.settings.admin_key}"}
        assert client.post(f"{at}/debug/retrieval", json={"question": "a"}, headers=key).status_code == 200
