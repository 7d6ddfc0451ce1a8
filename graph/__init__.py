"""How a traversal moves: state, pure routing, budget, topology and trace; the strategies."""
