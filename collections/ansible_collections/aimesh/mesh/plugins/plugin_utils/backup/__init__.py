"""Backups as the drivers render them: pgBackRest's configuration, the backup program and its timers."""
