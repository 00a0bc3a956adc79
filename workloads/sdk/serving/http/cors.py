"""Which other sites' pages may ask an endpoint (CORS): none, unless the setting `cors_origins` names them."""

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

ANSWERED = ("x-prediction-id", "x-model-version", "retry-after")  # headers that a page may read
ASKED = ("authorization", "content-type")
REMEMBERED = 600  # seconds for which a browser need not ask again


def shared_with(origins: Sequence[str], application: ASGIApp) -> ASGIApp:
    """The application, which lets pages of these origins (`*`: of all) read its answers."""
    if not origins:
        return application
    return CORSMiddleware(
        application,
        allow_origins=origins,
        allow_methods=("GET", "HEAD", "POST", "DELETE"),
        allow_headers=ASKED,
        expose_headers=ANSWERED,
        max_age=REMEMBERED,
    )
