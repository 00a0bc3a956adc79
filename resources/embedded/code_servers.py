"""One code server for each Python location of workspace.yaml, shared by Dagster's webserver and daemon.

Left alone, each of the two starts its own, and the daemon starts a new one every minute, which is most of what an
idle platform does. A reload in the UI loads changed code into the shared one.
"""

import json
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import yaml

from resources.embedded.part import Part, PartFailed
from resources.embedded.process import Daemon, alive, command_of
from resources.embedded.variables import environment, socket_folder
from resources.settings import FOLDER, Settings

WORKSPACE, OWN = FOLDER / "workspace.yaml", Path(__file__).parent / "workspace.yaml"
INSTANCE = Path(__file__).parent / "dagster.yaml"
SERVER = {"code-server", "grpc"}  # in the command lines of a server, and of the process that holds its definitions
FLAGS = {"python_module": ("module_name", "-m"), "python_package": ("package_name", "--package-name"),
         "python_file": ("relative_path", "-f")}  # fmt: skip


def prepare_home(settings: Settings) -> Path:
    """DAGSTER_HOME with the instance's configuration of today: an older one names classes that may be gone."""
    home = settings.home / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    target = home / "dagster.yaml"
    if not target.exists() or target.read_bytes() != INSTANCE.read_bytes():
        shutil.copyfile(INSTANCE, target)
    return home


class CodeServers(Part):
    """They listen on Unix sockets; the runs are their children."""

    name, title, after, seconds = "dagster-code", "Dagster code servers", ("postgres",), 180

    def __init__(self, settings: Settings, workspace: Path = WORKSPACE) -> None:
        super().__init__(settings)
        self.source, self.folder = workspace if workspace.is_file() else OWN, workspace.parent

    @property
    def workspace(self) -> Path:
        """The workspace that webserver and daemon are given: workspace.yaml, with these servers in place of modules."""
        return self.settings.home / "dagster" / "workspace.yaml"

    @property
    def address(self) -> str:
        return str(socket_folder(self.settings) / "d*.sock")

    def fault(self) -> str | None:
        for number, location in enumerate(self._python_locations()):
            if self._definitions(number) is None:
                return f"the code location `{location['name']}` has no code server"
        return None

    def trouble(self) -> str | None:
        return self.outage() or self._outdated()

    def start(self) -> None:
        if self.running() and self._outdated():
            self.stop()
        super().start()

    def core(self) -> list[psutil.Process]:
        """The servers, and the process of each that holds the definitions: a reload puts another in its place."""
        return [process for process in self.processes() if SERVER & set(command_of(process))]

    def running(self) -> bool:
        return all(self._daemon(number).process() is not None for number in range(len(self._python_locations())))

    def processes(self) -> list[psutil.Process]:
        return [process for daemon in self._daemons() for process in daemon.members() if alive(process)]

    def launch(self) -> None:
        prepare_home(self.settings)
        self.workspace.write_text(yaml.safe_dump(self._rendered()))
        for number, location in enumerate(self._python_locations()):
            self._socket(number).unlink(missing_ok=True)
            env = environment(self.settings) | {"DAGSTER_DISABLE_TELEMETRY": "1"}
            command = [location.get("executable_path", sys.executable), "-m", "dagster", "code-server", "start"]
            command += ["--socket", self._socket(number), "--location-name", location["name"], *location["target"]]
            if "attribute" in location:
                command += ["--attribute", location["attribute"]]
            folder = self.folder / location.get("working_directory", ".")
            self._daemon(number).start([*command, "--working-directory", folder], env, cwd=folder)

    def stop(self) -> None:
        for daemon in self._daemons():
            daemon.stop(signal.SIGINT, patience=5)

    def _outdated(self) -> str | None:
        """What a start anew may mend though each server answers: another workspace, code that did not load."""
        if not self.workspace.exists() or yaml.safe_load(self.workspace.read_text()) != self._rendered():
            return f"{self.source} has changed since Dagster started"
        for number, location in enumerate(self._python_locations()):
            found = self._definitions(number) or {}
            if found.get("__class__") == "SerializableErrorInfo":
                while found.get("cause"):
                    found = found["cause"]
                return f"the code location `{location['name']}` does not load: {found['message'].strip()}"
        return None

    def _definitions(self, number: int) -> dict[str, Any] | None:
        """What a server says of its location's definitions, an error where they do not load; None where it does not.

        It asks the process that holds them, on which webserver and daemon depend: a server answers on without it.
        """
        import grpc

        with grpc.insecure_channel(f"unix:{self._socket(number)}") as channel:
            try:
                # A message without fields; the answer is one JSON text. Dagster's own client would load Dagster.
                answer: bytes = channel.unary_unary("/api.DagsterApi/ListRepositories")(b"", timeout=5)
            except grpc.RpcError:
                return None
        return dict(json.loads(answer[answer.index(b"{") :]))

    def _daemon(self, number: int) -> Daemon:
        return Daemon(self.settings, self.name if number == 0 else f"{self.name}-{number}")

    def _daemons(self) -> list[Daemon]:
        """All that were ever started: a location may have left workspace.yaml since."""
        known = {file.stem for file in (self.settings.home / "run").glob(f"{self.name}*.json")}
        return [Daemon(self.settings, name) for name in sorted(known | {self.name})]

    def _socket(self, number: int) -> Path:
        return socket_folder(self.settings) / f"d{number}.sock"

    def _locations(self) -> list[tuple[str, dict[str, Any]]]:
        """(kind, its options) of each location; a bare name is taken for what it names."""
        found = []
        for entry in (yaml.safe_load(self.source.read_text()) or {}).get("load_from", []):
            if len(entry) != 1:
                raise PartFailed(f"{self.source}: an entry of load_from has several kinds: {sorted(entry)}")
            kind, options = next(iter(entry.items()))
            if isinstance(options, str) and kind in FLAGS:
                options = {FLAGS[kind][0]: options}
            found.append((kind, dict(options)))
        return found

    def _python_locations(self) -> list[dict[str, Any]]:
        """Options, name and the flags that name the code (`target`) of each location that needs a server of ours."""
        found = []
        for kind, options in self._locations():
            if kind not in FLAGS:
                continue
            option, flag = FLAGS[kind]
            if option not in options:
                raise PartFailed(f"{self.source}: {kind} lacks {option}")
            value = str(self.folder / options[option]) if kind == "python_file" else options[option]
            name = str(options.get("location_name") or options[option])
            found.append({**options, "name": name, "target": [flag, value]})
        return found

    def _rendered(self) -> dict[str, Any]:
        ours = [
            {"grpc_server": {"socket": str(self._socket(number)), "location_name": location["name"]}}
            for number, location in enumerate(self._python_locations())
        ]
        return {"load_from": ours + [{kind: options} for kind, options in self._locations() if kind not in FLAGS]}
