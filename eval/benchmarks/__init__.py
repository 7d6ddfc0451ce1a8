"""Benchmarks: rows in, cases with gold answers out; checked by hash and row by row."""
