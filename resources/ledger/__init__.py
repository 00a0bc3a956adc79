"""The ledger: which data, candidates, reports, decisions and releases there are. Append-only, and the truth.

What other systems show (the registry's aliases) is a projection of it: the moves it asks for stand in `alias_move`
until they are done. Everything has a numeric id; lineage is following ids.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from resources.ledger.aliases import AliasPages
from resources.ledger.batches import Batch, BatchPages, NewBatch
from resources.ledger.data import DataPages, MovedTag
from resources.ledger.records import (
    CANDIDATE,
    CHAMPION,
    PREVIOUS,
    RELEASING,
    Action,
    Alert,
    AliasMove,
    Candidate,
    Decision,
    NewCandidate,
    Release,
)
from resources.ledger.reports import GateReport
from resources.ledger.store import NoLedger, jsonb
from resources.ledger.versions import Version, changes_of, following
from resources.registry.version import DataFile, DataVersion
from workloads.sdk.errors import PlatformError

if TYPE_CHECKING:
    import psycopg

__all__ = [
    "CANDIDATE", "CHAMPION", "PREVIOUS", "Action", "Alert", "AliasMove", "Batch", "Candidate", "ChampionMoved",
    "DataFile", "DataVersion", "Decision", "Ledger", "MovedTag", "NewBatch", "NewCandidate", "NoLedger", "Release",
]  # fmt: skip


class ChampionMoved(PlatformError):
    """Something else was released since the report was made; judge again."""


class Ledger(DataPages, AliasPages, BatchPages):
    """One environment's ledger. Each public method is one transaction."""

    # Candidates and reports.

    def add_candidate(self, new: NewCandidate) -> Candidate:
        """Enter a candidate, and ask for `@candidate` to point at it if it is the newest. Idempotent.

        Raises:
            ValueError: the target has this number already, of another digest.
        """
        return self.add_candidates([new])[0]

    def add_candidates(self, new: Sequence[NewCandidate]) -> list[Candidate]:
        """Enter what came of one training, all or nothing; the last, of the highest number, stands for release.

        So the newest candidate of a target is always one that its training has chosen.
        """
        with self._transaction() as connection:
            return [self._add_candidate(connection, each) for each in new]

    def _add_candidate(self, connection: "psycopg.Connection[Any]", new: NewCandidate) -> Candidate:
        values = asdict(new)
        values |= {name: jsonb(values[name]) for name in ("parameters", "metrics", "parts")}
        values["parity"] = None if new.parity is None else jsonb(new.parity)
        columns = ", ".join(values)
        self._lock(connection, new.thing)
        inserted = connection.execute(
            f"INSERT INTO candidate ({columns}) VALUES ({', '.join(f'%({name})s' for name in values)})"  # noqa: S608 - names of our own fields
            " ON CONFLICT (thing, number) DO NOTHING RETURNING id",
            values,
        ).fetchone()
        candidate = self._one(connection, Candidate, "SELECT * FROM candidate", thing=new.thing, number=new.number)
        assert candidate is not None
        if candidate.digest != new.digest:
            raise ValueError(
                f"{new.thing} has a number {new.number} already, of digest {candidate.digest[:12]},"
                f" not {new.digest[:12]}"
            )
        if inserted and self._aliases(connection, new.thing)[CANDIDATE] == new.number:
            self._ask(connection, new.thing, {CANDIDATE: new.number})
        return candidate

    def candidate(self, target: str, number: int) -> Candidate | None:
        return self._read(Candidate, "SELECT * FROM candidate", thing=target, number=number)

    def candidate_by_id(self, candidate: int) -> Candidate | None:
        return self._read(Candidate, "SELECT * FROM candidate", id=candidate)

    def candidates(self, target: str, data_version: str | None = None) -> list[Candidate]:
        """A target's candidates, newest last; those made from one data version where it is given."""
        where = {"thing": target} | ({} if data_version is None else {"data_version": data_version})
        return self._read_all(Candidate, "SELECT * FROM candidate", **where)

    def newest_candidate(self, target: str, **where: Any) -> Candidate | None:
        """A target's newest candidate; of those with such values, where some are given by column."""
        return self._read(Candidate, "SELECT * FROM candidate", "ORDER BY id DESC LIMIT 1", thing=target, **where)

    def durations(self, target: str, tier: str, latest: int, variant: str | None = None) -> list[tuple[int, float]]:
        """Rows of the data (all splits) and seconds of the latest trainings on a tier, of one variant if given."""
        rows = "SELECT coalesce(sum((s->>'rows')::int8), 0)::int8 FROM jsonb_path_query(d.metadata, '$.splits.*') s"
        statement = (
            f"SELECT ({rows}), c.seconds FROM candidate c"  # noqa: S608 - a text of ours
            " JOIN data_version d ON (d.name, d.version) = (c.data_name, c.data_version)"
            " WHERE c.thing = %s AND c.tier = %s AND c.seconds IS NOT NULL AND c.variant = coalesce(%s, c.variant)"
            " ORDER BY c.id DESC LIMIT %s"
        )
        with self._transaction() as connection:
            return connection.execute(statement, [target, tier, variant, latest]).fetchall()

    def candidates_of_data(self, name: str, version: str) -> list[Candidate]:
        """Everything that was made from a data version, newest last."""
        return self._read_all(Candidate, "SELECT * FROM candidate", data_name=name, data_version=version)

    def compositions(self, releases: Sequence[int]) -> list[Candidate]:
        """The candidates that are put together of any of these releases (ids), newest last."""
        return self._query(
            Candidate,
            "SELECT * FROM candidate WHERE releases_of(parts) && %s::bigint[] ORDER BY id",
            [list(releases)],
        )

    def add_report(self, candidate: int, report: GateReport) -> int:
        """Enter a report about a candidate (its id), unless it is the newest already. Returns the report's id."""
        with self._transaction() as connection:
            return self._add_report(connection, candidate, report)

    def report(self, candidate: int) -> GateReport | None:
        """The newest report about a candidate (its id)."""
        with self._transaction() as connection:
            row = self._newest_report(connection, candidate)
        return GateReport.model_validate(row[1]) if row else None

    def decisions(self, candidate: int) -> list[Decision]:
        """What was decided about a candidate (its id), newest last."""
        return self._read_all(Decision, "SELECT * FROM decision", candidate=candidate)

    def waiting(self, target: str) -> list[Candidate]:
        """Candidates that the last decision about them holds, newest last."""
        return self._query(
            Candidate,
            "SELECT c.* FROM candidate c WHERE thing = %s AND 'hold' ="
            " (SELECT action FROM decision d WHERE d.candidate = c.id ORDER BY id DESC LIMIT 1) ORDER BY number",
            [target],
        )

    # Decisions and releases.

    def decide(
        self,
        candidate: int,
        action: Action,
        *,
        actor: str,
        why: str,
        report: GateReport | None = None,
        against: int | None = 0,
        alert: str | None = None,
        put_back: bool = False,
    ) -> Release | None:
        """Decide about a candidate (its id): report, decision, release, current, previous, alias moves; or none of it.

        Deciding to release what is current already changes nothing. So does deciding once more, on the same report,
        what was decided last about this candidate.

        Args:
            actor: who decides: a person, or a part of the platform.
            report: the report that it is decided on; entered here where it is not yet.
            against: id of the candidate that must be current (None: nothing released), as the report assumes; 0: any.
            alert: with an action that does not release: also raise this alert, once.
            put_back: with such an action: raise the alert each time, and ask for `@champion` to be set again.

        Returns:
            The target's current release afterwards.

        Raises:
            ChampionMoved: another candidate than `against` is current.
        """
        with self._transaction() as connection:
            subject = self._one(connection, Candidate, "SELECT * FROM candidate", id=candidate)
            if subject is None:
                raise LookupError(f"the ledger has no candidate {candidate}")
            self._lock(connection, subject.thing)
            current = self._current(connection, subject.thing)
            if action in RELEASING and current and current.candidate == candidate:
                return current
            if against != 0 and (current.candidate if current else None) != against:
                raise ChampionMoved(f"{current.version if current else 'nothing'} is released as {subject.thing} now")
            on = self._add_report(connection, candidate, report) if report else None
            last = connection.execute(
                "SELECT action, report FROM decision WHERE candidate = %s ORDER BY id DESC LIMIT 1", [candidate]
            ).fetchone()
            repeated = action not in RELEASING and last == (action, on)
            if not repeated:
                row = connection.execute(
                    "INSERT INTO decision (thing, candidate, report, action, actor, why)"
                    " VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
                    [subject.thing, candidate, on, action, actor, why],
                ).fetchone()
                if action in RELEASING:
                    return self._release(connection, subject, row[0], current)
            if alert is not None and put_back:
                self._put_back(connection, subject.thing, action, alert)
            elif alert is not None:
                self._alert_once(connection, subject.thing, action, alert)
            return current

    def _release(
        self, connection: "psycopg.Connection[Any]", subject: Candidate, decision: int, current: Release | None
    ) -> Release:
        old = self._one(connection, Candidate, "SELECT * FROM candidate", id=current.candidate) if current else None
        given = connection.execute(
            "SELECT version, candidate FROM release WHERE thing = %s", [subject.thing]
        ).fetchall()
        own = [version for version, candidate in given if candidate == subject.id]
        bump, changes = changes_of(old, subject)
        if own:
            version, changes = own[-1], [f"{own[-1]} released again", *changes]
        else:
            before = Version.parse(current.version) if current else None
            version = str(following(before, bump, (Version.parse(version) for version, _ in given)))
        previous = current.id if current else None
        row = connection.execute(
            "INSERT INTO release (thing, version, candidate, decision, previous, changes)"
            " VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
            [subject.thing, version, subject.id, decision, previous, jsonb(changes)],
        ).fetchone()
        connection.execute(
            "INSERT INTO current (thing, release, previous) VALUES (%s, %s, %s)"
            " ON CONFLICT (thing) DO UPDATE SET release = excluded.release, previous = excluded.previous",
            [subject.thing, row[0], previous],
        )
        self._ask(connection, subject.thing, {PREVIOUS: current.number if current else None, CHAMPION: subject.number})
        release = self._current(connection, subject.thing)
        assert release is not None
        return release

    def current(self, target: str) -> Release | None:
        """What is released now."""
        with self._transaction() as connection:
            return self._current(connection, target)

    def previous(self, target: str) -> Release | None:
        """What was released before that, and a rollback goes to."""
        now = self.current(target)
        return self.release(now.previous) if now and now.previous else None

    def release(self, release: int) -> Release | None:
        return self._read(Release, "SELECT * FROM released", id=release)

    def releases(self, target: str) -> list[Release]:
        """A target's releases, newest last."""
        return self._read_all(Release, "SELECT * FROM released", thing=target)

    def releases_of_candidates(self, candidates: Sequence[int]) -> list[Release]:
        """The releases of any of these candidates (ids), newest last."""
        return self._query(Release, "SELECT * FROM released WHERE candidate = ANY(%s) ORDER BY id", [list(candidates)])

    def targets(self) -> list[str]:
        """Everything that ever had a candidate."""
        with self._transaction() as connection:
            return [row[0] for row in connection.execute("SELECT DISTINCT thing FROM candidate ORDER BY thing")]

    def entries(self, target: str) -> int:
        """How many decisions and alerts about a target there are: grows with everything that is answered to it."""
        counted = (
            "SELECT (SELECT count(*) FROM decision WHERE thing = %(thing)s)"
            " + (SELECT count(*) FROM alert WHERE thing = %(thing)s)"
        )
        with self._transaction() as connection:
            return connection.execute(counted, {"thing": target}).fetchone()[0]

    def _current(self, connection: "psycopg.Connection[Any]", target: str) -> Release | None:
        return self._one(connection, Release, "SELECT * FROM live", thing=target)

    def _add_report(self, connection: "psycopg.Connection[Any]", candidate: int, report: GateReport) -> int:
        newest = self._newest_report(connection, candidate)
        if newest and GateReport.model_validate(newest[1]) == report:
            return newest[0]
        row = connection.execute(
            "INSERT INTO report (candidate, verdict, content) VALUES (%s, %s, %s) RETURNING id",
            [candidate, report.verdict, jsonb(report.model_dump(mode="json"))],
        ).fetchone()
        return row[0]

    def _newest_report(self, connection: "psycopg.Connection[Any]", candidate: int) -> tuple[int, Any] | None:
        return connection.execute(
            "SELECT id, content FROM report WHERE candidate = %s ORDER BY id DESC LIMIT 1", [candidate]
        ).fetchone()
