"""What modules need to work with a Kubernetes cluster through its API."""
