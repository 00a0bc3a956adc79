"""The ledger's pages on what others should see: aliases to be set in the registry, and alerts."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from resources.ledger.records import CANDIDATE, CHAMPION, PREVIOUS, Alert, AliasMove
from resources.ledger.store import Store

if TYPE_CHECKING:
    import psycopg

NAMES = (CANDIDATE, CHAMPION, PREVIOUS)
EXPECTED = """
    SELECT newest.thing, newest.number, live.number, before.number
    FROM (SELECT thing, max(number) AS number FROM candidate GROUP BY thing) AS newest
    LEFT JOIN live ON live.thing = newest.thing LEFT JOIN released before ON before.id = live.previous
"""
# The same alert, since the target's current release: nothing that was done has ended it.
STANDING = """
    SELECT * FROM alert WHERE thing = %(thing)s AND kind = %(kind)s AND text = %(text)s AND created_at >= coalesce(
        (SELECT live.created_at FROM live WHERE live.thing = %(thing)s), '-infinity') ORDER BY id DESC LIMIT 1
"""


class AliasPages(Store):
    """Alias moves are asked for in the transaction that decides, and done afterwards by whoever comes first."""

    def aliases(self, target: str) -> dict[str, int | None]:
        """Where each alias should point: the newest candidate, what is released, what was released before."""
        with self._transaction() as connection:
            return self._aliases(connection, target)

    def unsettled(self, actual: Mapping[str, Mapping[str, int]]) -> set[str]:
        """Targets with a move pending, or whose aliases are not as expected; `actual` are MLflow's, by target.

        Read without their locks: whoever acts on it looks again.
        """
        with self._transaction() as connection:
            pending = connection.execute("SELECT DISTINCT thing FROM alias_move WHERE done_at IS NULL").fetchall()
            rows = connection.execute(EXPECTED).fetchall()
        expected = {thing: numbers for thing, *numbers in rows}
        different = {
            target
            for target in expected.keys() | actual.keys()
            if [actual.get(target, {}).get(alias) for alias in NAMES] != expected.get(target, [None] * len(NAMES))
        }
        return different | {thing for (thing,) in pending}

    def pending_moves(self, target: str | None = None) -> list[AliasMove]:
        """Moves that are asked for and not done, oldest first; of one target where it is given."""
        return self._query(
            AliasMove,
            "SELECT * FROM alias_move WHERE done_at IS NULL AND thing = coalesce(%s, thing) ORDER BY id",
            [target],
        )

    def mark_moved(self, move: AliasMove) -> None:
        """A move is done, and so are the earlier ones of the same alias, which it made void."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE alias_move SET done_at = now()"
                " WHERE thing = %s AND alias = %s AND id <= %s AND done_at IS NULL",
                [move.thing, move.alias, move.id],
            )

    def put_back(self, target: str, kind: str, text: str, aliases: Iterable[str] = (CHAMPION,)) -> None:
        """Ask for aliases of a target to be set again, and raise an alert."""
        with self._transaction() as connection:
            self._lock(connection, target)
            self._put_back(connection, target, kind, text, aliases)

    def alert(self, target: str, kind: str, text: str) -> Alert:
        """Raise an alert; where the same one stands, raised since the target's current release, that is returned."""
        with self._transaction() as connection:
            self._lock(connection, target)
            return self._alert_once(connection, target, kind, text)

    def alerts(self, since: datetime | None = None) -> list[Alert]:
        """Alerts raised since then (with time zone), oldest first."""
        return self._query(
            Alert, "SELECT * FROM alert WHERE created_at >= coalesce(%s, '-infinity'::timestamptz) ORDER BY id", [since]
        )

    def _aliases(self, connection: "psycopg.Connection[Any]", target: str) -> dict[str, int | None]:
        row = connection.execute(f"{EXPECTED} WHERE newest.thing = %s", [target]).fetchone()
        return dict(zip(NAMES, row[1:] if row else [None] * len(NAMES), strict=True))

    def _ask(self, connection: "psycopg.Connection[Any]", target: str, moves: Mapping[str, int | None]) -> None:
        for alias, number in moves.items():
            connection.execute(
                "INSERT INTO alias_move (thing, alias, number) VALUES (%s, %s, %s)", [target, alias, number]
            )

    def _alert_once(self, connection: "psycopg.Connection[Any]", target: str, kind: str, text: str) -> Alert:
        from psycopg.rows import class_row

        with connection.cursor(row_factory=class_row(Alert)) as cursor:
            same = cursor.execute(STANDING, {"thing": target, "kind": kind, "text": text}).fetchone()
        return same or self._alert(connection, target, kind, text)

    def _alert(self, connection: "psycopg.Connection[Any]", target: str, kind: str, text: str) -> Alert:
        row = connection.execute(
            "INSERT INTO alert (thing, kind, text) VALUES (%s, %s, %s) RETURNING id", [target, kind, text]
        ).fetchone()
        alert = self._one(connection, Alert, "SELECT * FROM alert", id=row[0])
        assert alert is not None
        return alert

    def _put_back(
        self,
        connection: "psycopg.Connection[Any]",
        target: str,
        kind: str,
        text: str,
        aliases: Iterable[str] = (CHAMPION,),
    ) -> None:
        expected = self._aliases(connection, target)
        self._ask(connection, target, {alias: expected[alias] for alias in aliases})
        self._alert(connection, target, kind, text)
