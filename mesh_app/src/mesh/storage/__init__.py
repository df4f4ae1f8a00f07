"""PostgreSQL and Redis, as every service uses them."""
