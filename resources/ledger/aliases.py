"""The ledger's aliases: where each should point in the registry, and the moves that are still to be done there."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from resources.database import connect
from resources.ledger.alerts import Alerts
from resources.ledger.records import CANDIDATE, CHAMPION, PREVIOUS, AliasMove
from resources.ledger.store import Store

LOCK_SECONDS = 60
NAMES = (CANDIDATE, CHAMPION, PREVIOUS)
EXPECTED = """
    SELECT newest.thing, newest.number, live.number, before.number
    FROM (SELECT thing, max(number) AS number FROM candidate GROUP BY thing) AS newest
    LEFT JOIN live ON live.thing = newest.thing LEFT JOIN released before ON before.id = live.previous
"""


class Aliases:
    """Alias moves are asked for in the transaction that decides, and done afterwards by whoever comes first."""

    def __init__(self, store: Store, alerts: Alerts) -> None:
        self._store = store
        self._alerts = alerts

    def expected(self, target: str) -> dict[str, int | None]:
        """Where each alias should point: the newest candidate, what is released, what was released before."""
        row = self._store.execute(f"{EXPECTED} WHERE newest.thing = %s", [target]).fetchone()
        return dict(zip(NAMES, row[1:] if row else [None] * len(NAMES), strict=True))

    def unsettled(self, actual: Mapping[str, Mapping[str, int]]) -> set[str]:
        """Targets with a move pending, or whose aliases are not as expected; `actual` are MLflow's, by target.

        Read without their locks: whoever acts on it looks again.
        """
        with self._store.transaction() as connection:
            pending = connection.execute("SELECT DISTINCT thing FROM alias_move WHERE done_at IS NULL").fetchall()
            rows = connection.execute(EXPECTED).fetchall()
        expected = {thing: numbers for thing, *numbers in rows}
        different = {
            target
            for target in expected.keys() | actual.keys()
            if [actual.get(target, {}).get(alias) for alias in NAMES] != expected.get(target, [None] * len(NAMES))
        }
        return different | {thing for (thing,) in pending}

    def pending(self, target: str | None = None) -> list[AliasMove]:
        """Moves that are asked for and not done, oldest first; of one target where it is given."""
        return self._store.query(
            AliasMove,
            "SELECT * FROM alias_move WHERE done_at IS NULL AND thing = coalesce(%s, thing) ORDER BY id",
            [target],
        )

    def mark_moved(self, move: AliasMove) -> None:
        """A move is done, and so are the earlier ones of the same alias, which it made void."""
        self._store.execute(
            "UPDATE alias_move SET done_at = now() WHERE thing = %s AND alias = %s AND id <= %s AND done_at IS NULL",
            [move.thing, move.alias, move.id],
        )

    def put_back(self, target: str, kind: str, text: str, key: str = "", aliases: Iterable[str] = (CHAMPION,)) -> None:
        """Ask for aliases of a target to be set again, and raise an alert."""
        with self._store.transaction():
            self._store.lock(target)
            expected = self.expected(target)
            self.ask(target, {alias: expected[alias] for alias in aliases})
            self._alerts.add(target, kind, text, key)

    @contextmanager
    def projecting(self, target: str) -> Iterator[None]:
        """One process at a time projects a target's aliases. The lock ends with its process, however that ends.

        Raises:
            TimeoutError: another process holds it for longer than a minute.
        """
        from psycopg import errors

        with connect(self._store.settings, autocommit=True) as connection:
            connection.execute("SELECT set_config('lock_timeout', %s, false)", [f"{LOCK_SECONDS}s"])
            try:
                connection.execute(
                    "SELECT pg_advisory_lock(hashtextextended(%s, 0))", [f"{self._store.schema}:project:{target}"]
                )
            except errors.LockNotAvailable:
                raise TimeoutError(
                    f"another process has been setting the aliases of {target} for {LOCK_SECONDS} s; try again"
                ) from None
            yield

    def ask(self, target: str, moves: Mapping[str, int | None]) -> None:
        """Ask for aliases to be set (None: removed)."""
        with self._store.transaction():
            for alias, number in moves.items():
                self._store.insert("alias_move", {"thing": target, "alias": alias, "number": number})
