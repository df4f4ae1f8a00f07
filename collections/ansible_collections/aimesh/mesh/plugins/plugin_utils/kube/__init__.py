"""What the controller halves know of a mesh on Kubernetes: only the plan, never the cluster itself."""
