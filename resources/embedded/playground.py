"""The playground: a Streamlit page over the endpoints and their lineage (`mlops_assets/playground`)."""

import sys

from resources.embedded.part import Part
from resources.embedded.variables import environment
from resources.http import request
from resources.settings import REPOSITORY

PAGE = REPOSITORY / "mlops_assets" / "playground" / "page.py"  # of a higher floor: named, and not imported
FLAGS = (
    "--server.address=127.0.0.1",
    "--server.headless=true",
    "--server.fileWatcherType=none",
    "--server.runOnSave=false",
    # Only this page's own scripts may talk to it, also where another name is made to point at this machine.
    "--server.enableCORS=true",
    "--server.enableXsrfProtection=true",
    "--server.allowedHosts=127.0.0.1",
    "--server.allowedHosts=localhost",
    "--server.maxUploadSize=5",  # MiB
    "--server.maxMessageSize=20",
    "--browser.gatherUsageStats=false",
    "--client.toolbarMode=minimal",
    "--client.showErrorDetails=none",
    "--runner.magicEnabled=false",
    "--logger.level=warning",
    "--theme.light.primaryColor=#0072B2",  # both are named, so that the page follows the browser's own choice
    "--theme.dark.primaryColor=#3D9BD9",
)


class Playground(Part):
    """It waits for nothing but the cores: a page that is opened before the endpoints answer says so."""

    name, title, after, seconds = "playground", "Playground", ("ray",), 120
    listens = ("playground_port",)

    def fault(self) -> str | None:
        status, _ = request(f"{self.address}/_stcore/health")
        return None if status == 200 else f"the playground does not answer on {self.address}"

    def launch(self) -> None:
        port = f"--server.port={self.settings.playground_port}"
        command = [sys.executable, "-m", "streamlit", "run", str(PAGE), port, *FLAGS]
        self.daemon.start(command, environment(self.settings), cwd=REPOSITORY)
