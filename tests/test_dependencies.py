"""DVC, Dagster and Lightning clash through Hydra (`[tool.uv]` in pyproject.toml): here each of them works."""

import os
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import dagster as dg


def test_hydra_is_absent_and_antlr_is_dagsters():
    assert find_spec("hydra") is None
    assert find_spec("omegaconf") is None
    assert version("antlr4-python3-runtime") == "4.13.2"


def test_string_asset_selections_resolve():
    @dg.asset(group_name="wine")
    def data(): ...

    @dg.asset(deps=[data])
    def model(): ...

    assert dg.AssetSelection.from_string("+model").resolve([data, model]) == {data.key, model.key}
    assert dg.AssetSelection.from_string('group:"wine" and not key:"model"').resolve([data, model]) == {data.key}
    job = dg.define_asset_job("job", selection="+model")
    assert dg.Definitions(assets=[data, model], jobs=[job]).resolve_job_def("job").execute_in_process().success


def test_dvc_runs_a_pipeline_and_pushes(tmp_path: Path):
    def dvc(*arguments: str) -> None:
        done = subprocess.run(
            [Path(sys.executable).parent / "dvc", *arguments],
            cwd=tmp_path,
            env={**os.environ, "DVC_NO_ANALYTICS": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr

    dvc("init", "--no-scm", "-q")
    dvc("stage", "add", "-q", "-n", "write", "-o", "out.txt", "echo made > out.txt")
    dvc("repro", "-q")
    dvc("remote", "add", "-q", "-d", "store", str(tmp_path / "store"))
    dvc("push", "-q")
    (tmp_path / "out.txt").unlink()
    dvc("checkout", "-q")
    assert (tmp_path / "out.txt").read_text() == "made\n"
    assert any(path.is_file() for path in (tmp_path / "store").rglob("*"))


def test_lightning_saves_a_checkpoint_and_goes_on_from_it(tmp_path: Path):
    import lightning
    import torch

    class Line(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def training_step(self, batch, _):
            return (self.layer(batch) - 2 * batch).square().mean()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    def trainer(epochs: int) -> lightning.Trainer:
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        return lightning.Trainer(
            max_epochs=epochs, accelerator="cpu", default_root_dir=tmp_path, enable_checkpointing=False, **quiet
        )

    rows = torch.utils.data.DataLoader(torch.linspace(-1, 1, 8).reshape(-1, 1), batch_size=4)
    first = trainer(1)
    first.fit(Line(), rows)
    first.save_checkpoint(tmp_path / "line.ckpt")
    second = trainer(2)
    second.fit(Line(), rows, ckpt_path=tmp_path / "line.ckpt", weights_only=True)
    assert (second.current_epoch, second.global_step) == (2, 4)
