"""Backups: what makes them, where they lie, when they are made, how far back they reach."""

from __future__ import annotations

from typing import Any

from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.data import Platform, SizeProfile, backup_defaults
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.problems import Problems
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.settings import Settings
from ansible_collections.aimesh.mesh.plugins.plugin_utils.plan.variables import BUNDLED, DUMP, NO_BACKUPS, PGBACKREST

IDENTITY, PASSPHRASE = "backup_identity", "backup_passphrase"
S3_SECRETS = ("backup_s3_key", "backup_s3_secret")
CONTINUOUS = ("full", "differential", "incremental", "check")
"""Timers that only an archive of WAL needs."""


def engine_of(settings: Settings, platform: Platform) -> str:
    """What makes backups: pgBackRest unless the site says otherwise; `` when nothing does."""
    engine = str(settings.site["mesh_backup"].get("engine", PGBACKREST))
    return engine if platform.backup and not _kept_by(settings, platform) and engine != NO_BACKUPS else ""


def _kept_by(settings: Settings, platform: Platform) -> str:
    """Kind of a database in a cluster that others keep, and back up; empty for one of the mesh."""
    kind = str(settings.site["mesh_kubernetes_database"].get("kind", BUNDLED)) if platform.cluster else BUNDLED
    return "" if kind == BUNDLED else kind


def backup_secrets(settings: Settings, platform: Platform) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of secrets that backups need: those that can be generated, and those that only an operator knows."""
    engine = engine_of(settings, platform)
    if not engine:
        return (), ()
    generated = (IDENTITY, PASSPHRASE) if engine == PGBACKREST else (IDENTITY,)
    return generated, S3_SECRETS if engine == PGBACKREST and settings.site["mesh_backup"].get("s3") else ()


def plan_backup(
    settings: Settings, profile: SizeProfile, platform: Platform, host: str, problems: Problems
) -> dict[str, Any]:
    """The plan's `backup`, on the data host `host`; with engine `` nothing makes backups."""
    own, at_site = settings.site["mesh_backup"], problems.at(settings.origins)
    engine = engine_of(settings, platform)
    times = {name: own.get(name, profile.backup[name]) for name in ("schedule", "retention_days")}
    if not engine:
        if own.get("engine", NO_BACKUPS) != NO_BACKUPS:
            name, kind = settings.site["mesh_platform"], _kept_by(settings, platform)
            why = f"with mesh_kubernetes_database.kind {kind}, whose backups are its own"
            at_site.wrong(
                "mesh_backup.engine",
                own["engine"],
                f"nothing {why if kind else f'on platform {name}, which has no backups'}",
                "remove it",
            )
        return {"engine": engine, "host": "", **times}
    if engine == DUMP:
        for name in sorted({"s3", *CONTINUOUS} & set(own)):
            at_site.wrong(
                f"mesh_backup.{name}",
                own[name],
                "nothing with engine dump, which makes the daily dump alone",
                "remove it, or set mesh_backup.engine: pgbackrest",
            )
    defaults = backup_defaults()
    root = defaults["root"]
    timers = {name: own.get(name, text) for name, text in defaults["timers"].items()}
    return {
        "engine": engine,
        "host": host,
        **times,
        "stanza": defaults["stanza"],
        "archive_timeout_s": defaults["archive_timeout_s"],
        "process_max": defaults["process_max"],
        "root": root,
        "repositories": _repositories(engine, own.get("s3"), root, defaults),
        "timers": {name: text for name, text in timers.items() if engine == PGBACKREST or name not in CONTINUOUS},
        "dump": {"folder": f"{root}/dumps", "keep": defaults["keep"], "script": defaults["script"]},
        "configuration": {"folder": f"{root}/configuration", "keep": defaults["keep"]},
        "escrow": f"{root}/escrow",
        "recipients": list(own.get("recipients", [])),
        "scratch": f"{root}/scratch",
        "drill_port": defaults["drill_port"],
        "replay": defaults["replay"],
    }


def archive_settings(backup: dict[str, Any], config: str) -> dict[str, str]:
    """PostgreSQL's settings for its archive; without one it is off, else WAL would be kept for nobody.

    A command is not among them then: PostgreSQL shows `(disabled)` whatever it is set to.
    """
    if backup["engine"] != PGBACKREST:
        return {"archive_mode": "off", "archive_timeout": "0"}
    return {
        "archive_mode": "on",
        "archive_command": f"pgbackrest --config={config} --stanza={backup['stanza']} archive-push %p",
        "archive_timeout": f"{backup['archive_timeout_s']}s",
    }


def _repositories(engine: str, s3: dict[str, Any] | None, root: str, defaults: dict[str, Any]) -> list[dict[str, Any]]:
    if engine != PGBACKREST:
        return []
    found: list[dict[str, Any]] = [{"number": 1, "kind": "local", "path": f"{root}/repository"}]
    if s3:
        found.append({"number": 2, "kind": "s3", **defaults["s3"], **s3})
    return found
