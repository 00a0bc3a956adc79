"""Alerts: a row in the ledger, and a line in the log."""

import logging

from resources.ledger import Alert, Ledger
from resources.settings import Settings

log = logging.getLogger("mlops.alerts")


class Notifier:
    """Tells people what they should look at."""

    def __init__(self, settings: Settings) -> None:
        self.ledger = Ledger(settings)

    def alert(self, thing: str, kind: str, text: str) -> Alert:
        """Raise an alert about a thing. Saying the same again adds no row, so a sensor may call this at every tick."""
        log.warning("%s: %s: %s", thing or "platform", kind, text)
        return self.ledger.alert(thing, kind, text)
