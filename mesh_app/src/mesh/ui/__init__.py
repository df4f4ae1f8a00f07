"""The UI: server-rendered pages over the services' own APIs."""
