"""The ledger's alerts: what a person should see."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from resources.ledger.records import Alert
from resources.ledger.store import Store

if TYPE_CHECKING:
    import psycopg

# The same alert, since the target's current release: nothing that was done has ended it.
STANDING = """
    SELECT id FROM alert WHERE thing = %s AND kind = %s AND text = %s AND created_at >= coalesce(
        (SELECT live.created_at FROM live WHERE live.thing = alert.thing), '-infinity') ORDER BY id DESC LIMIT 1
"""


class Alerts:
    """Alerts, raised once for as long as they stand."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, target: str, kind: str, text: str) -> Alert:
        """Raise an alert; where the same one stands, raised since the target's current release, that is returned."""
        with self._store.transaction() as connection:
            self._store.lock(connection, target)
            self.raise_(connection, target, kind, text)
            alert = self._store.one(
                connection, Alert, "SELECT * FROM alert", "ORDER BY id DESC LIMIT 1", thing=target, kind=kind, text=text
            )
        assert alert is not None
        return alert

    def since(self, time: datetime | None = None) -> list[Alert]:
        """Alerts raised since then (with time zone), oldest first."""
        return self._store.query(
            Alert, "SELECT * FROM alert WHERE created_at >= coalesce(%s, '-infinity'::timestamptz) ORDER BY id", [time]
        )

    def raise_(
        self, connection: "psycopg.Connection[Any]", target: str, kind: str, text: str, again: bool = False
    ) -> None:
        """Raise an alert within a transaction, once, or (`again`) though the same one stands."""
        if again or not connection.execute(STANDING, [target, kind, text]).fetchone():
            self._store.insert(connection, "alert", {"thing": target, "kind": kind, "text": text})
