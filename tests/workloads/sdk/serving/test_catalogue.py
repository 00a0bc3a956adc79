"""The catalogue of an endpoint is the ledger, as it is read piece by piece."""

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from psycopg import sql
from serving_support import enter

from resources.database import connect
from resources.serving import Serving
from resources.settings import Settings
from workloads.sdk.serving.versions.catalogue import NEWER
from workloads.sdk.serving.versions.plan import Version

OLD = "CREATE SCHEMA {schema}; CREATE TABLE {schema}.catalogue (endpoint text, number integer, entry jsonb)"


@pytest.fixture
def serving(postgres: Settings) -> Serving:
    """Of a home whose catalogue was a table."""
    serving = Serving(postgres.model_copy(update={"env": f"catalogue{uuid4().hex[:8]}"}))
    with connect(postgres, autocommit=True) as connection:
        connection.execute(sql.SQL(OLD).format(schema=sql.Identifier(serving.schema)))
        assert serving.catalogue.since(connection, "wine") == []  # nothing is there to read yet
    for _ in range(2):
        serving.migrate()
    return serving


def test_only_what_is_new_is_read_and_the_last_release_counts(serving: Serving, tmp_path: Path) -> None:
    never = [Version(None, str(number), f"file:///{number}", f"{number:064}", number, "models:/m") for number in (1, 2)]
    released = replace(never[0], release_id=0, version="1.0.0")
    enter(serving.settings, "wine", never)
    enter(serving.settings, "other", [replace(never[0], release_id=0, version="9.0.0")])
    with connect(serving.settings, autocommit=True) as connection:
        first = serving.catalogue.since(connection, "wine")
        assert [(one.number, one.version, one.release_id) for _, one in first] == [(1, "1", None), (2, "2", None)]
        assert [(one.artifacts_uri, one.digest, one.model_uri) for _, one in first] == [
            (one.artifacts_uri, one.digest, one.model_uri) for one in never
        ]
        last = max(candidate for candidate, _ in first)
        assert serving.catalogue.since(connection, "wine", last) == []
        enter(serving.settings, "wine", [released, released])  # as one that is gone back to
        (_, before), (_, again) = serving.catalogue.since(connection, "wine", last)
        assert (before.version, again.version, again.number) == ("1.0.0", "1.0.0", 1)
        assert before.release_id < again.release_id
        assert [one for _, one in serving.catalogue.since(connection, "wine", last, before.release_id)] == [again]
        assert serving.catalogue.since(connection, "wine")[0][1].release_id is None
        assert serving.version("wine", again.release_id) == again
        assert serving.version("other", again.release_id) is None


def test_reading_what_is_new_goes_by_keys(serving: Serving) -> None:
    """It is asked every second by every replica: what is old is not looked at."""
    enter(serving.settings, "wine", [Version(0, f"1.0.{n}", "file:///m", f"{n:064}", n) for n in range(300)])
    with connect(serving.settings, autocommit=True) as connection:
        for table in ("candidate", "release"):
            connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(f"{serving.settings.env}_ledger", table)))
        known = serving.catalogue.since(connection, "wine")
        last = (max(candidate for candidate, _ in known), max(one.release_id or 0 for _, one in known))
        plan = serving.catalogue._sql("EXPLAIN (ANALYZE, FORMAT JSON) " + NEWER)
        values = {"endpoint": "wine", "candidate": last[0], "release": last[1]}
        ((found,),) = connection.execute(plan, values).fetchall()

    def rows(node: dict) -> list[float]:
        here = [node["Actual Rows"] + node.get("Rows Removed by Filter", 0)]
        return here + [count for inner in node.get("Plans", []) for count in rows(inner)]

    assert max(rows(found[0]["Plan"])) <= 1, found
