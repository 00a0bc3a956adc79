"""No room: one sentence that names the file, whatever it was written with; from real errors of the system."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from workloads.sdk.disk import REASONS, DiskFull, disk_full, writing

FULL = Path("/dev/full")  # whoever writes to it finds the disk full
linux = pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")
LIMITED = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
from workloads.sdk.disk import writing
folder = Path(sys.argv[1])
def plain(file): file.write_bytes(b"x" * 5000)
def numpy(file):
    import numpy as np
    np.savez(file, np.arange(5000))
def safetensors(file):
    import numpy as np
    from safetensors.numpy import save_file
    save_file({"w": np.arange(5000)}, file)
def copied(file):
    import shutil
    shutil.copytree(sys.argv[3], folder / "copy")
with writing(folder):
    {"plain": plain, "numpy": numpy, "safetensors": safetensors, "copied": copied}[sys.argv[2]](folder / "model.npz")
"""


@pytest.mark.parametrize("how", ["plain", "numpy", "safetensors", "copied"])
def test_a_file_that_may_not_grow_is_named_whoever_writes_it(tmp_path: Path, how: str) -> None:
    source, out = tmp_path / "tree", tmp_path / "out"
    source.mkdir()
    out.mkdir()
    (source / "model.npz").write_bytes(b"x" * 5000)
    command = [sys.executable, "-c", LIMITED, str(out), how, str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("workloads.sdk.disk.DiskFull: files may not grow so large here: "), done.stderr
    file = f"a file in {out}" if how == "safetensors" else "model.npz"  # it leaves no file behind
    assert f"{file} could not be written whole; raise that limit (`ulimit -f`), then run this again" in last


@linux
def test_a_full_disk_is_named_through_a_copied_tree(tmp_path: Path) -> None:
    source, target = tmp_path / "from", tmp_path / "to"
    source.mkdir()
    target.mkdir()
    for name in ("a.bin", "b.bin"):
        (source / name).write_bytes(b"x" * 5000)
    (target / "b.bin").symlink_to(FULL)
    said = rf"^the disk is full: {target}/b.bin could not be written whole; free some"
    with pytest.raises(DiskFull, match=said), writing():
        shutil.copytree(source, target, dirs_exist_ok=True)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.getuid() != 0 or not shutil.which("mount") or subprocess.run(made, capture_output=True).returncode:
        pytest.skip("a small file system can be mounted by root only, and not everywhere")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_real_disk_that_is_full(small: Path) -> None:
    with pytest.raises(DiskFull, match=rf"^the disk is full: {small}/model could not be written whole"), writing(small):
        (small / "model").write_bytes(b"x" * 100_000)


@pytest.mark.parametrize("number", list(REASONS))
def test_what_lies_behind_an_error_is_found(number: int) -> None:
    error = RuntimeError("the model cannot be stored")
    error.__cause__ = OSError(number, os.strerror(number), "model.onnx")
    assert "model.onnx could not be written whole" in str(disk_full(error))
    told = RuntimeError(f"in some library: {error.__cause__}")
    assert "model.onnx could not be written whole" in str(disk_full(told))


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    assert disk_full(ValueError("row 28 is wrong")) is None
    assert disk_full(OSError(errno.EACCES, "denied", "x")) is None
    with pytest.raises(PermissionError), writing(tmp_path):
        raise PermissionError(errno.EACCES, "denied")
