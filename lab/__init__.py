"""The laboratory domain: generated cases that can be solved exactly from their own text.

- what DDXPlus knows: knowledge, phrases.toml
- cases: level (the generative model), solver, labcase (drawing), wording (English and back)
"""
