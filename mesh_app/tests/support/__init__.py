"""Real parts for the tests: PostgreSQL and Redis servers, and the mesh's own processes."""
