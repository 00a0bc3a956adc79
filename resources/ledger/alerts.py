"""The ledger's alerts: what a person should see, for as long as its cause is there."""

from collections.abc import Collection
from datetime import datetime

from resources.ledger.records import Alert
from resources.ledger.store import Store

RAISED = """
    INSERT INTO alert (thing, kind, key, text) VALUES (%s, %s, %s, %s)
    ON CONFLICT (thing, kind, key) WHERE resolved_at IS NULL
    DO UPDATE SET count = alert.count + 1, last_at = now(), text = excluded.text RETURNING *
"""


class Alerts:
    """An alert stands from when its cause was first seen until that is gone; seen again, it is counted."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, target: str, kind: str, text: str, key: str = "") -> Alert:
        """Raise an alert, or count the one of the same target, kind and key that stands; its text is the newest."""
        (alert,) = self._store.query(Alert, RAISED, [target, kind, key, text])
        return alert

    def settle(self, target: str, kind: str, text: str | None, key: str = "") -> None:
        """Raise an alert while there is something to say; without a text its cause is gone."""
        if text:
            self.add(target, kind, text, key)
        else:
            self.resolve([kind], target, [key])

    def resolve(self, kinds: Collection[str], target: str | None = None, keys: Collection[str] | None = None,
                but: Collection[str] = ()) -> list[Alert]:  # fmt: skip
        """The cause of what stands of these kinds is gone; those alerts.

        Args:
            target: of this one alone; otherwise of all, `but` of these.
            keys: with one of these keys alone.
        """
        return self._store.query(
            Alert,
            "UPDATE alert SET resolved_at = now() WHERE resolved_at IS NULL AND kind = ANY(%s)"
            " AND thing = coalesce(%s, thing) AND key = ANY(coalesce(%s, ARRAY[key])) AND thing <> ALL(%s) RETURNING *",
            [list(kinds), target, None if keys is None else list(keys), list(but)],
        )

    def standing(self, *kinds: str) -> list[Alert]:
        """Alerts that stand, of these kinds where any are named; oldest first."""
        return self._store.query(
            Alert,
            "SELECT * FROM alert WHERE resolved_at IS NULL AND kind = ANY(coalesce(%s, ARRAY[kind])) ORDER BY id",
            [list(kinds) or None],
        )

    def since(self, time: datetime | None = None) -> list[Alert]:
        """Alerts seen since then (with time zone), oldest first, whether or not they stand."""
        return self._store.query(
            Alert, "SELECT * FROM alert WHERE last_at >= coalesce(%s, '-infinity'::timestamptz) ORDER BY id", [time]
        )
