"""The ledger's candidates: what may be released, and what each was made from."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from resources.ledger.aliases import Aliases
from resources.ledger.records import CANDIDATE, Candidate, NewCandidate
from resources.ledger.store import Store


class Candidates:
    """Candidates, entered once. Each public method is one transaction."""

    def __init__(self, store: Store, aliases: Aliases) -> None:
        self._store = store
        self._aliases = aliases

    def add(self, new: NewCandidate) -> Candidate:
        """Enter a candidate, and ask for `@candidate` to point at it if it is the newest. Idempotent.

        Raises:
            ValueError: the target has this number already, of another digest.
        """
        return self.add_all([new])[0]

    def add_all(self, new: Sequence[NewCandidate]) -> list[Candidate]:
        """Enter what came of one training, all or nothing; the last, of the highest number, stands for release.

        So the newest candidate of a target is always one that its training has chosen.
        """
        with self._store.transaction():
            return [self._add(each) for each in new]

    def _add(self, new: NewCandidate) -> Candidate:
        self._store.lock(new.thing)
        inserted = self._store.insert("candidate", asdict(new), "ON CONFLICT (thing, number) DO NOTHING")
        candidate = self.get(new.thing, new.number)
        assert candidate is not None
        if candidate.digest != new.digest:
            raise ValueError(
                f"{new.thing} has a number {new.number} already, of digest {candidate.digest[:12]},"
                f" not {new.digest[:12]}"
            )
        if inserted and self._aliases.expected(new.thing)[CANDIDATE] == new.number:
            self._aliases.ask(new.thing, {CANDIDATE: new.number})
        return candidate

    def get(self, target: str, number: int) -> Candidate | None:
        return self._store.read(Candidate, "SELECT * FROM candidate", thing=target, number=number)

    def by_id(self, candidate: int) -> Candidate | None:
        return self._store.read(Candidate, "SELECT * FROM candidate", id=candidate)

    def of(self, target: str, data_version: str | None = None) -> list[Candidate]:
        """A target's candidates, newest last; those made from one data version where it is given."""
        where = {"thing": target} | ({} if data_version is None else {"data_version": data_version})
        return self._store.read_all(Candidate, "SELECT * FROM candidate", **where)

    def highest(self, target: str, beside: str) -> int:
        """The highest number of a target's candidates of all runs in MLflow beside this one (its id); 0 without any."""
        asked = "SELECT coalesce(max(number), 0) FROM candidate WHERE thing = %s AND run_id <> %s"
        (row,) = self._store.execute(asked, [target, beside]).fetchall()
        return row[0]

    def newest(self, target: str, **where: Any) -> Candidate | None:
        """A target's newest candidate; of those with such values, where some are given by column."""
        return self._store.read(Candidate, "SELECT * FROM candidate", "ORDER BY id DESC", thing=target, **where)

    def durations(self, target: str, tier: str, latest: int, variant: str | None = None) -> list[tuple[int, float]]:
        """Rows of the data (all splits) and seconds of the latest trainings on a tier, of one variant if given."""
        rows = "SELECT coalesce(sum((s->>'rows')::int8), 0)::int8 FROM jsonb_path_query(d.metadata, '$.splits.*') s"
        statement = (
            f"SELECT ({rows}), c.seconds FROM candidate c"  # noqa: S608 - a text of ours
            " JOIN data_version d ON (d.name, d.version) = (c.data_name, c.data_version)"
            " WHERE c.thing = %s AND c.tier = %s AND c.seconds IS NOT NULL AND c.variant = coalesce(%s, c.variant)"
            " ORDER BY c.id DESC LIMIT %s"
        )
        return self._store.execute(statement, [target, tier, variant, latest]).fetchall()

    def of_data(self, name: str, version: str) -> list[Candidate]:
        """Everything that was made from a data version, newest last."""
        return self._store.read_all(Candidate, "SELECT * FROM candidate", data_name=name, data_version=version)

    def compositions(self, releases: Sequence[int]) -> list[Candidate]:
        """The candidates that are put together of any of these releases (ids), newest last."""
        return self._store.query(
            Candidate,
            "SELECT * FROM candidate WHERE releases_of(parts) && %s::bigint[] ORDER BY id",
            [list(releases)],
        )

    def waiting(self, target: str) -> list[Candidate]:
        """Candidates that the last decision about them holds, newest last."""
        return self._store.query(
            Candidate,
            "SELECT c.* FROM candidate c WHERE thing = %s AND 'hold' ="
            " (SELECT action FROM decision d WHERE d.candidate = c.id ORDER BY id DESC LIMIT 1) ORDER BY number",
            [target],
        )

    def states(self, target: str) -> dict[int, str]:
        """How each candidate stands, by number: `released` (now or once), `held`, `refused`, `judged`, `not judged`."""
        asked = (
            "SELECT number, CASE WHEN EXISTS (SELECT FROM release r WHERE r.candidate = c.id) THEN 'released'"
            " WHEN d.action = 'hold' THEN 'held' WHEN d.action IS NOT NULL THEN 'refused'"
            " WHEN EXISTS (SELECT FROM report p WHERE p.candidate = c.id) THEN 'judged' ELSE 'not judged' END"
            " FROM candidate c LEFT JOIN LATERAL (SELECT action FROM decision WHERE candidate = c.id"
            " ORDER BY id DESC LIMIT 1) d ON true WHERE thing = %s"
        )
        return dict(self._store.execute(asked, [target]).fetchall())

    def targets(self) -> list[str]:
        """Everything that ever had a candidate."""
        return [thing for (thing,) in self._store.execute("SELECT DISTINCT thing FROM candidate ORDER BY thing")]
