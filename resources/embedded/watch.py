"""What the supervisor does: it looks whether each part answers, and has those come back that do not.

    python -m resources.embedded.watch [again]

Twice a second it looks whether the processes live that were there when the part last answered, which costs next to
nothing. Every ten seconds, and at once where one of them is gone, the part is asked itself. One that has lost a process
and does not answer is started anew at once; one whose processes live only after a minute of silence, since a laptop
that slept or a machine under load is late and not broken.
"""

import signal
import sys
import time
from collections import Counter
from contextlib import suppress

import psutil

from resources.all import Resources
from resources.database import DatabaseUnavailable
from resources.embedded import Platform
from resources.embedded.part import Part
from resources.embedded.process import alive
from resources.embedded.serve import silent
from resources.ledger import NoLedger
from resources.settings import settings
from workloads.sdk.errors import PlatformError

TICK, LOOK = 0.5, 10.0  # seconds
SILENT_LOOKS = 6  # in a row, until what lives and does not answer is started anew
MANY = 3  # restarts within an hour
RESTARTS, SILENT = ("restart", "restarts"), "silent"  # kinds of alerts
LONGEST_TICK = 900  # seconds; a watch that hangs is ended by the alarm, and started again


class Watch:
    """One supervisor's memory: what it has seen, and what it has not been able to tell yet."""

    def __init__(self, platform: Platform):
        self.platform = platform
        self._cores: dict[str, list[psutil.Process]] = {}  # when the part last answered
        self._silent: Counter[str] = Counter()  # looks in a row
        self._unanswered: Counter[str] = Counter()  # looks in a row, by endpoint
        self._next = 0.0
        self._alerts: list[tuple[str, str, str | None]] = []  # (part, kind, text), as the ledger is to have them
        self._raised: set[tuple[str, str]] | None = None  # (part, kind) that stand in the ledger; unknown at first

    def tick(self) -> None:
        """Look, and do what is due."""
        wanted = self.platform.wanted
        due = time.monotonic() >= self._next
        lost = {part.name for part in wanted if not all(map(alive, self._cores.get(part.name, [])))}
        asked = [part for part in wanted if due or part.name in lost]
        asked = [part for part in asked if self.platform.restarts.wait(part.name) == 0]
        if broken := {part.name for part in asked if self._is_broken(part, part.name in lost)}:
            self._revive(broken)
        if due:
            psutil.wait_procs(psutil.Process().children(), timeout=0)  # collects those that ended
            self._look_at_endpoints()
            self.tell()
            self._next = time.monotonic() + LOOK

    def note(self, name: str, title: str, why: str) -> None:
        """Enter a restart, and raise an alert: at the first ones, and once when it keeps happening."""
        count = self.platform.restarts.add(name)
        print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {title}, restart {count} within an hour: {why}", flush=True)
        if count < MANY:
            self._alerts.append((name, RESTARTS[0], f"{title}, started again: {why}"))
        elif count == MANY:
            text = f"{title}, started again {count} times within an hour, with more and more time between: {why}"
            self._alerts.append((name, RESTARTS[1], text))

    def tell(self) -> None:
        """Write the alerts into the ledger; what it does not take now waits for the next look."""
        alerts = Resources(self.platform.settings).ledger.alerts
        with suppress(DatabaseUnavailable, NoLedger):
            if self._raised is None:
                self._raised = {(alert.thing, alert.kind) for alert in alerts.standing(*RESTARTS, SILENT)}
            steady = [one for one in self._raised if one[1] in RESTARTS and not self.platform.restarts.recent(one[0])]
            self._alerts += [(name, kind, None) for name, kind in steady]
            while self._alerts:
                name, kind, text = self._alerts[0]
                alerts.settle(name, kind, text)
                (self._raised.add if text else self._raised.discard)((name, kind))
                del self._alerts[0]

    def _look_at_endpoints(self) -> None:
        """Ray Serve looks after its replicas itself; that it does not succeed is told."""
        if any(part.name == "serve" and self._cores.get("serve") for part in self.platform.wanted):
            found = silent(self.platform.settings)
            self._unanswered = Counter({route: self._unanswered[route] + 1 for route in found})
            raised = {name for name, kind in self._raised or () if kind == SILENT}
            names = {route: route.strip("/") for route in found}
            late = [route for route in found if self._unanswered[route] == SILENT_LOOKS]
            self._alerts += [(names[route], SILENT, found[route]) for route in late]
            self._alerts += [(name, SILENT, None) for name in raised - set(names.values())]

    def _is_broken(self, part: Part, lost: bool) -> bool:
        fault = part.outage()
        if fault is None:
            self._cores[part.name] = part.core()
            self._silent[part.name] = 0
            return False
        self._silent[part.name] += 1
        late = self._silent[part.name] >= SILENT_LOOKS and not any(self._silent[name] for name in part.after)
        return lost or not part.core() or late

    def _revive(self, names: set[str]) -> None:
        titles = {part.name: part.title for part in self.platform.parts}
        try:
            told = self.platform.revive(names)
        except PlatformError as error:
            told = dict.fromkeys(names, f"it does not come back: {error}")
        for name, why in told.items():
            self.note(name, titles[name], why)
        for name in names:
            self._silent[name] = 0
            self._cores.pop(name, None)
        self._next = 0.0


def main() -> None:
    """Watch until the supervisor is stopped."""
    platform = Platform(settings())
    watch, own = Watch(platform), platform.supervisor
    if "again" in sys.argv:
        watch.note(own.name, own.title, "its process ended")
    while own.running():
        signal.alarm(LONGEST_TICK)
        watch.tick()
        time.sleep(TICK)
    if own.wanted:  # the shell that would start this again was killed
        own.launch()
        watch.note(own.name, own.title, "its shell ended")
        watch.tell()


if __name__ == "__main__":
    main()
