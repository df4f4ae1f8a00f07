"""Reading a table in the order of its changes without missing a row that was committed late.

`updated_at` is taken before a transaction commits, so a row may appear behind a reader that has already passed its
time. A reader therefore goes through everything to the end (a sweep) and then back to the first moment that had not
settled; what it sees twice has the same version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from mesh.web.paging import bad_cursor, decode_cursor, encode_cursor
from mesh.web.problem import ProblemError

SETTLING = timedelta(seconds=10)
"""No transaction of a service lives that long: twice the limit of one database call."""
_FIRST = UUID(int=0)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Place:
    """Behind the row of `moment` and `id`; `floor` is where the next sweep begins, when this one has to be repeated."""

    moment: datetime = _EPOCH
    id: UUID = _FIRST
    floor: datetime | None = None

    @classmethod
    def parse(cls, cursor: str) -> Place:
        """Raises ProblemError 400 for a cursor that was not made here; an empty one is the beginning."""
        if not cursor:
            return cls()
        try:
            moment, row = decode_cursor(cursor, 2)
            floor = None
        except ProblemError:
            moment, row, floor = decode_cursor(cursor, 3)
        try:
            return cls(_moment(moment), UUID(row), _moment(floor) if floor else None)
        except (ValueError, OverflowError):
            raise bad_cursor() from None

    def cursor(self) -> str:
        parts = [self.moment.astimezone(UTC).isoformat(), str(self.id)]
        return encode_cursor(*parts, *([self.floor.astimezone(UTC).isoformat()] if self.floor else []))

    def after(self, rows: Sequence[Any], limit: int) -> tuple[Place, bool]:
        """Where to go on after a page, and whether there is more at once. Rows have updated_at, id and read_at."""
        floor, last = self.floor, self
        if rows:
            settled = rows[-1]["read_at"] - SETTLING
            if floor is None and rows[-1]["updated_at"] >= settled:
                floor = max(settled, self.moment)
            last = Place(rows[-1]["updated_at"], UUID(str(rows[-1]["id"])), floor)
        if len(rows) == limit:
            return last, True
        return (last if floor is None else Place(floor)), False


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
