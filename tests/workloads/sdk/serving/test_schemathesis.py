"""What endpoints say of themselves in OpenAPI is what they do: schemathesis asks each of them, and finds nothing.

It sends what the text allows and what it does not, methods that it does not name, and answers that lead to others.
There is an endpoint of each form of request; `fashion_mnist` takes digits' form, and `iris` a table's.
"""

import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rag_support import Endpoint as Rag
from rag_support import composition, make_table, migrate, running
from scaffold_support import splits, written
from serving_support import enter, migrated, replica, version

from resources.serving import Serving
from resources.settings import Settings
from workloads.sdk.contract import Workload
from workloads.sdk.contract.loading import load, workload_of
from workloads.sdk.programs.spec import Spec
from workloads.sdk.programs.training.run import run
from workloads.sdk.serving.http.model import Endpoint
from workloads.sdk.serving.versions.plan import Version

EXAMPLES = 10  # of each operation, beside some hundred that follow from the text alone


@pytest.fixture(scope="module")
def serving(postgres: Settings) -> Serving:
    return migrated(postgres)


def served(serving: Serving, name: str, package: str, artifacts: Path, digest: str) -> Endpoint:
    """A replica of a released version 1.0.1."""
    one = Version(1, "1.0.1", artifacts.as_uri(), digest, 1, f"models:/dev.{name}/1", run_id="run-1", data_version="1")
    enter(serving.settings, name, [one])
    serving.publish(name, one)
    started = replica(serving, artifacts.parent, name, name, package=package, route=f"/{name}")
    assert started.health == "healthy", started.error
    return Endpoint(started)


def trained(serving: Serving, folder: Path, workload: Workload, **parameters: Any) -> Endpoint:
    spec = Spec(package=workload.package, data=splits(workload, folder / "data"), parameters=parameters)
    result = run(spec, folder / "out", lambda share, text: None)
    return served(serving, workload.name, workload.package, folder / "out" / "artifacts", result.digest)


def matrix(serving: Serving, folder: Path) -> Endpoint:
    one = version(folder, 5.0)
    return served(serving, "shifted", "shift", folder / "5.0", one.digest)


def wine(serving: Serving, folder: Path) -> Endpoint:
    return trained(serving, folder, workload_of("workloads.wine"), trees=5)


def digits(serving: Serving, folder: Path) -> Endpoint:
    chosen = workload_of("workloads.digits")
    return trained(serving, folder, chosen, **(chosen.variants["small"] | {"epochs": 1}))


def table(serving: Serving, folder: Path) -> Endpoint:
    """Columns of every kind, by a model that is some arrays."""
    draw, lines = random.Random(3), ["ticket,opened,plan,urgent,amount,topic"]
    for n in range(240):
        plan, urgent = draw.choice(["pro", "basic", ""]), draw.choice(["yes", "no", ""])
        day, amount = f"2026-03-{n % 30 + 1:02d}", draw.gauss(50, 20) + 60 * (n % 3 > 0)
        lines.append(f"T{n:05d},{day},{plan},{urgent},{amount:.2f},{'bug' if n % 3 else 'question'}")
    own = folder / "tickets.csv"
    own.write_text("\n".join(lines) + "\n")
    return generated(serving, folder, "schema_tickets", "plain", "--csv", own, "--target", "topic")


def estimate(serving: Serving, folder: Path) -> Endpoint:
    """Numbers told by a sum over columns, which is beyond float32 before they are."""
    return generated(serving, folder, "schema_estimate", "plain", "--task", "regression")


def texts(serving: Serving, folder: Path) -> Endpoint:
    return generated(serving, folder, "schema_texts", "transformers", epochs=1, layers=1, width=32, length=16)


def generated(serving: Serving, folder: Path, name: str, kind: str, *told: object, **parameters: Any) -> Endpoint:
    facts = written(name, "--kind", kind, *told, "--into", folder / f"of_{name}")
    (workload,) = load(Path(facts["folder"]).parent)
    return trained(serving, folder, workload, **parameters)


@pytest.mark.parametrize("make", [matrix, wine, digits, table, estimate, texts], ids=lambda make: make.__name__)
def test_nothing_is_found_at_a_model_s_endpoint(
    make: Callable[[Serving, Path], Endpoint], serving: Serving, tmp_path: Path
) -> None:
    endpoint = make(serving, tmp_path)
    with running(endpoint, root_path=endpoint.replica.config.route) as address:
        assert answered(address, tmp_path) >= 7 * EXAMPLES


def test_predict_says_how_many_columns_the_live_version_takes(serving: Serving, tmp_path: Path) -> None:
    endpoint = wine(serving, tmp_path)
    text = endpoint.openapi
    endpoint.replica.close()
    features = text["components"]["schemas"]["Request"]["properties"]["features"]["items"]
    assert (features["minItems"], features["maxItems"], len(features["prefixItems"])) == (13, 13, 13)
    assert features["prefixItems"][0]["title"] == "alcohol"
    asked = text["paths"]["/predict"]["post"]["parameters"][0]["schema"]["pattern"]
    assert re.search(asked, "1.2.0")
    assert not re.search(asked, "x1.2.0y")


def test_nothing_is_found_at_an_application_s_endpoint(postgres: Settings, tmp_path: Path) -> None:
    migrate(postgres)
    make_table(postgres)
    rag = Rag(postgres, tmp_path, "schema_rag", composition(citation="both"))
    enter(postgres, "schema_rag", rag.entries.values())
    with rag.client() as client:
        assert answered(str(client.base_url), tmp_path, postgres.admin_key) >= 11 * EXAMPLES


def answered(address: str, folder: Path, key: str = "") -> int:
    """Have schemathesis ask all operations, of the live version; how many requests there were, all answered rightly."""
    (folder / "schemathesis.toml").write_text('[parameters]\n"query.version" = "1.0.1"\n')
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json", "--url", address, "--seed", "1",
         "--max-examples", str(EXAMPLES), "--header", f"Authorization: Bearer {key}"],
        cwd=folder, env={**os.environ, "NO_PROXY": "127.0.0.1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert passed, done.stdout
    return int(passed[2])
