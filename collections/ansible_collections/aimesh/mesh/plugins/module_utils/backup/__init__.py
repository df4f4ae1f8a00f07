"""Backups of a data host: the program that makes them there, and what the modules and the program share."""
