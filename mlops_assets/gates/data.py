"""What must hold of a data version before anything is made from it; plain results, which the graph makes checks of."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path

from resources.ledger import Ledger
from resources.registry import DataRegistry
from resources.registry.version import DataError, DataVersion, FileCheck
from workloads.sdk.contract import Declared

REFUSED = "data-gate"  # kind of the alert about a data version that nothing is made from; its key is the version
EXAMPLES = 5
EARLIER = 25  # versions that a new one is compared with: the first, and the latest others

GATES: Mapping[str, str] = {
    "checksums": "Every file has the SHA-256 that the tag recorded, in the data cache and where it is read from.",
    "schema": "Columns, types and ranges of every split are those that the workload declares.",
    "duplicates": "No row occurs twice within a split.",
    "leakage": "No row stands in two splits.",
    "leakage_across_versions": "No row changed its split since an earlier version.",
}


@dataclass(frozen=True)
class GateResult:
    """What one gate found.

    Attributes:
        name: a key of `GATES`.
        description: one sentence on what was found.
        rows: rows concerned (files, for checksums).
        examples: a few of them.
    """

    name: str
    passed: bool
    description: str
    rows: int = 0
    examples: Sequence[str] = ()

    def __str__(self) -> str:
        unit = "files" if self.name == "checksums" else "rows"
        shown = f"; for example {', '.join(self.examples[:2])}" if self.examples else ""
        return f"{self.name}: {self.description} ({self.rows} {unit}{shown})"


def inspect(
    workload: Declared,
    version: DataVersion,
    files: Mapping[str, Path],
    registry: DataRegistry,
    earlier: Sequence[DataVersion],
) -> list[GateResult]:
    """Run all gates on a version whose splits lie in `files`, `earlier` before it; in the order of `GATES`."""
    contents = cache(lambda: _contents(files))
    kept = version.metadata.get("dataset", {}).get("parameters", {}).get("duplicates") == "keep"
    gates: dict[str, Callable[[], GateResult]] = {
        "checksums": lambda: checksums(version, files, registry),
        "schema": lambda: schema(workload, files),
        "duplicates": lambda: duplicates(contents(), kept),
        "leakage": lambda: leakage(contents()),
        "leakage_across_versions": lambda: leakage_across_versions(version, files, registry, earlier),
    }
    return [_run(name, gate) for name, gate in gates.items()]


def refusal(version: DataVersion, results: Sequence[GateResult]) -> str | None:
    """Why nothing is made from a version: each gate that it fails, how many rows, examples; None if it fails none."""
    failed = [str(result) for result in results if not result.passed]
    if not failed:
        return None
    said = f"{version.tag} fails {len(failed)} of {len(results)} data gates, and nothing is made from it. "
    return f"{said}{'. '.join(failed)}. Mend the data, and release them again"


def refused(workload: str, ledger: Ledger) -> set[str]:
    """The data versions of a workload that fail their gates, and that no newer one has taken the place of."""
    return {alert.key for alert in ledger.alerts.standing(REFUSED) if alert.thing == workload}


def _run(name: str, gate: Callable[[], GateResult]) -> GateResult:
    """A file that cannot even be read fails the gate instead of the run."""
    try:
        return gate()
    except (OSError, KeyError, ValueError) as error:
        return GateResult(name, False, f"the files cannot be read as this gate needs them: {error}")


def checksums(version: DataVersion, files: Mapping[str, Path], registry: DataRegistry) -> GateResult:
    """Digests computed again, of the version's files in the data cache and of the local copies that are read."""
    from workloads.sdk.digests import digests

    checks = registry.check(version)
    recorded = {file.split: file for file in version.files if file.split}
    checks += [FileCheck(str(path), recorded[name].sha256, digests(path)["sha256"]) for name, path in files.items()]
    bad = [f"{check.path}: {(check.actual or 'gone')[:12]}" for check in checks if not check.intact]
    said = f"{len(checks) - len(bad)} of {len(checks)} files have the digest recorded in {version.tag}"
    return GateResult("checksums", not bad, said, len(bad), bad[:EXAMPLES])


def schema(workload: Declared, files: Mapping[str, Path]) -> GateResult:
    """The workload's own pandera schema, on every split."""
    import pandas as pd
    from pandera.errors import SchemaErrors

    declared, rows, found = workload.resolve(workload.data.schema)(), 0, []
    for split, path in files.items():
        try:
            declared.validate(pd.read_parquet(path), lazy=True)
        except SchemaErrors as error:
            cases = error.failure_cases
            rows += len(set(cases["index"].dropna())) or 1
            kinds = cases.groupby(["column", "check"], dropna=False)["failure_case"].agg(["size", "first"])
            found += [
                f"{split}, {column}: {check} ({int(case['size'])} times, for example {str(case['first'])[:60]})"
                for (column, check), case in kinds.iterrows()
            ]
    said = f"{len(found)} rules are broken" if found else f"all {len(files)} splits are as declared"
    return GateResult("schema", not found, said, rows, found[:EXAMPLES])


Contents = Mapping[str, tuple[list[str], list[str], list[str]]]  # see `workloads.sdk.dataset.contents`


def _contents(files: Mapping[str, Path]) -> Contents:
    from workloads.sdk.dataset import contents

    return {split: contents(path) for split, path in files.items()}


def duplicates(contents: Contents, kept: bool = False) -> GateResult:
    """Rows with an identity that the same split holds already, or alike in all columns where these are not `kept`."""
    examples, total = [], 0
    for split, (ids, _, wholes) in contents.items():
        total += len(ids)
        by_id, by_whole = Counter(ids), Counter(() if kept else wholes)
        pairs = zip(ids, wholes, strict=True)
        examples += [f"{split}: row {row[:12]}" for row, whole in pairs if by_id[row] > 1 or by_whole[whole] > 1]
    said = f"{len(examples)} of {total} rows have a twin in their own split"
    return GateResult("duplicates", not examples, said, len(examples), examples[:EXAMPLES])


def leakage(contents: Contents) -> GateResult:
    """Rows with an identity that another split holds too, or that a model cannot tell from one there."""
    examples = []
    for (left, (ids, looks, _)), (right, (others, seen, _)) in combinations(contents.items(), 2):
        other_ids, other_looks = set(others), set(seen)
        pairs = zip(ids, looks, strict=True)
        shared = [row for row, look in pairs if row in other_ids or look in other_looks]
        examples += [f"{left} and {right}: row {row[:12]}" for row in shared]
    if len(contents) == 1:
        return GateResult("leakage", True, f"there is one split, {next(iter(contents))}")
    said = f"{len(examples)} rows stand in two splits" if examples else f"no row stands in two of {', '.join(contents)}"
    return GateResult("leakage", not examples, said, len(examples), examples[:EXAMPLES])


def leakage_across_versions(
    version: DataVersion, files: Mapping[str, Path], registry: DataRegistry, earlier: Sequence[DataVersion]
) -> GateResult:
    """Rows whose split differs from the one that an earlier version gave them.

    `earlier` is bounded (`EARLIER`), the first and the latest ones; each of those was compared in its turn.
    """
    now = {split: _row_ids(path) for split, path in files.items()}
    differing = [other for other in earlier if other.digest != version.digest]
    moved: dict[str, str] = {}
    unread = []
    for other in differing:
        try:
            for file in other.files:
                if file.split is not None:
                    with registry.content(file) as path:
                        old = _row_ids(path)
                    for split in now.keys() - {file.split}:
                        for row in now[split] & old:
                            moved.setdefault(row, f"row {row[:12]}: {file.split} in {other.tag}, now {split}")
        except DataError:
            unread.append(other.tag)
    said = f"{len(moved)} rows changed their split; compared with {len(differing) - len(unread)} earlier versions"
    if unread:
        said += f"; no longer to be read: {', '.join(unread[:EXAMPLES])}"
    return GateResult("leakage_across_versions", not moved, said, len(moved), list(moved.values())[:EXAMPLES])


def _row_ids(file: Path) -> set[str]:
    from workloads.sdk.dataset import ROW_ID, read_split

    return set(read_split(file, [ROW_ID])[ROW_ID].to_pylist())
