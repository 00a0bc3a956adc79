"""Pictures and labels in IDX files, the format of LeCun et al. (MNIST): fetched, verified byte by byte, and read.

A host may compress its files anew, so two digests are known of each: MD5 of the compressed file as published, and
SHA-256 of what is in it.
"""

import gzip
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workloads.sdk.dataset import download


@dataclass(frozen=True)
class File:
    """A published file: MD5 as published (compressed, with name and time), SHA-256 of the decompressed content."""

    md5: str
    sha256: str


def fetch(hosts: Sequence[str], files: Mapping[str, File], out: Path) -> str:
    """Put the decompressed files into `out`, all from the first host that answers; its address.

    Raises:
        ConnectionError: no host gives them all; the sentence names each and why.
        ValueError: a file is not what was published; no other host is asked then.
    """
    failures = []
    for host in hosts:
        try:
            compressed = {name: download(f"{host}/{name}.gz") for name in files}
        except ConnectionError as error:
            failures.append(str(error))
            continue
        for name, content in compressed.items():
            actual = hashlib.md5(content, usedforsecurity=False).hexdigest()
            if actual != files[name].md5:
                raise ValueError(f"{host}/{name}.gz has MD5 {actual}, expected {files[name].md5}; it was not used")
            unpack(content, name, files[name], out)
        return host
    raise ConnectionError("; ".join(failures))


def unpack(compressed: bytes, name: str, file: File, out: Path) -> None:
    """Write the content into `out`. Raises ValueError where it is not what was published."""
    try:
        content = gzip.decompress(compressed)
    except (OSError, EOFError) as error:
        raise ValueError(f"{name}.gz is damaged ({error}); it was not used") from error
    if (actual := hashlib.sha256(content).hexdigest()) != file.sha256:
        raise ValueError(f"the content of {name}.gz has sha256 {actual}, expected {file.sha256}; it was not used")
    (out / name).write_bytes(content)


def read(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 of shape (n, pixels) and labels uint8 of shape (n,) of `train` or `t10k`.

    Raises:
        ValueError: a file is not of the format, or they do not belong together.
    """
    pictures = _array(folder / f"{part}-images-idx3-ubyte", 3)
    labels = _array(folder / f"{part}-labels-idx1-ubyte", 1)
    if len(pictures) != len(labels):
        raise ValueError(f"{folder} has {len(pictures)} pictures and {len(labels)} labels of {part}")
    return pictures.reshape(len(pictures), -1), labels


def _array(file: Path, dimensions: int) -> np.ndarray:
    """Two zero bytes, type (8: uint8), number of dimensions, each dimension as a big-endian int32, then the values."""
    content, start = file.read_bytes(), 4 + 4 * dimensions
    whole = len(content) >= start and content[:4] == bytes([0, 0, 8, dimensions])
    shape = np.frombuffer(content[4:start], ">i4").tolist() if whole else []
    if not whole or len(content) - start != np.prod(shape, dtype=np.int64):
        raise ValueError(f"{file} is no IDX file of {dimensions} dimensions of bytes")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
