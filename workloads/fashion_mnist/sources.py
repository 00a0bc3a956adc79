"""Where Fashion-MNIST is got from: the publisher's host, or Debian's package; both are verified byte by byte.

Debian strips name and time from the header of each gzip file, which changes the compressed file's checksum and
nothing else. So the published MD5s hold for the official files, and the SHA-256 of the decompressed content for both.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from workloads.sdk.contract import Fetched
from workloads.sdk.kits.images import idx

OFFICIAL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
PACKAGE = "dataset-fashion-mnist"
INSTALLED = Path("usr/share/datasets/fashion-mnist")


FILES = {
    "train-images-idx3-ubyte": idx.File(
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d", "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
    ),
    "train-labels-idx1-ubyte": idx.File(
        "25c81989df183df01b3e8a0aad5dffbe", "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
    ),
    "t10k-images-idx3-ubyte": idx.File(
        "bef4ecab320f06d8554ea6380940ec79", "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
    ),
    "t10k-labels-idx1-ubyte": idx.File(
        "bb300cfdad3c16e7a12a480ee83cd310", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
    ),
}


def fetch(source: str, out: Path) -> Fetched:
    """Put the four decompressed files into `out`, from `official`, `debian`, or `auto` (the first that answers).

    Raises:
        ConnectionError: no source answers; the sentence names each and why.
        ValueError: a file is not what was published; no other source is tried then.
    """
    failures = []
    for name, way in {"official": _official, "debian": _debian}.items():
        if source not in ("auto", name):
            continue
        try:
            return way(out)
        except ConnectionError as error:
            failures.append(f"{name}: {error}")
    raise ConnectionError("Fashion-MNIST could not be got. " + "; ".join(failures))


def _official(out: Path) -> Fetched:
    return Fetched(source="official", uri=idx.fetch([OFFICIAL], FILES, out))


def _debian(out: Path) -> Fetched:
    """The installed package, or the package unpacked in a temporary folder, which needs no root."""
    if (Path("/") / INSTALLED / "train-images-idx3-ubyte.gz").exists():
        _read_folder(Path("/") / INSTALLED, out)
        return Fetched(source="debian", uri=f"file:///{INSTALLED}")
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise ConnectionError(f"the package {PACKAGE} needs apt-get and dpkg-deb, which this system does not have")
    with tempfile.TemporaryDirectory() as folder:
        got = subprocess.run(
            ["apt-get", "download", "-o", "APT::Sandbox::User=root", PACKAGE],
            cwd=folder, capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        packages = list(Path(folder).glob("*.deb"))
        if got.returncode or not packages:
            lines = [line for line in got.stderr.splitlines() if line.startswith("E:")] or ["nothing was downloaded"]
            raise ConnectionError(f"`apt-get download {PACKAGE}` failed ({lines[0]}); `apt-get update` may help")
        subprocess.run(["dpkg-deb", "-x", str(packages[0]), f"{folder}/package"], check=True, capture_output=True)
        _read_folder(Path(folder) / "package" / INSTALLED, out)
        return Fetched(source="debian", uri=f"deb:{packages[0].stem}")


def _read_folder(folder: Path, out: Path) -> None:
    for name, file in FILES.items():
        idx.unpack((folder / f"{name}.gz").read_bytes(), name, file, out)
