"""HTTP to the services on this machine: no proxy, short timeouts, and an answer also where the status is an error."""

import json
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

OPENER = build_opener(ProxyHandler({}))


def request(
    url: str, token: str | None = None, timeout: float = 5, method: str = "GET", body: Any = None
) -> tuple[int, bytes]:
    """Status and body of the answer; status 0 where nothing answers. `body` is sent as JSON, `token` as bearer."""
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    data = json.dumps(body).encode() if body is not None else None
    try:
        sent = Request(url, data, headers, method=method)  # noqa: S310  (our own addresses and settings)
        with OPENER.open(sent, timeout=timeout) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, error.read()
    except (OSError, HTTPException) as error:
        return 0, str(error).encode()
