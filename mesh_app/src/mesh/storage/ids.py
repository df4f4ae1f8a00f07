"""Time-ordered identifiers (UUID version 7, RFC 9562), so that pages by id are pages by time."""

from __future__ import annotations

import os
import time
from uuid import UUID


def new_id() -> UUID:
    milliseconds = time.time_ns() // 1_000_000
    noise = int.from_bytes(os.urandom(10), "big")
    value = (
        (milliseconds & 0xFFFFFFFFFFFF) << 80
        | 0x7 << 76
        | (noise >> 68 & 0xFFF) << 64
        | 0b10 << 62
        | noise & (1 << 62) - 1
    )
    return UUID(int=value)
