"""Stands as `train.py` in the package that the contract suite makes: a training that does what its parameters say."""

import argparse
import hashlib
import json
import os
import sys
import time
from pathlib import Path

from workloads.sdk.artifacts import digest_of
from workloads.sdk.programs.spec import Spec

parser = argparse.ArgumentParser()
parser.add_argument("--spec", type=Path)
parser.add_argument("--out", type=Path)
arguments = parser.parse_args()
spec = Spec.model_validate_json(arguments.spec.read_text())
asked = spec.parameters

with Path(asked["journal"]).open("a") as journal:
    journal.write(f"{os.getpid()}\n")

if asked.get("bundles"):
    import ray
    from ray.util.placement_group import placement_group

    ray.init(log_to_driver=False)
    ray.get(placement_group(asked["bundles"]).ready())

spec.checkpoints.mkdir(parents=True, exist_ok=True)
checkpoint = spec.checkpoints / "step"
resumed = checkpoint.read_text() if checkpoint.exists() else None
for step in range(int(resumed or 0), asked.get("steps", 3)):
    print(f"step {step} of größe", flush=True)
    checkpoint.write_text(str(step + 1))
    if step + 1 == asked.get("dies_after") and resumed is None:
        sys.exit("the disk is on fire")
while asked.get("until") and not Path(asked["until"]).exists():
    print("waiting", time.time_ns(), flush=True)
    time.sleep(0.05)
if not asked.get("result", True):
    sys.exit(0)

artifacts = arguments.out / "artifacts"
artifacts.mkdir()
(artifacts / "model").write_bytes(b"weights")
files = [{"path": "model", "sha256": hashlib.sha256(b"weights").hexdigest(), "size": 7}]
result = {
    "spec_hash": spec.hash,
    "metrics": {"score": 0.5},
    "curves": {},
    "plots": [],
    "artifacts": {"files": files, "digest": digest_of(files), "request_schema": "", "package": spec.package},
    "digest": digest_of(files),
    "signature": "",
    "parity": None,
    "seconds": {},
    "resumed_from": resumed,
    "versions": {},
}
temporary = arguments.out / "result.tmp"
temporary.write_text(json.dumps(result))
temporary.replace(arguments.out / "result.json")
