"""The program behind `python -m <workload>.train`: arguments in, files out, and `result.json` last.

    python -m workloads.wine.train --max-depth 5              by hand, on the workload's own data
    python -m workloads.wine.train --spec spec.json --out DIR as a job

A workload's `train.py` ends with `if __name__ == "__main__": main(__spec__.parent)`. Flags are in
`arguments.py`, the training itself in `run.py`.
"""

import json
import sys

from workloads.sdk.disk import DiskFull
from workloads.sdk.programs.spec import FAILED
from workloads.sdk.programs.training.run import TrainingError


def main(package: str | None, arguments: list[str] | None = None) -> None:
    """The command line. Exit status 2: an argument is wrong; 1: the training failed, and the last line says why."""
    from workloads.sdk.programs.training.arguments import parse

    asked = parse(str(package), sys.argv[1:] if arguments is None else arguments)
    try:
        result = asked.run()
    except KeyboardInterrupt:
        sys.exit("training was stopped")
    except (TrainingError, DiskFull) as error:
        sys.exit(f"{FAILED}{error}")
    except Exception as error:
        import traceback

        traceback.print_exc()
        sys.exit(f"{FAILED}{' '.join(str(error).split()) or type(error).__name__}")
    if asked.as_json:
        print(json.dumps(result.model_dump(mode="json")))
    else:
        asked.table(result)
