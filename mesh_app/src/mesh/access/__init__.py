"""Who calls and what they may do: credentials, roles, limits, the record of it."""
