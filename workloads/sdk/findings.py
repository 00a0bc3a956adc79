"""What a dataset's pipeline found while processing: kept beside the splits, described, said to people."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FINDINGS = "findings.json"
UNSAID = ("rows_read", "columns")  # for programs


def keep(found: Mapping[str, Any], out: Path) -> None:
    """Write what was found beside the splits."""
    (out / FINDINGS).write_text(json.dumps(dict(found)))


def read(processed: Path) -> dict[str, Any]:
    """What `keep` wrote; nothing where a pipeline keeps nothing."""
    file = processed / FINDINGS
    return json.loads(file.read_text()) if file.is_file() else {}


def said(found: Mapping[str, Any]) -> Iterator[str]:
    """What processing has dropped or would have people know, of all that it found."""
    for name, each in found.items():
        if name in UNSAID or not each:
            continue
        words = [f"{key} {count}" for key, count in each.items()] if isinstance(each, dict) else each
        yield f"{name.replace('_', ' ')}: {', '.join(words) if isinstance(words, list) else words}"
