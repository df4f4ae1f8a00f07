"""What the verification harness can ask of a host, and how a host answers: one probe of one kind per question."""
