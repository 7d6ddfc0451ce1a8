"""Where a model lives: endpoint resolution, the embedded engine, its weights."""
