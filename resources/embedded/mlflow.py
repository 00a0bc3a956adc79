"""The MLflow server: runs, metrics and the model registry in PostgreSQL. Clients write artifacts themselves."""

import sys

from resources.embedded.part import Part, PartFailed
from resources.embedded.variables import environment
from resources.http import request

# A run's address is this, then /<experiment>/<32 characters>/artifacts, in a column of 200 characters.
LONGEST_ROOT = 200 - 49


class Mlflow(Part):
    """One worker process on loopback. After Ray, whose own time limits leave no room for both at once on two cores."""

    name, title, after, seconds = "mlflow", "MLflow", ("postgres", "ray"), 120
    elsewhere, listens = ("mlflow_url",), ("mlflow_port",)

    def fault(self) -> str | None:
        status, _ = request(f"{self.address}/health")
        return None if status == 200 else f"MLflow does not answer on {self.address}"

    def launch(self) -> None:
        artifacts = self.settings.home / "mlflow-artifacts"
        artifacts.mkdir(parents=True, exist_ok=True)
        root = self.settings.artifacts_url or artifacts.as_uri()
        if len(root) > LONGEST_ROOT:
            setting = "MLOPS_ARTIFACTS_URL" if self.settings.artifacts_url else "MLOPS_HOME"
            shorter = f"set {setting} to one that is {len(root) - LONGEST_ROOT} characters shorter"
            raise PartFailed(f"{root} is too long for MLflow's tables: {shorter}")
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
        command += ["--port", str(self.settings.mlflow_port), "--workers", "1"]
        command += ["--no-serve-artifacts", "--default-artifact-root", root]
        env = environment(self.settings) | {
            # In the environment, where `ps` does not show the password to other users.
            "MLFLOW_BACKEND_STORE_URI": self.settings.database("mlflow"),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # eight more processes otherwise
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        env.pop("MLFLOW_TRACKING_URI")
        self.daemon.start(command, env, cwd=self.settings.home)
