"""What all parts of the embedded platform have in common."""

import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import psutil

from resources.embedded.process import Daemon
from resources.settings import Settings
from workloads.sdk.errors import PlatformError


class PartFailed(PlatformError):
    """A part could not be set up, started or reached; the message says why and what to do."""


class Part(ABC):
    """A service: embedded, or external where its URL is set, and then only looked at.

    Attributes:
        name: name of its pid file and log.
        title: name for people.
        after: parts that must answer before this one starts.
        seconds: how long it may take until it answers.
        elsewhere: settings any of which names another service in place of the embedded one.
        listens: settings of all the fixed ports that it listens on.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    after: ClassVar[tuple[str, ...]] = ()
    seconds: ClassVar[float] = 60
    elsewhere: ClassVar[tuple[str, ...]] = ()
    listens: ClassVar[tuple[str, ...]] = ()

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.daemon = Daemon(settings, self.name)

    @property
    def address(self) -> str:
        """Where it answers, without secrets: what the settings say under its name."""
        return getattr(self.settings, self.name)

    @property
    def external(self) -> bool:
        return any(getattr(self.settings, url) is not None for url in self.elsewhere)

    @property
    def ports(self) -> Mapping[str, int]:
        """Ports by the variables that set them."""
        return {f"MLOPS_{name.upper()}": getattr(self.settings, name) for name in self.listens}

    @abstractmethod
    def fault(self) -> str | None:
        """None where it answers, else one sentence. Quick: a second at most."""

    @abstractmethod
    def launch(self) -> None:
        """Start its process; `fault` is asked until it answers."""

    def running(self) -> bool:
        """Whether its process lives."""
        return self.daemon.process() is not None

    def processes(self) -> list[psutil.Process]:
        """All of its processes."""
        return self.daemon.members()

    def core(self) -> list[psutil.Process]:
        """The processes without any one of which it is of no use."""
        process = self.daemon.process()
        return [] if process is None else [process]

    def outage(self) -> str | None:
        """`fault`, and for an embedded service also that its process lives: a child may answer on without it."""
        if not self.external and not self.running():
            return f"{self.title} does not run"
        return self.fault()

    def trouble(self) -> str | None:
        """`outage`, and whatever else a start anew would mend."""
        return self.outage()

    def recover(self) -> bool:
        """Have it answer again without stopping what lives of it, where there is such a way; whether there was."""
        return False

    def start(self) -> None:
        """Bring it to answering: what runs and answers is left alone, what runs and does not is restarted.

        Raises:
            PartFailed: it ended at once, or does not answer in time.
        """
        if self.running() and self._answers_within(30):  # it may just be starting
            return
        self.stop()  # also what a crash left of it
        try:
            self.launch()
        except (OSError, RuntimeError) as error:
            raise PartFailed(str(error)) from error
        if not self._answers_within(self.seconds):
            ended = "ended at once" if not self.running() else f"does not answer after {self.seconds:.0f} s"
            raise PartFailed(f"{self.title} {ended}; {self.last_words()}")

    def last_words(self) -> str:
        """The end of its log, for an error message."""
        return f"{self.daemon.log} ends with:\n{self.daemon.last_lines()}"

    def stop(self) -> None:
        """End all of its processes; nothing happens where none runs."""
        self.daemon.stop(signal.SIGTERM)

    def _answers_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.fault() is not None:
            if time.monotonic() > deadline or not self.running():
                return False
            time.sleep(0.1)
        return True
