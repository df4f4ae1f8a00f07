"""What watches the mesh, rendered from the plan: targets, rules, routes, dashboards. Pure."""
