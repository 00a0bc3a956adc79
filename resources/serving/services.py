"""What an application may need from outside, where it is loaded by the graph or by a person instead of an endpoint.

from resources.serving.services import PlatformServices
app = App.load(composition, PlatformServices())
"""

from resources.settings import Settings, settings


class PlatformServices:
    """The `Services` of a declaration, by the platform's settings."""

    def __init__(self, endpoint: str = "", chosen: Settings | None = None):
        self._settings = chosen or settings()
        self._values = {
            "endpoint": endpoint,
            "schema": self._settings.schema_of("predictions"),
            "judge_model": self._settings.judge_model,
            "judge_model_url": self._settings.judge_model_url,
        }

    def setting(self, name: str) -> str | None:
        return self._values.get(name)

    def secret(self, name: str) -> str | None:
        return self._settings.secrets().get(name)
