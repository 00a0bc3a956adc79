"""Identities of predictions: UUID version 7 (RFC 9562), which sort by the time they were made."""

import os
import time
from uuid import UUID


def uuid7() -> UUID:
    """A new identity: milliseconds since 1970, then the fraction of the millisecond, then 62 random bits."""
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    fraction = (nanoseconds << 12) // 1_000_000
    chance = int.from_bytes(os.urandom(8)) >> 2
    return UUID(int=(milliseconds << 80) | (0x7 << 76) | (fraction << 64) | (0b10 << 62) | chance)
