"""How the candidates of each kind of thing are judged; what decides about them is one mechanism for all.

A workload's models are judged by its declared gates, on the test split of the data that they were made from.
"""

from typing import TYPE_CHECKING

from mlops_assets import gates
from mlops_assets.releasing import Bench, Releasing
from mlops_assets.things import Thing
from resources.ledger import Candidate
from resources.reports import GateReport
from workloads.contract import TEST, OnInconclusive, Workload
from workloads.generative import Application, Index
from workloads.training import NoServices

if TYPE_CHECKING:
    from resources.doors import Doors


class ModelBench:
    """The bench of one workload's models."""

    def __init__(self, workload: Workload, doors: "Doors") -> None:
        self.workload = workload
        self.doors = doors

    def judge(self, candidate: Candidate, champion: Candidate | None) -> GateReport:
        """Judge on the candidate's frozen test rows, which it and the champion answer now."""
        test = self.doors.registry.files(candidate.data_name, candidate.data_version)[TEST]
        workload = self.declared(candidate)
        return gates.judge(workload, candidate, champion, test, NoServices(), self.doors.settings)

    def rules(self, candidate: Candidate) -> str:
        return gates.rules(self.declared(candidate))

    def leads_to(self, candidate: Candidate, report: GateReport) -> OnInconclusive:
        return gates.leads_to(report, self.declared(candidate).gates, self.workload.approval)

    def declared(self, candidate: Candidate) -> Workload:
        """The workload, with the gates that hold for the source of the candidate's data."""
        versions = self.doors.ledger.data(candidate.data_name)
        source = next((each.source for each in versions if each.version == candidate.data_version), "")
        return self.workload.for_source(source)


def bench(thing: Thing, doors: "Doors") -> Bench:
    """The bench of a thing's kind."""
    match thing.declared:
        case Workload():
            return ModelBench(thing.declared, doors)
        case Index():
            from mlops_assets.index_bench import IndexBench

            return IndexBench(thing.declared, doors)
        case Application():
            from mlops_assets.part_bench import PartBench

            return PartBench(thing.declared, thing.role, doors)
    raise TypeError(f"nothing says how {thing.name} is judged")


def releasing(thing: Thing, doors: "Doors") -> Releasing:
    """The mechanism of release for a thing."""
    return Releasing(thing.name, doors.ledger, doors.tracking, bench(thing, doors))
