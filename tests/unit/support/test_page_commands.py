"""The commands of a page: what is indented after an empty line, by heading, and nothing else."""

from __future__ import annotations

import pytest
from page_commands import command_blocks

PAGE = """\
# A page

Say this:

    make one
    make two

and then

    cat > file <<'END'
        indented: true
    END

## Next

* an item
    that goes on

    make three
"""


def test_blocks_are_those_of_their_heading_one_after_another() -> None:
    found = command_blocks(PAGE)
    assert found["A page"] == "make one\nmake two\ncat > file <<'END'\n    indented: true\nEND\n"
    assert found["Next"] == "make three\n"


def test_a_page_without_commands_is_refused() -> None:
    with pytest.raises(ValueError, match="no commands"):
        command_blocks("# A page\n\nText.\n")
