"""The gate: which journeys become training data, and why the others do not."""
