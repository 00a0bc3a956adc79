"""The ledger's data: which versions there are, and which files they hold."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from resources.ledger.store import Store
from resources.registry.version import DataFile, DataVersion
from workloads.sdk.errors import PlatformError

DIGITS = 6  # of a digest, at least, to find a file by


class MovedTag(PlatformError):
    """A data tag that the ledger knows points elsewhere now. Tags are immutable, so this is refused."""


class Data:
    """Data versions, entered once."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def record(self, *versions: DataVersion) -> None:
        """Enter data versions with their files, all or none; those known already are compared instead.

        Raises:
            MovedTag: one is known with another commit or digest.
        """
        with self._store.transaction():
            for name in sorted({version.name for version in versions}):
                self._store.lock(f"data:{name}")
            for version in versions:
                self._record(version)

    def _record(self, version: DataVersion) -> None:
        known = self._store.execute(
            "SELECT commit, digest FROM data_version WHERE name = %s AND version = %s", [version.name, version.version]
        ).fetchone()
        if known:
            if known != (version.commit, version.digest):
                raise MovedTag(
                    f"the tag {version.tag} was commit {known[0][:12]} (digest {known[1][:12]}) and is now "
                    f"{version.commit[:12]} ({version.digest[:12]}); tags are immutable: set it"
                    " back, and release a new version instead"
                )
            return
        fields = ("name", "version", "tag", "commit", "digest", "source")
        values = {field: getattr(version, field) for field in fields} | {"metadata": dict(version.metadata)}
        inserted = self._store.insert("data_version", values)
        for file in version.files:
            self._store.insert("data_file", {"data_version": inserted, **asdict(file)})

    def versions(self, name: str) -> list[DataVersion]:
        """All versions of a dataset, in the order they were entered."""
        return self._store.read_all(_version, "SELECT * FROM data_page", name=name)

    def get(self, name: str, version: str) -> DataVersion | None:
        """One version of a dataset, as it was when it was entered."""
        return self._store.read(_version, "SELECT * FROM data_page", name=name, version=version)

    def newest(self, name: str) -> DataVersion | None:
        """The highest version of a dataset, by semantic version."""
        highest = "ORDER BY string_to_array(version, '.')::int[] DESC"
        return self._store.read(_version, "SELECT * FROM data_page", highest, name=name)

    def before(self, name: str, version: str, most: int) -> list[DataVersion]:
        """Versions below one, newest first: the latest ones and the lowest, each content under its highest."""
        earlier = (
            "WITH content AS (SELECT DISTINCT ON (digest) id, string_to_array(version, '.')::int[] AS number"
            " FROM data_version WHERE name = %s AND string_to_array(version, '.')::int[] <"
            " string_to_array(%s, '.')::int[] ORDER BY digest, number DESC)"
            " SELECT * FROM data_page WHERE id IN ((SELECT id FROM content ORDER BY number DESC LIMIT %s) UNION"
            " (SELECT id FROM content ORDER BY number LIMIT 1)) ORDER BY string_to_array(version, '.')::int[] DESC"
        )
        return self._store.query(_version, earlier, [name, version, most - 1])

    def commits(self, name: str) -> dict[str, str]:
        """The commit that each version of a dataset had when it was entered."""
        return dict(self._store.execute("SELECT version, commit FROM data_version WHERE name = %s", [name]).fetchall())

    def by_file(self, digest: str) -> list[DataVersion]:
        """The data versions of a digest (their own, or a file's SHA-256 or MD5), or of its first six digits or more."""
        prefix = digest.lower()
        if len(prefix) < DIGITS or any(character not in "0123456789abcdef" for character in prefix):
            return []
        return self._store.query(
            _version,
            "SELECT * FROM data_page WHERE digest LIKE %(p)s OR id IN"
            " (SELECT data_version FROM data_file WHERE sha256 LIKE %(p)s OR md5 LIKE %(p)s) ORDER BY id",
            {"p": f"{prefix}%"},
        )

    def by_path(self, path: str) -> list[DataVersion]:
        """The data versions that hold a file of this path (in the registry) or name."""
        return self._store.query(
            _version,
            "SELECT * FROM data_page WHERE id IN"
            " (SELECT data_version FROM data_file WHERE path = %(path)s OR right(path, length(%(end)s)) = %(end)s)"
            " ORDER BY id",
            {"path": path, "end": f"/{path}"},
        )


def _version(id: int, created_at: datetime, files: list[dict[str, Any]], **columns: Any) -> DataVersion:
    return DataVersion(**columns, files=[DataFile(**file) for file in files])
