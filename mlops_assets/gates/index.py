"""Gates of an index: what a table of vectors must show before it may be released, asked of the table itself.

Its recall is how many of the chunks that an exact search finds nearest the HNSW index finds too.
"""

import json
from dataclasses import asdict
from itertools import cycle
from typing import TYPE_CHECKING, Any

from mlops_assets.gates.evaluation import Compared, Found, fastest, latency, leads_to, needless, report
from mlops_assets.gates.index_table import Query, Table
from mlops_assets.gates.scores import broken_champion, comparison, of_candidate, sentence
from mlops_assets.gates.statistics import mean_interval, paired
from mlops_assets.release.intact import verified
from resources.all import Resources
from resources.database import connect
from resources.ledger import Candidate
from resources.ledger.reports import Check, GateReport
from resources.settings import Settings
from resources.tracking import Tracking
from workloads.sdk.artifacts import digest_of
from workloads.sdk.contract import OnInconclusive, Verdict
from workloads.sdk.contract.applications import PART, Index, IndexGates

if TYPE_CHECKING:
    import psycopg
    from numpy.typing import NDArray

QUERIES = "chunks' own vectors, filtered by each value in turn"  # part of the rules: a report by others does not hold


def judge(index: Index, candidate: Candidate, champion: Candidate | None, settings: Settings) -> GateReport:
    """Judge a candidate's table, and compare it with what is released now (None: nothing is) on the same queries.

    A candidate whose artifacts or table are not whole is refused with the reason; a champion that cannot be asked
    counts as no comparison.

    Raises:
        resources.database.DatabaseUnavailable: PostgreSQL does not answer.
        resources.tracking.TrackingUnavailable: the artifacts are to be fetched from MLflow, which does not answer.
    """
    judging = Judging(index.gates, candidate, champion, settings)
    with connect(settings, application_name="mlops gate") as connection:
        found = judging.checks(connection)
    test, n = digest_of([str(query.id) for query in judging.queries]), len(judging.queries)
    return report(candidate, champion, found, environment=settings.env, rules=rules(index), test=test, n=n)


def rules(index: Index) -> str:
    """Digest of what the declaration asks of a candidate."""
    from workloads.sdk.kits.retrieval.sql import EF_SEARCH, FURTHER

    return digest_of([asdict(index.gates), EF_SEARCH, FURTHER, QUERIES])[:16]


def content_of(candidate: Candidate, settings: Settings) -> dict[str, Any]:
    """What a candidate's artifacts say of its table, see `Composition`. Raises where they are not whole."""
    return json.loads((verified(candidate, Tracking(settings)) / PART).read_text())


class Judging:
    """One candidate before its gate."""

    def __init__(self, gates: IndexGates, candidate: Candidate, champion: Candidate | None, settings: Settings):
        self.gates, self.candidate, self.champion, self.settings = gates, candidate, champion, settings
        self.queries: list[Query] = []

    def checks(self, connection: "psycopg.Connection[Any]") -> Found:
        """All checks, and the smallest difference to the champion that the queries can show."""
        try:
            content = content_of(self.candidate, self.settings)
            table = Table.open(connection, content)
            whole = table.whole(content)
            if whole.verdict == "refuse":
                return (whole,), None
            self.queries = table.queries(self.gates)
        except Exception as error:
            if connection.broken:
                raise
            text = f"the candidate's table cannot be asked: {sentence(_of_table(error))}"
            return (Check(name="table", verdict="refuse", text=text),), None
        if not self.queries:
            text = "the table holds one chunk or none, so nothing can be asked of it"
            return (whole, Check(name="recall", verdict="refuse", text=text)), None
        checks = [whole]
        recalls = {}
        for column in (None, *self.gates.filters):
            plan = table.plan(self.queries[0], column, self.gates.k)
            checks.append(plan)
            if plan.verdict != "refuse":
                recalls[column] = table.recalls(self.queries, column, self.gates.k)
                checks.append(self._recall(recalls[column], column, table.rows))
        if None not in recalls:
            return tuple(checks), None
        budget, queries = self.gates.latency_ms, cycle(self.queries)
        best = fastest(lambda: table.nearest(next(queries), None, self.gates.k), budget)
        checks.append(latency(best, budget, "queries"))
        champion, smallest = self._champion(connection, recalls[None])
        return (*checks, champion), smallest

    def _recall(self, values: "NDArray[Any]", column: str | None, rows: int) -> Check:
        value, interval, k = float(values.mean()), mean_interval(values), self.gates.k
        among = f" among those of one {column}" if column else ""
        return Check(
            name=f"recall:{column}" if column else "recall",
            verdict="pass" if value >= self.gates.recall else "refuse",
            value=value,
            threshold=self.gates.recall,
            n=len(values),
            text=f"the index finds {value:.4g} [{interval.low:.4g}, {interval.high:.4g}] of the {k} nearest of {rows} "
            f"chunks{among}, asked at least {self.gates.recall:g}",
            evidence={
                "k": k,
                "chunks": rows,
                "interval": [interval.low, interval.high],
                "worst": float(values.min()),
                "queries_with_all": float((values >= 1).mean()),
                **({"by_value": self._by_value(values, column)} if column else {}),
            },
        )

    def _by_value(self, values: "NDArray[Any]", column: str) -> dict[str, float]:
        """Recall with each value of a filter."""
        found: dict[str, list[float]] = {}
        for query, value in zip(self.queries, values, strict=True):
            found.setdefault(str(query.filters[column]), []).append(float(value))
        return {name: sum(several) / len(several) for name, several in found.items()}

    def _champion(self, connection: "psycopg.Connection[Any]", recalls: "NDArray[Any]") -> Compared:
        margin, champion = self.gates.margin, self.champion
        if check := needless(self.candidate, champion, None, margin, "the same table"):
            return check, None
        assert champion is not None
        try:
            table = Table.open(connection, content_of(champion, self.settings))
            theirs = {query.id: query for query in table.queries(self.gates, [query.id for query in self.queries])}
            shared = [at for at, query in enumerate(self.queries) if query.id in theirs]
            if not shared:
                raise LookupError("it holds none of the chunks that were asked")
            asked = [theirs[self.queries[at].id] for at in shared]
            found = paired(recalls[shared], table.recalls(asked, None, self.gates.k))
        except Exception as error:
            if connection.broken:
                raise
            cannot = "cannot be asked the same"
            return broken_champion(None, margin, champion.number, cannot, _of_table(error)), None
        low, high = found.interval.low, found.interval.high
        side = "better" if found.difference >= 0 else "worse"
        shown = f"recall is {side} by {abs(found.difference):.4g}, in [{low:+.4g}, {high:+.4g}], on {found.n} queries"
        verdict: Verdict
        if low >= -margin:
            verdict, text = "pass", f"not worse by the margin of {margin:g}: {shown}"
        elif high < -margin:
            verdict, text = "refuse", f"worse by more than the margin of {margin:g}: {shown}"
        else:
            verdict, text = "inconclusive", f"the queries do not show whether the margin of {margin:g} is kept: {shown}"
        return comparison(found, margin, verdict, text, champion=champion.number, differing_queries=found.differing)


def _of_table(error: Exception) -> Exception:
    """That a statement does not fit a table (which is gone, lacks a column) is the table's own fault."""
    from psycopg.errors import InsufficientPrivilege, ProgrammingError

    unfit = isinstance(error, ProgrammingError) and not isinstance(error, InsufficientPrivilege)
    return LookupError(str(error)) if unfit else of_candidate(error)


class IndexEvaluator:
    """The evaluator of one index."""

    def __init__(self, index: Index, resources: Resources) -> None:
        self.index = index
        self.resources = resources

    def judge(self, candidate: Candidate, champion: Candidate | None) -> GateReport:
        return judge(self.index, candidate, champion, self.resources.settings)

    def rules(self, candidate: Candidate) -> str:
        return rules(self.index)

    def leads_to(self, candidate: Candidate, report: GateReport) -> OnInconclusive:
        return leads_to(report, self.index.gates, self.index.approval)
