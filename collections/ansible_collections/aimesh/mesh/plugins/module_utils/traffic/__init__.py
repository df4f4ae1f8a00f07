"""The load that runs while a mesh is updated, and what it proves: requests, ledger, comparison, verdict."""
