"""What stands before Ray Serve's own code, in its proxy and in replicas: headers that Ray reads, and could not.

Ray decodes them as UTF-8 before any endpoint is asked, and answers 500 where that fails. It finds this by the variable
`RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH` (`resources/embedded/ray.py`).
"""

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from workloads.sdk.serving.http.request import Refusal

# By their beginnings; Ray takes `_` for `-`, whatever the case.
READ = (b"x-request-", b"x-session-id", b"session-id", b"serve-multiplexed-model-id", b"traceparent", b"tracestate")


def middlewares() -> list[Middleware]:
    """What Ray puts before itself."""
    return [Middleware(Guard)]


class Guard:
    """Refuses a request one of whose headers that Ray reads holds a byte beyond ASCII."""

    def __init__(self, application: ASGIApp):
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for name, value in scope.get("headers", ()):
            if not value.isascii() and name.lower().replace(b"_", b"-").startswith(READ):
                header = name.decode("latin-1")
                refusal = Refusal(400, "invalid_header", f"the header {header} may hold ASCII alone", header)
                length = (b"content-length", b"%d" % len(refusal.body))
                headers = [(b"content-type", b"application/json"), length]
                await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
                return await send({"type": "http.response.body", "body": refusal.body})
        return await self._application(scope, receive, send)
