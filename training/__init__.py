"""From traversals to a better model: gate, compile, fine-tune. No module yet."""
