"""Considers candidates in processes that are killed at a named step each; run by `test_releasing.py`.

python release_victim.py TEST_SPLIT '{"target": "step", ...}'
"""

import json
import os
import signal
import sys
from pathlib import Path

from echo.workload import workload as echo
from release_support import Splits

from mlops_assets.gates.model import ModelEvaluator
from mlops_assets.release.mechanism import Releasing
from resources.ledger import AliasMove, Ledger
from resources.ledger.aliases import Aliases
from resources.settings import Settings
from resources.tracking import Tracking
from resources.tracking.registry import Registry
from resources.tracking.server import Server

step = ""


def reached(name: str) -> None:
    if name == step:
        os.kill(os.getpid(), signal.SIGKILL)


class MortalLedger(Ledger):
    def _release(self, *arguments):
        result = super()._release(*arguments)
        reached("inside the decision")
        return result

    def decide(self, *arguments, **how):
        result = super().decide(*arguments, **how)
        reached("after the decision")
        return result


class MortalAliases(Aliases):
    def mark_moved(self, move: AliasMove) -> None:
        super().mark_moved(move)
        reached(f"after {move.alias} is marked")


class MortalRegistry(Registry):
    def set_alias(self, target: str, alias: str, number: int | None) -> None:
        reached(f"before {alias} is set")
        super().set_alias(target, alias, number)
        reached(f"after {alias} is set")


def main(test: Path, steps: dict[str, str]) -> None:
    global step
    settings = Settings()
    from mlflow import MlflowClient  # noqa: F401 - imported once, before the processes part

    for target, step in steps.items():
        if child := os.fork():
            _, status = os.waitpid(child, 0)
            print(target, os.waitstatus_to_exitcode(status), flush=True)
            continue
        resources = type("Resources", (), {"settings": settings, "registry": Splits(test)})()
        resources.ledger, resources.tracking = MortalLedger(settings), Tracking(settings)
        resources.tracking.registry = MortalRegistry(Server(settings))
        resources.ledger.aliases = MortalAliases(resources.ledger._store, resources.ledger.alerts)
        releasing = Releasing(target, resources.ledger, resources.tracking, ModelEvaluator(echo, resources))
        if step.startswith("repair: "):
            step = step.removeprefix("repair: ")
            releasing.repair()
        else:
            releasing.consider(resources.ledger.candidates.of(target)[-1], "victim", "to be killed")
        os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
