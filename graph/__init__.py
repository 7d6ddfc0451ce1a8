"""How thinking moves: state, pure routing, budget, topology, and the trace of a traversal."""
