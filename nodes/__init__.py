"""What is thought at each stop of the graph: one file a node, its output model and its async function.

A node knows the case and a line to a model. It knows nothing of LangGraph, files or benchmarks.
"""
