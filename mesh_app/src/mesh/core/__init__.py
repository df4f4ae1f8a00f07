"""What all six services share: settings, storage, identity, health, metrics, HTTP."""
