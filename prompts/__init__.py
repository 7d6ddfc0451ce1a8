"""The words given to the model: one Jinja file a prompt, and the library that reads them."""
