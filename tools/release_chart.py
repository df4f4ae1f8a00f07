"""The chart and the manifests by example in a release folder, for whoever has the release and no checkout.

The archive is the one that `helm package` would make, written without Helm, and the same bytes for the same chart.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import shutil
import tarfile
from pathlib import Path
from typing import Any

from bootstrap import ROOT

CHART = ROOT / "charts" / "ai-agent-mesh"
MANIFESTS = ROOT / "k8s"


def attach(folder: Path, chart: Path = CHART, manifests: Path = MANIFESTS) -> None:
    """Bring both into the release, in place of what is there; `release.json` comes last and gets a row for each."""
    path = folder / "release.json"
    release: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    archive = packaged(chart)
    name = f"{chart.name}-{version(chart)}.tgz"
    files = {each.name: each.read_bytes() for each in sorted(manifests.glob("*.yaml"))}
    rows = {
        "chart": {"file": name, "sha256": hashlib.sha256(archive).hexdigest()},
        "manifests": [
            {"file": f"{manifests.name}/{each}", "sha256": hashlib.sha256(text).hexdigest()}
            for each, text in files.items()
        ],
    }
    wanted = {name, *(row["file"] for row in rows["manifests"])}  # type: ignore[index]
    if release | rows == release and all((folder / each).is_file() for each in wanted):
        return
    for old in folder.glob(f"{chart.name}-*.tgz"):
        old.unlink()
    shutil.rmtree(folder / manifests.name, ignore_errors=True)
    (folder / manifests.name).mkdir()
    (folder / name).write_bytes(archive)
    for each, text in files.items():
        (folder / manifests.name / each).write_bytes(text)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(release | rows, indent=1), encoding="utf-8")
    partial.replace(path)


def version(chart: Path) -> str:
    """The chart's own version."""
    found = re.search(r"^version: (\S+)$", (chart / "Chart.yaml").read_text(encoding="utf-8"), re.MULTILINE)
    if not found:
        raise ValueError(f"{chart}/Chart.yaml has no version")
    return found.group(1)


def packaged(chart: Path) -> bytes:
    """The chart as a .tgz; times and owners are nobody's."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for path in sorted(each for each in chart.rglob("*") if each.is_file()):
            data = path.read_bytes()
            member = tarfile.TarInfo(f"{chart.name}/{path.relative_to(chart).as_posix()}")
            member.size, member.mode = len(data), 0o644
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(held.getvalue(), mtime=0)
