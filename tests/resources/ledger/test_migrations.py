"""A ledger that an older version left is brought to this one, with all that it holds."""

from pathlib import Path

import pytest

from resources.database import connect
from resources.ledger import Ledger, NewCandidate, NoLedger
from resources.ledger.store import MIGRATIONS
from resources.settings import REPOSITORY, Settings

DUMPS = sorted(
    (REPOSITORY / "tests" / "support" / "ledger_dumps").glob("*.sql")
)  # by the last migration that each has had


def schema(ledger: Ledger) -> list[tuple[str, ...]]:
    """All that PostgreSQL knows of the ledger's tables, views, indexes and triggers, without the schema's name."""
    name = ledger.settings.schema_of("ledger")
    asked = """
        SELECT 'column', table_name, column_name, data_type, is_nullable || coalesce(column_default, '')
            FROM information_schema.columns WHERE table_schema = %(name)s
        UNION ALL SELECT 'index', tablename, indexname, indexdef, '' FROM pg_indexes WHERE schemaname = %(name)s
        UNION ALL SELECT 'view', viewname, definition, '', '' FROM pg_views WHERE schemaname = %(name)s
        UNION ALL SELECT 'trigger', event_object_table, trigger_name, event_manipulation,
            coalesce(action_condition, '') FROM information_schema.triggers WHERE trigger_schema = %(name)s
        ORDER BY 1, 2, 3, 4"""
    with connect(ledger.settings) as connection:
        rows = connection.execute(asked, {"name": name}).fetchall()
    return [tuple(text.replace(name, "ledger") for text in row) for row in rows]


@pytest.mark.parametrize("dump", DUMPS, ids=lambda dump: dump.stem)
def test_what_an_older_version_left_is_kept_and_goes_on(postgres: Settings, dump: Path) -> None:
    env = f"old{dump.stem}"
    ledger, new = (Ledger(postgres.model_copy(update={"env": name})) for name in (env, f"{env}new"))
    with connect(postgres, autocommit=True) as connection:
        connection.execute(dump.read_text().replace("dev_ledger", ledger.settings.schema_of("ledger")))
    for _ in range(2):
        ledger.migrate()
    new.migrate()
    assert schema(ledger) == schema(new)

    now = ledger.current("wine")
    assert now is not None
    assert (now.version, now.action, now.actor, now.number) == ("1.0.0", "rollback", "anna", 1)
    assert [release.version for release in ledger.releases("wine")] == ["1.0.0", "1.0.1", "1.0.0"]
    version = ledger.data.get("wine", "1.0.0")
    assert version is not None
    assert [file.sha256 for file in version.files] == ["a" * 64]
    assert ledger.alerts.standing() == []
    assert [alert.kind for alert in ledger.alerts.since()] == ["version-gone", "restart"]

    third = ledger.candidates.add(NewCandidate(thing="wine", number=3, digest="m3"))
    release = ledger.decide(third.id, "release", actor="dagster", why="newest")
    assert release is not None
    assert (release.version, release.previous) == ("1.1.0", now.id)


def test_a_ledger_of_a_newer_version_is_left_alone(postgres: Settings) -> None:
    ledger = Ledger(postgres.model_copy(update={"env": "newer"}))
    ledger.migrate()
    with connect(postgres, autocommit=True) as connection:
        connection.execute("INSERT INTO newer_ledger.migration (number) VALUES (%s)", [len(MIGRATIONS) + 1])
    with pytest.raises(NoLedger, match="is of a newer version"):
        ledger.migrate()
