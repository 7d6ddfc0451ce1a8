"""The nodes: one module per stop, with its output model, its async function and its record.

A node knows the case and a line to the model. It knows nothing of LangGraph, files or benchmarks.

- stops: review_history, generate_differential, check_evidence, reflect, conclude; their records: stop, registry
- strategies: their registry; generate is the node of those with one generation
- call: the line to the model, the form and the reading of its reply, its tokens; settings and failure beside it
- case: the case as the model sees it
"""
