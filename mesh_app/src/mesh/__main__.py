from __future__ import annotations

import sys

from mesh.cli import main

sys.exit(main())
