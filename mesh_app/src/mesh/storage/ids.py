"""Time-ordered identifiers (UUID version 7, RFC 9562), so that pages by id are pages by time.

The 12 bits after the milliseconds hold the fraction of the millisecond (section 6.2, method 3): records written one
after the other within a millisecond keep their order.
"""

from __future__ import annotations

import os
import time
from uuid import UUID


def new_id() -> UUID:
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    noise = int.from_bytes(os.urandom(8), "big")
    value = (
        (milliseconds & 0xFFFFFFFFFFFF) << 80
        | 0x7 << 76
        | (nanoseconds << 12) // 1_000_000 << 64
        | 0b10 << 62
        | noise & (1 << 62) - 1
    )
    return UUID(int=value)
