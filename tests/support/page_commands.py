"""The commands of a page: its indented blocks by heading, as a reader would copy them into a shell."""

from __future__ import annotations

INDENT = "    "


def command_blocks(text: str) -> dict[str, str]:
    """Heading → its blocks, one after another. Raises ValueError for a page without any."""
    found: dict[str, list[str]] = {}
    heading, before = "", ""
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("#").strip()
        # A block begins after an empty line; what is indented in the middle of a paragraph or a list goes on there.
        inside = line.startswith(INDENT) and (before == "" or before.startswith(INDENT))
        if inside:
            found.setdefault(heading, []).append(line.removeprefix(INDENT))
        before = line if inside or not line.startswith(INDENT) else "text"
    if not found:
        raise ValueError("the page has no commands")
    return {name: "\n".join(lines) + "\n" for name, lines in found.items()}
