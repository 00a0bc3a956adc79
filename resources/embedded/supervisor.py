"""The supervisor as a part: a shell that starts `resources.embedded.watch` again, however that ends."""

import sys

from resources.embedded.part import Part
from resources.embedded.process import command_of
from resources.embedded.variables import environment
from resources.settings import REPOSITORY

# A shell is the smallest process that can wait for another. The pause grows, since what cannot start ends at once.
AGAIN = 'n=1; until "$@" $again; do again=again; sleep $n; n=$((n < 60 ? n * 2 : n)); done'
WATCH = ["-m", "resources.embedded.watch"]


class Supervisor(Part):
    """It has the platform's parts come back, by the platform's own `up`; see `resources/embedded/watch.py`."""

    name, title = "supervisor", "Supervisor"

    @property
    def address(self) -> str:
        return str(self.daemon.log)

    @property
    def wanted(self) -> bool:
        """Whether it was started, and not stopped: its end removes the pid file, a crash does not."""
        return bool(self.daemon.record())

    def fault(self) -> str | None:
        """A watch that hangs ends itself, so that one that lives does its work."""
        watching = any(command_of(process)[1:3] == WATCH for process in self.processes())
        return None if watching else "the supervisor does not watch, so that nothing comes back by itself"

    def launch(self) -> None:
        command = ["/bin/sh", "-c", AGAIN, "supervisor", sys.executable, *WATCH]
        self.daemon.start(command, environment(self.settings) | {"again": ""}, cwd=REPOSITORY)
