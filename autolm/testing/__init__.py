"""Prove gradients: an oracle, laws, strategies and named diagnoses (floor 2)."""
