"""The doctor finds what is planted, and says how to mend it."""

import socket
from pathlib import Path

from homes import ports

from resources.database import connect
from resources.embedded.doctor import Finding, examine
from resources.embedded.postgres import prepare
from resources.settings import Settings


def about(findings: list[Finding], subject: str) -> Finding:
    return next(finding for finding in findings if finding.subject == subject)


def test_a_missing_extension_is_found_and_mended(postgres: Settings) -> None:
    with connect(postgres) as connection:
        connection.execute("DROP EXTENSION vector CASCADE")  # with the tables that other tests left
    planted = about(examine(postgres), "pgvector")
    assert (planted.level, planted.mend.split(",")[0]) == ("problem", "mlops up")
    prepare(postgres)
    findings = examine(postgres)
    assert about(findings, "pgvector").level == "ok"
    assert about(findings, "PostgreSQL").level == "ok"
    assert about(findings, "Dagster events").level == "ok"


def test_a_taken_port_and_absent_services_are_problems_with_a_way_to_mend(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        chosen = ports() | {"serve_port": taken.getsockname()[1]}
        settings = Settings(home=tmp_path, mlflow_url="http://127.0.0.1:1", **chosen)
        findings = examine(settings)
    port = about(findings, "ports")
    assert port.level == "problem"
    assert f"port {settings.serve_port}, which Ray Serve needs, is used by `" in port.text
    assert port.mend == "end that process, or set MLOPS_SERVE_PORT, or MLOPS_PORTS for all ports"
    assert about(findings, "PostgreSQL").text == "PostgreSQL does not run"
    assert about(findings, "MLflow").mend == "check that service and its setting"
    assert any("MLOPS_MLFLOW_URL points to an external service" in finding.text for finding in findings)
