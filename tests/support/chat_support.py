"""A playground over the RAG application, without Ray: the endpoint is served in this process, by real HTTP."""

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rag_support import running

from resources.embedded.network import free_ports
from resources.embedded.playground import Playground
from resources.settings import Settings

APPLICATIONS = "/api/serve/applications/"
PATIENCE = 20  # seconds for which a stream is held up at most


class Front:
    """Endpoints under their routes, and at Ray's address what Serve says of them.

    Attributes:
        free: while it is not set, streams stand still after some tokens.
    """

    def __init__(self, endpoints: Mapping[str, Any], tokens: int = 1):
        self.endpoints, self.tokens = endpoints, tokens
        self.free = threading.Event()
        self.free.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] == APPLICATIONS:
            applications = {f"dev.{name}": {"status": "RUNNING"} for name in self.endpoints}
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": json.dumps({"applications": applications}).encode()})
            return
        name = scope["path"].split("/")[1]
        sent = 0

        async def held(message: Any) -> None:
            nonlocal sent
            if message.get("body", b"").startswith(b"event: token"):
                if sent == self.tokens:
                    await asyncio.to_thread(self.free.wait, PATIENCE)
                sent += 1
            await send(message)

        endpoint = self.endpoints.get(name, next(iter(self.endpoints.values())))
        await endpoint({**scope, "root_path": f"/{name}"}, receive, held)


@contextmanager
def playground(postgres: Settings, home: Path, front: Front) -> Iterator[str]:
    """The page over the endpoints, in a home of its own; its address."""
    home.mkdir(parents=True, exist_ok=True)
    with running(front) as address:
        database = postgres.database("mlops").rpartition("/")[0]
        settings = Settings(
            home=home, postgres_url=database, ray_url=address, serve_url=address, playground_port=free_ports(1)[0]
        )
        page = Playground(settings)
        page.start()
        try:
            yield page.address
        finally:
            page.stop()
