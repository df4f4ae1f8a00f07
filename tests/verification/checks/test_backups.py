"""Backups are made as planned, can be read by nobody else, have no gap, and were tried out."""

from __future__ import annotations

from ansible_collections.aimesh.mesh.plugins.plugin_utils.backup import layout
from vocabulary.backups import (
    DAY_S,
    DUMP,
    HOUR_S,
    LATE_S,
    WAITS,
    archived,
    backed,
    backup_host,
    calendar_period_s,
    cron_period_s,
    dump_schedule,
    escrow,
    failed_runs,
    limits,
    planned_since,
    sealed_archive,
    status,
    timer_states,
    tried,
)
from vocabulary.check import Target, check
from vocabulary.mesh import Mesh
from vocabulary.outcome import MismatchError, NotApplicableError, require_none

KINDS = ("full", "differential", "incremental")
CIPHER = "aes-256-cbc"


@check(
    "backup.schedule.active", "Every planned timer of backups is enabled and waits for its next run",
    targets=backup_host, capability="backup", hint="backup",
)  # fmt: skip
def test_every_planned_timer_waits(mesh: Mesh, target: Target) -> None:
    states = timer_states(mesh, target, backed(mesh)["timers"])
    wrong = [f"{layout.timer(kind)} is {state}" for kind, state in states.items() if state != WAITS]
    require_none(wrong, f"{len(states)} timers enabled and active")


@check(
    "backup.repository.encrypted", "Every planned repository can be read with the passphrase and is encrypted",
    targets=backup_host, capability="backup", hint="backup",
)  # fmt: skip
def test_every_repository_is_encrypted(mesh: Mesh, target: Target) -> None:
    planned = [each["number"] for each in archived(mesh)["repositories"]]
    seen = status(mesh, target)
    found = {each["number"]: each for each in seen["repositories"]}
    wrong = [f"repository {number} is not there" for number in planned if number not in found]
    for number, each in found.items():
        if each["code"] != 0:
            wrong.append(f"repository {number}: {each['message']}")
        elif each["cipher"] != CIPHER:
            wrong.append(f"repository {number} has cipher {each['cipher']}")
    require_none(wrong + (seen["problems"] if wrong else []), f"{len(planned)} repositories with cipher {CIPHER}")


@check(
    "backup.full.recent", "Every repository has a full backup and a newest one that are not long ago",
    targets=backup_host, capability="backup", hint="backup",
)  # fmt: skip
def test_the_newest_backups_are_recent(mesh: Mesh, target: Target) -> None:
    planned, limit, seen = archived(mesh), limits(mesh), status(mesh, target)
    ages = {"full": limit["backup_full_age_h"], "": limit["backup_incremental_age_h"]}
    wrong = failed_runs(seen, *KINDS)
    for number in [each["number"] for each in planned["repositories"]]:
        good = [each for each in seen["backups"] if each["repository"] == number and not each["error"]]
        for kind, hours in ages.items():
            what = f"{kind} backup".strip()
            stops = [each["stop"] for each in good if kind in ("", each["kind"])]
            if not stops:
                wrong.append(f"repository {number} has no {what}")
            elif seen["now"] - max(stops) > hours * HOUR_S:
                age = (seen["now"] - max(stops)) / HOUR_S
                wrong.append(f"the newest {what} in repository {number} is {age:.0f} hours old")
    require_none(wrong, f"a full backup within {ages['full']} hours and any within {ages['']} hours, and no failed run")


@check(
    "backup.archive.works", "A segment of the write-ahead log that is closed now arrives in every repository",
    targets=backup_host, capability="backup", writes=True, hint="backup",
)  # fmt: skip
def test_a_segment_arrives(mesh: Mesh, target: Target) -> None:
    archived(mesh)
    seen = tried(mesh, target)
    if not seen["ok"]:
        raise MismatchError(expected="a segment that arrives in every repository", actual=seen["message"])


@check(
    "backup.archive.continuous", "The archive lacks no segment from the oldest backup until now",
    targets=backup_host, capability="backup", hint="backup",
)  # fmt: skip
def test_the_archive_has_no_gap(mesh: Mesh, target: Target) -> None:
    archived(mesh)
    seen = status(mesh, target)
    archive = seen["archive"]
    wrong = list(seen["problems"] or ["nobody knows the archive"]) if archive is None else list(archive["gaps"])
    # Repositories that could not be listed have no gaps either.
    wrong += [f"repository {each['number']} cannot be listed" for each in seen["repositories"]
              if each["missing_segments"] is None]  # fmt: skip
    require_none(wrong, "no missing segment")


@check(
    "backup.dump.scheduled", "What makes the dump on time runs, and makes it when planned",
    targets=backup_host, capability="backup", hint="backup",
)  # fmt: skip
def test_the_dump_is_made_on_time(mesh: Mesh, target: Target) -> None:
    require_none(dump_schedule(mesh, target), f"the dump, as planned: {backed(mesh)['schedule']}")


@check(
    "backup.dump.recent", "The newest dump is encrypted, and of the last planned run",
    targets=backup_host, capability="backup", hint="backup",
)  # fmt: skip
def test_the_newest_dump_is_recent(mesh: Mesh, target: Target) -> None:
    limit_s = cron_period_s(backed(mesh)["schedule"]) + LATE_S
    seen, since = status(mesh, target), planned_since(mesh, target, DUMP)
    wrong = failed_runs(seen, "dump") or sealed_archive(seen["dump"], seen["now"], since, limit_s, "dump")
    require_none(wrong, f"an encrypted dump within {limit_s / HOUR_S:.0f} hours")


@check(
    "backup.configuration.encrypted", "The newest archive of the configuration is encrypted, and not long ago",
    targets=backup_host, capability="backup", hint="backup",
)  # fmt: skip
def test_the_configuration_is_encrypted(mesh: Mesh, target: Target) -> None:
    limit_s = calendar_period_s(backed(mesh)["timers"]["configuration"]) + LATE_S
    since = planned_since(mesh, target, "configuration")
    seen = status(mesh, target)
    wrong = failed_runs(seen, "configuration") or sealed_archive(
        seen["configuration"], seen["now"], since, limit_s, "archive of the configuration"
    )
    require_none(wrong, f"an encrypted archive of the configuration within {limit_s / HOUR_S:.0f} hours")


@check(
    "backup.rpo.promised", "What makes backups can keep the promised recovery point",
    targets=backup_host, capability="backup", hint="backup_promise",
)  # fmt: skip
def test_the_recovery_point_can_be_kept(mesh: Mesh, target: Target) -> None:
    backed(mesh)
    # The promise of today counts, as it does for a plan that is not applied yet.
    wanted, promised = mesh.wanted["backup"], mesh.wanted["targets"]["rpo_s"]
    if not wanted["engine"]:
        raise NotApplicableError("nothing is to make backups of this mesh any more: mesh_backup.engine is none")
    expected = f"at most {promised} s of acknowledged writes lost"
    if wanted["engine"] == "dump":
        period = cron_period_s(wanted["schedule"])
        wrong = [f"the dump alone, which is made every {period // DAY_S} days at worst"] if period > promised else []
        require_none(wrong, expected)
        return
    late = wanted["archive_timeout_s"]
    wrong = [f"a segment is archived {late} s after its first write"] if late > promised else []
    if layout.archives(mesh.plan):
        archive = status(mesh, target)["archive"] or {}
        if archive.get("mode") not in ("on", "always"):
            wrong.append(f"archive_mode of PostgreSQL is {archive.get('mode') or 'unknown'}")
        if archive.get("failing"):
            wrong.append(f"PostgreSQL cannot archive {archive['failed_segment']}, and {archive['waiting']} files wait")
    require_none(wrong, expected)


@check(
    "backup.drill.recent", "The last restore drill passed, and is not long ago",
    targets=backup_host, capability="backup", hint="backup_drill",
)  # fmt: skip
def test_the_last_restore_drill_passed(mesh: Mesh, target: Target) -> None:
    archived(mesh)
    limit, seen = limits(mesh)["drill_age_days"], status(mesh, target)
    drill = seen["drill"]
    if drill is None:
        raise NotApplicableError("no restore drill was held yet, so no restore is proven")
    verdict, why = drill.get("verdict"), drill.get("message") or "it does not say why"
    wrong = [] if verdict == "passed" else [f"{verdict}: {why}"]
    finished = drill.get("finished")
    if not isinstance(finished, (int, float)):
        wrong.append("the drill has no end")
    elif seen["now"] - finished > limit * DAY_S:
        wrong.append(f"the last drill was {(seen['now'] - finished) / DAY_S:.0f} days ago")
    require_none(wrong, f"a passed drill within the last {limit} days")


@check(
    "backup.dump.restores", "The dump that the last restore drill tried can be restored, and has rows in it",
    targets=backup_host, capability="backup", hint="backup_drill",
)  # fmt: skip
def test_the_dump_of_the_last_drill_restores(mesh: Mesh, target: Target) -> None:
    archived(mesh)
    tried_dump = (status(mesh, target)["drill"] or {}).get("dump")
    if tried_dump is None:
        raise NotApplicableError("no restore drill has tried a dump yet, so no dump is proven")
    wrong = [tried_dump["message"]] if tried_dump["message"] else []
    if not wrong and not tried_dump["rows"]:
        wrong.append(f"{tried_dump['path']} has no rows")
    require_none(wrong, "a dump that restores, with rows in it")


@check(
    "backup.escrow.current", "The sealed archive of all secrets holds those of today",
    targets=backup_host, capability="backup", hint="plan",
)  # fmt: skip
def test_the_escrow_is_of_today(mesh: Mesh, target: Target) -> None:
    seen = escrow(mesh, target)
    wrong = [] if seen["archive"] else ["there is no sealed archive of the secrets"]
    if seen["archive"] and not seen["current"]:
        wrong.append("secrets or recipients changed after they were sealed")
    require_none(wrong, f"an archive in {backed(mesh)['escrow']} of the secrets as they are in the store")
