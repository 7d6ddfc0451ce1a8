"""The benchmarks as Inspect AI tasks, and Inspect's logs as runs."""
