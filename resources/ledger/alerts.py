"""The ledger's alerts: what a person should see."""

from datetime import datetime

from resources.ledger.records import Alert
from resources.ledger.store import Store

# The same alert, since the target's current release: nothing that was done has ended it.
STANDING = """
    SELECT id FROM alert WHERE thing = %s AND kind = %s AND text = %s AND created_at >= coalesce(
        (SELECT live.created_at FROM live WHERE live.thing = alert.thing), '-infinity') ORDER BY id DESC LIMIT 1
"""


class Alerts:
    """Alerts, raised once for as long as they stand."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, target: str, kind: str, text: str, again: bool = False) -> Alert:
        """Raise an alert. Unless `again`, the same one is returned where it stands, since the current release."""
        values = {"thing": target, "kind": kind, "text": text}
        with self._store.transaction():
            self._store.lock(target)
            if again or not self._store.execute(STANDING, [target, kind, text]).fetchone():
                self._store.insert("alert", values)
            alert = self._store.read(Alert, "SELECT * FROM alert", "ORDER BY id DESC", **values)
        assert alert is not None
        return alert

    def since(self, time: datetime | None = None) -> list[Alert]:
        """Alerts raised since then (with time zone), oldest first."""
        return self._store.query(
            Alert, "SELECT * FROM alert WHERE created_at >= coalesce(%s, '-infinity'::timestamptz) ORDER BY id", [time]
        )
