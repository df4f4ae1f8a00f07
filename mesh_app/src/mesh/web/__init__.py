"""HTTP in and out: endpoints, errors, paging, the interface described, calls to other services."""
