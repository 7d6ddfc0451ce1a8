"""`ddxgraph journeys` and its subcommands."""
