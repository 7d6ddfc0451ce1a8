"""Monologues rewritten by a model, and the check that they still tell the whole journey."""
