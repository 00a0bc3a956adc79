"""What a run and the sensors' ticks cost over a registry of many tags and a ledger of many releases.

    .venv/bin/python -m benchmarks.many_tags                  10 and 1,000 of each, best of 3 rounds
    .venv/bin/python -m benchmarks.many_tags --many 200 --rounds 1

In a platform of its own (PostgreSQL, MLflow, Ray; no daemon), wine is released and trained; then tags whose files
differ by one number each, and releases, are filled in. A round is a new tag's tick, and a run of its dataset, model and
release in this process. Seconds of the clock, the job of the training left out.
"""

import argparse
import json
import os
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.own_platform import own_platform

GOAL = 1.2  # times the cost over few
FEW = 10
STEPS = ("datasets", "models", "releases")


class Bench:
    """A platform with a number of tags and releases of wine."""

    def __init__(self, home: Path) -> None:
        import dagster as dg

        from jobs.pipelines import pipelines
        from mlops_assets import build
        from mlops_assets.release.rollout import Delivery
        from resources.all import Resources
        from resources.compute import Compute
        from resources.embedded.code_servers import prepare_home
        from resources.settings import REPOSITORY, settings
        from sensors.data_tags import data_tags
        from sensors.registry import registry
        from workloads.sdk.contract.loading import workload_of

        self.settings = settings()
        self.wine = workload_of("workloads.wine")
        self.resources = Resources(self.settings)
        self.instance = dg.DagsterInstance.from_config(str(prepare_home(self.settings)))
        jobs = pipelines([self.wine])
        self.sensors = {
            one.name: one for one in (make([self.wine], jobs, self.settings) for make in (data_tags, registry))
        }
        self.given = {
            "registry": self.resources.registry,
            "ledger": self.resources.ledger,
            "delivery": Delivery([self.wine], self.resources),
        }
        keys = {dg.AssetKey(["wine", step]) for step in STEPS}
        self.job = build(REPOSITORY / "workloads").resolve_job_def("wine_pipeline").get_subset(asset_selection=keys)
        self.cursor: str | None = None
        self.trained, run_all = 0.0, Compute.run_all

        def timed(*arguments: Any) -> Any:
            started = time.perf_counter()
            result = run_all(*arguments)
            self.trained = time.perf_counter() - started
            return result

        Compute.run_all = timed
        released = self.resources.registry.release(self.wine)
        self.first, self.next = released.version, 1

    def tags(self, count: int) -> None:
        """So many tags more, each of a content of its own that lies in DVC's cache."""
        from resources.registry.git import git
        from workloads.sdk.dataset import read_split, write_split
        from workloads.sdk.digests import dataset_digest, digests

        store, bare = self.resources.registry.store, Path(self.settings.registry)
        train = next(file for file in self.first.files if file.split == "train")
        table = read_split(store.cached(train))
        stream = []
        for version in range(self.next, self.next + count):
            import pyarrow as pa

            alcohol = table["alcohol"].to_numpy().copy()
            alcohol[0] += version / 10_000
            changed = table.set_column(table.column_names.index("alcohol"), "alcohol", pa.array(alcohol))
            file = Path(self.settings.home, "train.parquet")
            write_split({name: changed[name] for name in changed.column_names}, file)
            found = digests(file)
            own = replace(train, sha256=found["sha256"], md5=found["md5"], size=file.stat().st_size)
            store.cached(own).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(file, store.cached(own))
            files = [own if each is train else each for each in self.first.files]
            digest = dataset_digest((each.path, each.sha256) for each in files if each.split)
            text = json.dumps({**self.first.metadata, "digest": digest, "files": [vars(each) for each in files]})
            stream.append(
                f"commit refs/tags/wine-v1.{version}.0\ncommitter bench <bench@localhost> 0 +0000\ndata 1\n.\n"
                f"M 100644 inline data/wine/metadata.json\ndata {len(text.encode())}\n{text}\n"
            )
        git("fast-import", "--quiet", folder=bare, stdin="".join(stream).encode())
        git("pack-refs", "--all", folder=bare)
        self.next += count

    def releases(self, count: int) -> None:
        """So many releases more; what was released before stays so, and is what MLflow shows."""
        from resources.database import connect
        from resources.ledger import NewCandidate
        from resources.ledger.records import Candidate

        ledger = self.resources.ledger
        real: list[Candidate] = ledger.candidates.of("wine")[-2:]
        lowest = min(candidate.number for candidate in ledger.candidates.of("wine"))
        names = NewCandidate.__dataclass_fields__
        for number in range(min(lowest, 1) - count, min(lowest, 1)):
            values = {name: getattr(real[-1], name) for name in names} | {"number": number, "digest": f"{number:064d}"}
            made = ledger.candidates.add(NewCandidate(**values))
            ledger.decide(made.id, "release", actor="bench", why="filled in")
        for candidate in real:
            ledger.decide(candidate.id, "release", actor="bench", why="filled in")
        schema = self.settings.schema_of("ledger")
        with connect(self.settings, autocommit=True) as connection:
            connection.execute(f"UPDATE {schema}.alias_move SET done_at = now() WHERE done_at IS NULL")

    def tick(self, name: str) -> float:
        """Seconds of a sensor's evaluation; what it asks for is done, but for the runs."""
        import dagster as dg

        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor, resources=self.given)
        started = time.perf_counter()
        result = self.sensors[name](context)
        seconds = time.perf_counter() - started
        if name == "data_tags" and isinstance(result, dg.SensorResult):
            for request in result.dynamic_partitions_requests or ():
                self.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
            for event in result.asset_events:
                self.instance.report_runless_asset_event(event)
            self.cursor = result.cursor
        return seconds

    def settle(self) -> None:
        """Tick until all tags are registered."""
        while self.cursor is None:
            self.tick("data_tags")

    def run(self, version: str) -> dict[str, float]:
        """Seconds of each step of a run."""
        result = self.job.execute_in_process(partition_key=version, instance=self.instance)
        stats = {one.step_key.split("__")[1]: one for one in self.instance.get_run_step_stats(result.run_id)}
        seconds = {step: stats[step].end_time - stats[step].start_time for step in STEPS}
        seconds["models"] -= self.trained
        return seconds

    def measure(self, rounds: int) -> dict[str, float]:
        """The best of some rounds, by what was done."""
        best: dict[str, float] = {}
        for _ in range(rounds):
            self.tags(1)
            took = {"tick, a new tag": self.tick("data_tags"), "tick, nothing new": self.tick("data_tags")}
            took |= self.run(f"1.{self.next - 1}.0")
            took["tick of the registry"] = self.tick("registry")
            best = {name: min(seconds, best.get(name, seconds)) for name, seconds in took.items()}
        return best


def main() -> None:
    arguments = argparse.ArgumentParser(description="What many tags and releases cost.")
    arguments.add_argument("--many", type=int, default=1000)
    arguments.add_argument("--rounds", type=int, default=3)
    asked = arguments.parse_args()

    with own_platform(dagster=False) as platform:
        bench = Bench(platform.settings.home)
        bench.settle()
        bench.run("1.0.0")
        bench.tags(FEW - 1)
        bench.cursor = None
        bench.settle()
        bench.run("1.1.0")
        bench.releases(FEW - len(bench.resources.ledger.releases("wine")))
        few = bench.measure(asked.rounds)
        bench.tags(asked.many - bench.next)
        bench.cursor = None
        bench.settle()
        bench.releases(asked.many - len(bench.resources.ledger.releases("wine")))
        many = bench.measure(asked.rounds)
        print(f"load average {os.getloadavg()[0]:.1f}; best of {asked.rounds} rounds\n")
        print(f"{'seconds':24}{FEW:>9,}{asked.many:>9,}{'ratio':>8}")
        for name in [*few, "all"]:
            one, other = (sum(took.values()) if name == "all" else took[name] for took in (few, many))
            print(f"{name:24}{one:9.2f}{other:9.2f}{other / one:8.2f}")
        ratio = sum(many.values()) / sum(few.values())
        print(f"\nthe goal is at most {GOAL} times")
        if ratio > GOAL:
            sys.exit(1)


if __name__ == "__main__":
    main()
