"""The ledger: which data, candidates, reports, decisions and releases there are. Append-only, and the truth.

What other systems show (the registry's aliases) is a projection of it: the moves it asks for stand in `alias_move`
until they are done. Everything has a numeric id; lineage is following ids.
"""

from collections.abc import Sequence

from resources.ledger.alerts import Alerts
from resources.ledger.aliases import Aliases
from resources.ledger.batches import Batch, Batches, NewBatch
from resources.ledger.candidates import Candidates
from resources.ledger.data import Data, MovedTag
from resources.ledger.records import (
    CANDIDATE,
    CHAMPION,
    PREVIOUS,
    RELEASING,
    Action,
    Alert,
    AliasMove,
    Candidate,
    Decided,
    Decision,
    NewCandidate,
    Release,
)
from resources.ledger.reports import GateReport
from resources.ledger.store import NoLedger, Store
from resources.registry.version import Bump, DataFile, DataVersion, SemanticVersion, following
from resources.settings import Settings
from workloads.sdk.errors import PlatformError

__all__ = [
    "CANDIDATE", "CHAMPION", "PREVIOUS", "Action", "Alert", "AliasMove", "Batch", "Candidate", "ChampionMoved",
    "DataFile", "DataVersion", "Decided", "DecidedMeanwhile", "Decision", "Ledger", "MovedTag", "NewBatch",
    "NewCandidate", "NoLedger", "Release",
]  # fmt: skip


class DecidedMeanwhile(PlatformError):
    """Somebody decided about the candidate since it was looked at; look again."""


class ChampionMoved(PlatformError):
    """Something else was released since the report was made; judge again."""


class Ledger:
    """One environment's ledger: its reports, decisions and releases, and by name what they are about.

    Each public method is one transaction.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._store = Store(settings)
        self.data = Data(self._store)
        self.batches = Batches(self._store)
        self.alerts = Alerts(self._store)
        self.aliases = Aliases(self._store, self.alerts)
        self.candidates = Candidates(self._store, self.aliases)

    def migrate(self) -> None:
        """Bring the tables to this version; what is there is kept. Raises NoLedger where they are of a newer one."""
        self._store.migrate()

    def add_report(self, candidate: int, report: GateReport) -> int:
        """Enter a report about a candidate (its id), unless it is the newest already. Returns the report's id."""
        with self._store.transaction():
            newest, last = self._newest_report(candidate)
            if last == report:
                return newest
            values = {"candidate": candidate, "verdict": report.verdict, "content": report.model_dump(mode="json")}
            return self._store.insert("report", values)

    def report(self, candidate: int) -> GateReport | None:
        """The newest report about a candidate (its id)."""
        return self._newest_report(candidate)[1]

    def _newest_report(self, candidate: int) -> tuple[int, GateReport | None]:
        newest = "SELECT id, content FROM report WHERE candidate = %s ORDER BY id DESC LIMIT 1"
        row = self._store.execute(newest, [candidate]).fetchone()
        return (row[0], GateReport.model_validate(row[1])) if row else (0, None)

    def decisions(self, candidate: int) -> list[Decision]:
        """What was decided about a candidate (its id), newest last."""
        return self._store.read_all(Decision, "SELECT * FROM decision", candidate=candidate)

    def decide(
        self,
        candidate: int,
        action: Action,
        *,
        actor: str,
        why: str,
        report: GateReport | None = None,
        against: int | None = 0,
        after: int | None = 0,
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
            after: id of the last decision about the candidate that was seen (None: there was none), which must still be
                the last; 0: any.
            alert: with an action that does not release: also raise this alert, once.
            put_back: with such an action: raise the alert each time, and ask for `@champion` to be set again.

        Returns:
            The target's current release afterwards.

        Raises:
            ChampionMoved: another candidate than `against` is current.
            DecidedMeanwhile: somebody has decided about this candidate since `after`.
        """
        with self._store.transaction() as connection:
            subject = self.candidates.by_id(candidate)
            if subject is None:
                raise LookupError(f"the ledger has no candidate {candidate}")
            self._store.lock(subject.thing)
            current = self.current(subject.thing)
            if action in RELEASING and current and current.candidate == candidate:
                return current
            if against != 0 and (current.candidate if current else None) != against:
                raise ChampionMoved(f"{current.version if current else 'nothing'} is released as {subject.thing} now")
            on = self.add_report(candidate, report) if report else None
            last = connection.execute(
                "SELECT action, report, id, actor FROM decision WHERE candidate = %s ORDER BY id DESC LIMIT 1",
                [candidate],
            ).fetchone()
            if last and after not in (0, last[2]):
                number = f"version {subject.number} of {subject.thing}"
                raise DecidedMeanwhile(f"{last[3]} has decided about {number} meanwhile: {last[0]}")
            repeated = action not in RELEASING and last is not None and last[:2] == (action, on)
            if not repeated:
                values = {"thing": subject.thing, "candidate": candidate, "report": on, "action": action}
                decision = self._store.insert("decision", values | {"actor": actor, "why": why})
                self.alerts.resolve(["hold"], subject.thing, [str(subject.number)])
                if action in RELEASING:
                    return self._release(subject, decision, current, action == "rollback")
            key = str(subject.number)
            if alert is not None and put_back:
                self.aliases.put_back(subject.thing, action, alert, key)
            elif alert is not None:
                self.alerts.add(subject.thing, action, alert, key)
            return current

    def _release(self, subject: Candidate, decision: int, current: Release | None, back: bool) -> Release:
        """`back`: what was before is then what was before that release when it was new: a second step goes further."""
        old = self.candidates.by_id(current.candidate) if current else None
        releases = "SELECT version, candidate FROM release WHERE thing = %s"
        given = self._store.execute(releases, [subject.thing]).fetchall()
        own = [version for version, candidate in given if candidate == subject.id]
        bump, changes = _changes(old, subject)
        if own:
            version, changes = own[-1], [f"{own[-1]} released again", *changes]
        else:
            now = SemanticVersion.parse(current.version) if current else None
            version = str(following(now, bump, (SemanticVersion.parse(version) for version, _ in given)))
        before = self.releases_of_candidates([subject.id]) if back else []
        previous = before[-1].previous if before else current.id if current else None
        values = {"thing": subject.thing, "version": version, "candidate": subject.id, "decision": decision}
        self._store.insert("release", values | {"previous": previous, "changes": changes})
        earlier = self.release(previous) if previous else None
        self.aliases.ask(subject.thing, {PREVIOUS: earlier.number if earlier else None, CHAMPION: subject.number})
        release = self.current(subject.thing)
        assert release is not None
        return release

    def current(self, target: str) -> Release | None:
        """What is released now."""
        return self._store.read(Release, "SELECT * FROM live", thing=target)

    def all_current(self) -> list[Release]:
        """What is released now of each target."""
        return self._store.query(Release, "SELECT * FROM live ORDER BY thing")

    def environments(self) -> list[str]:
        """Environments that have a ledger in the same database."""
        asked = "SELECT left(nspname, -7) FROM pg_namespace WHERE nspname LIKE '%\\_ledger' ORDER BY 1"
        return [name for (name,) in self._store.execute(asked)]

    def previous(self, target: str) -> Release | None:
        """What was released before that, and a rollback goes to."""
        now = self.current(target)
        return self.release(now.previous) if now and now.previous else None

    def release(self, release: int) -> Release | None:
        return self._store.read(Release, "SELECT * FROM released", id=release)

    def releases(self, target: str) -> list[Release]:
        """A target's releases, newest last."""
        return self._store.read_all(Release, "SELECT * FROM released", thing=target)

    def releases_of_candidates(self, candidates: Sequence[int]) -> list[Release]:
        """The releases of any of these candidates (ids), newest last."""
        return self._store.query(
            Release, "SELECT * FROM released WHERE candidate = ANY(%s) ORDER BY id", [list(candidates)]
        )

    def history(self, target: str) -> list[Decided]:
        """All that was decided about a target, newest last."""
        return self._store.query(
            Decided,
            "SELECT d.created_at, d.action, r.version, c.number, c.data_version, d.actor, d.why FROM decision d"
            " JOIN candidate c ON c.id = d.candidate LEFT JOIN release r ON r.decision = d.id"
            " WHERE d.thing = %s ORDER BY d.id",
            [target],
        )

    def entries(self, target: str) -> int:
        """How many decisions and alerts about a target there were: grows with everything that is answered to it."""
        counted = (
            "SELECT (SELECT count(*) FROM decision WHERE thing = %(thing)s)"
            " + (SELECT coalesce(sum(count), 0) FROM alert WHERE thing = %(thing)s)"
        )
        (count,) = self._store.execute(counted, {"thing": target})
        return count[0]


def _changes(old: Candidate | None, new: Candidate) -> tuple[Bump, list[str]]:
    """What is different from what is released, and which part of the version that moves."""
    if old is None:
        return "major", ["first release"]
    bump: Bump = "patch"
    changes = []
    if old.data_digest != new.data_digest:
        bump = "minor"
        changes.append(f"data {old.data_version} -> {new.data_version}")
    if old.signature != new.signature:
        bump = "major"
        changes.insert(0, "the form of requests or answers changed")
    for name in sorted(old.parameters.keys() | new.parameters.keys()):
        before, after = old.parameters.get(name), new.parameters.get(name)
        if before != after:
            changes.append(f"{name} {before} -> {after}")
    if old.code_version != new.code_version:
        changes.append(f"code {old.code_version[:12]} -> {new.code_version[:12]}")
    return bump, changes or ["trained again"]
