"""Backups in a pod of a cluster: a scheduler instead of timers, and what the controller asks there by commands."""
