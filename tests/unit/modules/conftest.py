from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]

for folder in (REPOSITORY / "collections", REPOSITORY / "tests" / "support"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
