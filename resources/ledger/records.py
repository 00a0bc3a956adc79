"""What the ledger holds, as Python objects. Each has the ledger's numeric id."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Action = Literal["release", "approve", "adopt", "override", "rollback", "hold", "refuse", "reject"]
RELEASING: frozenset[Action] = frozenset({"release", "approve", "adopt", "override", "rollback"})

CANDIDATE, CHAMPION, PREVIOUS = "candidate", "champion", "previous"


@dataclass(frozen=True, kw_only=True)
class NewCandidate:
    """Something that may be released.

    Attributes:
        thing: what it is a candidate for, for example `wine`.
        number: its number in the registry; unique within the thing.
        digest: SHA-256 of its artifacts: its identity.
        kind: kind of thing, for example `model`.
        run_id: the MLflow run that it came from.
        artifacts_uri: where its artifacts are.
        model_uri: its name in the registry, `models:/dev.wine/3`.
        data_name, data_version, data_digest: what it was made from.
        code_version, git_commit, git_dirty: what it was made by.
        dagster_run: the run that made it.
        parameters: what it was made with, JSON-ready.
        signature: digest of what its callers see (schemas of request and answer).
        metrics: figures measured when it was made.
        parity: served against made form: `rows, max_difference, differing, tolerance`; None where they are one.
        tier: compute tier that it was made on; empty where nobody wrote it down.
        seconds: that making it took there, on the program's own clock; None where nobody wrote it down.
        variant: name of the parameter set, where several were trained at once.
        parts: the releases (ids) that it is put together of, by role; empty where it is one piece.
    """

    thing: str
    number: int
    digest: str
    kind: str = "model"
    run_id: str = ""
    artifacts_uri: str = ""
    model_uri: str = ""
    data_name: str = ""
    data_version: str = ""
    data_digest: str = ""
    code_version: str = ""
    git_commit: str = ""
    git_dirty: bool = False
    dagster_run: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    signature: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    parity: dict[str, Any] | None = None
    tier: str = ""
    seconds: float | None = None
    variant: str = ""
    parts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Candidate(NewCandidate):
    """A candidate as the ledger holds it."""

    id: int
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What was decided about a candidate, by whom and why. `report` is the id of the report it was decided on."""

    id: int
    thing: str
    candidate: int
    report: int | None
    action: Action
    actor: str
    why: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Decided:
    """A line of a target's history; `version` is what it has released, if anything, `number` the candidate's."""

    created_at: datetime
    action: Action
    version: str | None
    number: int
    data_version: str
    actor: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Release:
    """A candidate that went live.

    Attributes:
        version: semantic version; a candidate that is released again keeps its own.
        candidate: id of the candidate; `number` and `digest` are its.
        decision: id of the decision; `action`, `actor` and `why` are its.
        previous: id of the release that a rollback goes to: the one before it, after a rollback the one before that.
        changes: what is different from that one, for people.
    """

    id: int
    thing: str
    version: str
    candidate: int
    number: int
    digest: str
    decision: int
    action: Action
    actor: str
    why: str
    previous: int | None
    changes: list[str]
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class AliasMove:
    """An alias that is to be set in the registry (`number` None: removed); done once `done_at` is set."""

    id: int
    thing: str
    alias: str
    number: int | None
    created_at: datetime
    done_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Alert:
    """Something that a person should see; its cause is gone once `resolved_at` is set.

    Attributes:
        thing: a target, an endpoint or a part of the platform.
        key: tells it from others of the same kind that stand at the same time.
        count: how often it was seen, from `created_at` to `last_at`.
    """

    id: int
    thing: str
    kind: str
    key: str
    text: str
    count: int
    created_at: datetime
    last_at: datetime
    resolved_at: datetime | None
