"""The API gateway: one address for the REST calls and for GraphQL."""
