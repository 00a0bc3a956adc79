from pathlib import Path

from mlops_assets import build

defs = build(Path(__file__).parent / "team_models")
