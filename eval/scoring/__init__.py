"""Scoring: which answer a trace states, and whether it is right."""
