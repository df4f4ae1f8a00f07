"""Proof: rounds of questions and answers, and the report that comes of them."""
