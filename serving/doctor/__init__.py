"""The doctor: what an endpoint and this machine offer to the graph."""
