"""Policy: decides about prompts by rules and keeps a log of every decision."""
