"""Files that several processes write and read at once."""

import os
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp


def write_atomically(file: Path, text: str, mode: int = 0o600, keep: bool = False) -> None:
    """Write a file, with its folder; who reads it meanwhile sees what was there before, or all of the text.

    `keep`: a file that is there already stays, so that all who make one at once agree on the first.
    """
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, part = mkstemp(prefix=f".{file.name}.", dir=file.parent)  # of this writer alone, and with mode 0600
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(text)
        os.chmod(part, mode)
        with suppress(FileExistsError):
            (os.link if keep else os.replace)(part, file)
    finally:
        Path(part).unlink(missing_ok=True)
