"""The words in which a check is written."""
