"""What is asked of the ledger at every tick and run is found by an index, on some thousand rows."""

import re
from collections.abc import Callable

import psycopg
import pytest

from resources.database import connect
from resources.ledger import Ledger
from resources.settings import Settings

TABLES = ("candidate", "decision", "alert")


@pytest.fixture(scope="module")
def crowded(postgres: Settings) -> Ledger:
    """Some thousand candidates, decisions and alerts of many targets."""
    ledger = Ledger(postgres.model_copy(update={"env": "crowded"}))
    ledger.migrate()
    with connect(postgres, autocommit=True) as connection:
        connection.execute("SELECT set_config('search_path', %s, false)", [ledger.settings.schema_of("ledger")])
        connection.execute(
            "INSERT INTO candidate (thing, kind, number, digest, run_id, artifacts_uri, model_uri, data_name,"
            " data_version, data_digest, code_version, git_commit, git_dirty, dagster_run, parameters, signature,"
            " metrics, parts) SELECT 't' || i % 500, 'model', i, md5(i::text), '', '', '', 'd', '1.0.' || i, '', '',"
            " '', false, '', '{}', '', '{}', jsonb_build_object('index', i, 'prompt', i / 2)"
            " FROM generate_series(1, 5000) i"
        )
        connection.execute(
            "INSERT INTO decision (thing, candidate, action, actor, why)"
            " SELECT thing, id, 'refuse', 'test', '' FROM candidate"
        )
        connection.execute(
            "INSERT INTO alert (thing, kind, key, text) SELECT 't' || i % 500, 'k' || i % 7, 'key ' || i, 'text'"
            " FROM generate_series(1, 5000) i"
        )
        connection.execute("ANALYZE candidate, decision, alert")
    return ledger


@pytest.mark.parametrize(
    ("ask", "indexes"),
    [
        (lambda ledger: ledger.entries("t7"), {"decision_thing", "alert_thing"}),
        (lambda ledger: ledger.candidates.compositions([100, 200]), {"candidate_parts"}),
        (lambda ledger: ledger.candidates.newest("t7"), {"candidate_thing"}),
        (lambda ledger: ledger.candidates.newest("t7", digest="no such"), {"candidate_digest"}),
    ],
)
def test_what_is_asked_often_is_found_by_an_index(
    crowded: Ledger, ask: Callable[[Ledger], object], indexes: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    used, execute = set(), psycopg.Cursor.execute

    def explained(cursor: psycopg.Cursor, query: str, *values, **named):
        if query.lstrip().startswith("SELECT") and " FROM " in query:
            with psycopg.Cursor(cursor.connection) as plain:
                execute(plain, f"EXPLAIN {query}", *values, **named)
                lines = [line for (line,) in plain.fetchall()]
            used.update(word for line in lines for word in line.split() if word.rsplit("_", 1)[0] in TABLES)
            assert not [line for line in lines if re.search(r"Seq Scan on (candidate|decision|alert)\b", line)], lines
        return execute(cursor, query, *values, **named)

    monkeypatch.setattr(psycopg.Cursor, "execute", explained)
    ask(crowded)
    assert indexes <= used
