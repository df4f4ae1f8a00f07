from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ansible.module_utils.basic import AnsibleModule, heuristic_log_sanitize
from ansible_collections.aimesh.mesh.plugins.module_utils.host_files import hide_contents
from module_runner import run_module

SECRET = "correct-horse-battery-staple-0123456789"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def wanted(root: Path, **changes: Any) -> dict[str, Any]:
    """A small host: two directories, a plain file and one with a secret; owners empty, so that any user can run it."""
    args: dict[str, Any] = {
        "state_dir": str(root / "state"),
        "directories": [
            {"path": str(root / "etc"), "mode": "0750"},
            {"path": str(root / "data"), "mode": "0700", "keep": True},
        ],
        "files": [
            {"path": str(root / "etc/app.env"), "content": "PORT=13000\n", "mode": "0640"},
            {
                "path": str(root / "etc/credentials/db"),
                "secret_content": encoded(f"{SECRET}\n"),
                "sensitive": True,
                "mode": "0600",
            },
        ],
    }
    return args | changes


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def snapshot(root: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path): (path.lstat().st_mode, path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted(root.rglob("*"))
    }


def test_check_then_run_then_check_then_run_tells_the_truth(tmp_path: Path) -> None:
    args = wanted(tmp_path)
    predicted = run_module("files", args, check=True)
    assert predicted["changed"]
    assert list(tmp_path.iterdir()) == [], "check mode wrote something"

    done = run_module("files", args)
    assert done["changed"]
    assert (
        done["files"]
        == predicted["files"]
        == {
            str(tmp_path / "etc/app.env"): ["absent"],
            str(tmp_path / "etc/credentials/db"): ["absent"],
        }
    )
    assert done["directories"] == predicted["directories"]
    assert (tmp_path / "etc/app.env").read_text() == "PORT=13000\n"
    assert mode(tmp_path / "etc/app.env") == 0o640
    assert mode(tmp_path / "etc") == 0o750
    assert mode(tmp_path / "etc/credentials/db") == 0o600
    assert mode(tmp_path / "state") == 0o700
    assert mode(tmp_path / "state/files.json") == 0o600

    before = snapshot(tmp_path / "etc")
    assert not run_module("files", args, check=True)["changed"]
    assert not run_module("files", args)["changed"]
    assert snapshot(tmp_path / "etc") == before, "a run without changes wrote something"


def test_a_changed_mode_alone_is_corrected_without_rewriting_the_file(tmp_path: Path) -> None:
    args = wanted(tmp_path)
    run_module("files", args)
    path = tmp_path / "etc/app.env"
    inode = path.stat().st_ino
    path.chmod(0o666)
    done = run_module("files", args, diff=True)
    assert done["files"] == {str(path): ["mode"]}
    assert (path.stat().st_ino, mode(path)) == (inode, 0o640)
    assert "0666" in json.dumps(done["diff"])


def test_the_diff_shows_plain_content_and_never_a_secret(tmp_path: Path) -> None:
    args = wanted(tmp_path)
    run_module("files", args)
    (tmp_path / "etc/app.env").write_text("PORT=9\n")
    (tmp_path / "etc/credentials/db").write_text("an-older-secret-of-the-same-kind\n")
    for check in (True, False):
        done = run_module("files", args, check=check, diff=True)
        shown = json.dumps(done)
        assert "PORT=9" in shown
        assert "PORT=13000" in shown
        assert SECRET not in shown
        assert "an-older-secret" not in shown
        assert "holds secrets and is not shown" in shown


def test_a_file_that_stops_holding_secrets_does_not_show_its_old_content(tmp_path: Path) -> None:
    args = wanted(tmp_path)
    run_module("files", args)
    args["files"][1] = {"path": str(tmp_path / "etc/credentials/db"), "content": "nothing to hide\n"}
    assert SECRET not in json.dumps(run_module("files", args, diff=True))


def test_a_file_no_longer_named_is_removed_and_a_foreign_one_stays(tmp_path: Path) -> None:
    run_module("files", wanted(tmp_path))
    foreign = tmp_path / "etc/operator-notes"
    foreign.write_text("mine\n")
    args = wanted(tmp_path, files=[])
    predicted = run_module("files", args, check=True, diff=True)
    assert predicted["removed"] == [
        str(tmp_path / "etc/app.env"),
        str(tmp_path / "etc/credentials/db"),
        str(tmp_path / "etc/credentials"),
    ]
    assert SECRET not in json.dumps(predicted)
    assert (tmp_path / "etc/app.env").exists()
    assert run_module("files", args)["removed"] == predicted["removed"]
    assert [path.name for path in (tmp_path / "etc").iterdir()] == ["operator-notes"]
    assert not run_module("files", args)["changed"]


def test_a_directory_that_was_there_before_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir(mode=0o755)
    run_module("files", wanted(tmp_path))
    run_module("files", wanted(tmp_path, files=[], directories=[]))
    assert (tmp_path / "etc").is_dir()
    assert (tmp_path / "data").is_dir(), "data is not removed by a plan that forgets it"


def test_directories_that_are_not_listed_keep_their_mode(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    outside.chmod(0o711)
    args = wanted(tmp_path, files=[{"path": str(outside / "deep/file"), "content": "x", "mode": "0644"}])
    run_module("files", args)
    assert mode(outside) == 0o711
    assert mode(outside / "deep") == 0o755


def test_content_that_its_validation_refuses_is_not_put_in_place(tmp_path: Path) -> None:
    path = tmp_path / "etc/haproxy.cfg"
    check = ["grep", "-q", "good", "{path}"]
    run_module("files", wanted(tmp_path, files=[{"path": str(path), "content": "good\n", "validate": check}]))
    refused = run_module("files", wanted(tmp_path, files=[{"path": str(path), "content": "bad\n", "validate": check}]))
    assert refused["failed"]
    assert refused["msg"] == (f"{path} was not put in place, grep refuses the new content (exit 1): it printed nothing")
    assert path.read_text() == "good\n"
    assert [entry.name for entry in path.parent.iterdir()] == ["haproxy.cfg"], "a candidate was left behind"


def test_the_output_of_a_validation_that_saw_secrets_is_withheld(tmp_path: Path) -> None:
    file = {
        "path": str(tmp_path / "etc/users.acl"),
        "secret_content": encoded(SECRET),
        "sensitive": True,
        "validate": ["sh", "-c", "cat {path} >&2; exit 3"],
    }
    refused = run_module("files", wanted(tmp_path, files=[file]))
    assert refused["failed"]
    assert "its output is withheld" in refused["msg"]
    assert SECRET not in json.dumps(refused)


ADDRESSES = f'{{"redis://127.0.0.1:6379": "{SECRET}", "redis://monitor@127.0.0.1:6379": "{SECRET}"}}\n'


def test_what_ansible_logs_of_a_call_holds_no_secret_whatever_addresses_stand_around_it() -> None:
    """Ansible first masks what is between :// and @, and then looks for the content that it was told to hide."""
    plain = {"path": "/x", "content": "URL=http://127.0.0.1:3005\nFilter=@resources\n", "sensitive": False}
    for content, leaks in ((ADDRESSES, True), (encoded(ADDRESSES), False)):
        row = {"path": "/y", "secret_content": content, "sensitive": True}
        logged = heuristic_log_sanitize(str([plain, row, plain]), {content})
        assert (SECRET in logged) is leaks, logged
        assert content not in logged


def test_what_the_files_hold_is_masked_in_what_the_module_says_and_not_only_as_it_came() -> None:
    module = SimpleNamespace(no_log_values=set())
    rows = [
        {"path": "/x", "content": "plain", "secret_content": None, "sensitive": False},
        {"path": "/y", "content": None, "secret_content": encoded(f"{SECRET}\n"), "sensitive": True},
    ]
    hide_contents(cast("AnsibleModule", module), rows)
    assert module.no_log_values == {SECRET}


def test_content_that_came_damaged_is_one_sentence(tmp_path: Path) -> None:
    file = {"path": str(tmp_path / "x"), "secret_content": "no base64!", "sensitive": True}
    refused = run_module("files", wanted(tmp_path, files=[file]))
    assert refused["msg"] == f"The content of the file {tmp_path}/x came damaged; it is not base64."


def test_a_secret_is_never_written_over_a_symbolic_link(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("untouched\n")
    (tmp_path / "etc/credentials").mkdir(parents=True)
    (tmp_path / "etc/credentials/db").symlink_to(target)
    refused = run_module("files", wanted(tmp_path))
    assert refused["failed"]
    assert "is a symbolic link" in refused["msg"]
    assert target.read_text() == "untouched\n"


def test_a_plain_file_replaces_a_symbolic_link_and_leaves_its_target(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("PORT=13000\n")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/app.env").symlink_to(target)
    assert run_module("files", wanted(tmp_path))["changed"]
    assert not (tmp_path / "etc/app.env").is_symlink()
    assert not run_module("files", wanted(tmp_path))["changed"]


def test_check_mode_predicts_for_accounts_that_do_not_exist_yet(tmp_path: Path) -> None:
    args = wanted(
        tmp_path,
        groups=[{"name": "aimesh-nobody-yet"}],
        users=[{"name": "aimesh-nobody-yet", "group": "aimesh-nobody-yet"}],
        files=[
            {
                "path": str(tmp_path / "etc/app.env"),
                "content": "x",
                "owner": "aimesh-nobody-yet",
                "group": "aimesh-nobody-yet",
            }
        ],
    )
    predicted = run_module("files", args, check=True, diff=True)
    assert predicted["changed"]
    assert predicted["groups"] == predicted["users"] == ["aimesh-nobody-yet"]


def test_an_owner_that_nobody_makes_is_one_clear_sentence(tmp_path: Path) -> None:
    path = str(tmp_path / "etc/app.env")
    refused = run_module("files", wanted(tmp_path, files=[{"path": path, "content": "x", "owner": "aimesh-nobody"}]))
    assert refused["msg"] == (
        f"{path} is to belong to user aimesh-nobody, which this host does not have; "
        "the driver must list it or the package that makes it."
    )


def test_an_owner_may_be_the_number_of_a_container_s_account(tmp_path: Path) -> None:
    path = tmp_path / "etc/db"
    file = {"path": str(path), "content": "x", "owner": str(os.geteuid()), "group": str(os.getegid()), "mode": "0400"}
    assert run_module("files", wanted(tmp_path, files=[file]))["files"] == {str(path): ["absent"]}
    assert not run_module("files", wanted(tmp_path, files=[file]))["changed"]
    other = file | {"owner": str(os.geteuid() + 1)}
    assert run_module("files", wanted(tmp_path, files=[other]), check=True)["files"] == {str(path): ["owner"]}


def test_check_mode_predicts_a_file_whose_secret_does_not_exist_yet(tmp_path: Path) -> None:
    file = {"path": str(tmp_path / "etc/db"), "sensitive": True}
    assert run_module("files", wanted(tmp_path, files=[file]), check=True)["files"] == {file["path"]: ["absent"]}
    refused = run_module("files", wanted(tmp_path, files=[file]))
    assert refused["msg"] == f"The file {file['path']} came without content; its secrets were not resolved."


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"mode": "rw-r--r--"}, "must be octal digits in quotes, as '0640'."),
        ({"path": "etc/relative"}, "is not absolute."),
    ],
)
def test_bad_input_is_one_clear_sentence(tmp_path: Path, change: dict[str, str], sentence: str) -> None:
    file = {"path": str(tmp_path / "etc/app.env"), "content": "x"} | change
    refused = run_module("files", wanted(tmp_path, files=[file]))
    assert refused["failed"]
    assert refused["msg"].endswith(sentence)


def test_a_damaged_manifest_stops_the_run_instead_of_forgetting_what_is_ours(tmp_path: Path) -> None:
    run_module("files", wanted(tmp_path))
    (tmp_path / "state/files.json").write_text("{")
    refused = run_module("files", wanted(tmp_path))
    assert "is not valid JSON" in refused["msg"]


def test_a_run_killed_after_the_manifest_was_written_still_owns_what_it_wrote(tmp_path: Path) -> None:
    args = wanted(tmp_path)
    refusing = {
        "path": str(tmp_path / "etc/zz"),
        "content": "x",
        "validate": ["sh", "-c", "kill -9 $PPID"],
    }
    args["files"].append(refusing)
    with pytest.raises(AssertionError, match="printed no JSON"):
        run_module("files", args)
    assert (tmp_path / "etc/app.env").exists()
    run_module("files", wanted(tmp_path, files=[]))
    assert not (tmp_path / "etc/app.env").exists()


def test_sixty_unchanged_files_and_their_record_are_left_untouched(tmp_path: Path) -> None:
    files = [{"path": str(tmp_path / f"etc/{n}"), "content": f"{n}\n" * 200, "mode": "0644"} for n in range(60)]
    args = wanted(tmp_path, files=files)
    run_module("files", args)

    def touched() -> dict[str, tuple[int, int]]:
        paths = [tmp_path / "state/files.json", *(Path(file["path"]) for file in files)]
        return {str(path): (path.stat().st_ino, path.stat().st_ctime_ns) for path in paths}

    before = touched()
    assert not run_module("files", args)["changed"]
    assert touched() == before


@pytest.mark.parametrize("command", ["groupadd"])
def test_accounts_of_ours_are_made_recorded_and_go_with_nothing_else(tmp_path: Path, command: str) -> None:
    """Account programs are replaced by recorders here; the VM suite runs the real ones."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in (command, "useradd"):
        program = programs / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/calls\n')
        program.chmod(0o755)
    args = {
        "state_dir": str(tmp_path / "state"),
        "groups": [{"name": "aimesh-unit"}],
        "users": [{"name": "aimesh-unit", "group": "aimesh-unit", "home": "/var/lib/x"}],
    }
    run_module("files", args, env={"PATH": f"{programs}:{os.environ['PATH']}"})
    assert (tmp_path / "calls").read_text().splitlines() == [
        "groupadd --system aimesh-unit",
        "useradd --gid aimesh-unit --home-dir /var/lib/x --shell /usr/sbin/nologin --no-create-home --system "
        "aimesh-unit",
    ]
    record = json.loads((tmp_path / "state/files.json").read_text())
    assert (record["users"], record["groups"]) == (["aimesh-unit"], ["aimesh-unit"])


def test_a_path_to_leave_is_neither_written_nor_removed(tmp_path: Path) -> None:
    run_module("files", wanted(tmp_path))
    path = str(tmp_path / "etc/app.env")
    args = wanted(tmp_path, leave=[path])
    args["files"][0]["content"] = "PORT=1\n"
    assert not run_module("files", args)["changed"]
    assert Path(path).read_text() == "PORT=13000\n"
    args["files"] = args["files"][1:]
    assert not run_module("files", args)["changed"]
    assert Path(path).exists()
    assert run_module("files", args | {"leave": []})["removed"] == [path]
