"""Many traversals: the runner, the run folder, trace files, checkpoints."""
