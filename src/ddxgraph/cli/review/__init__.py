"""`ddxgraph review`: an expert goes through the traversals of a run."""
