"""The plan: one resolved, validated document that every later step reads."""
