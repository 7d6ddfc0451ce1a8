"""Calls to the model: the conversation around a call, the form and the reading of its reply, its tokens."""
