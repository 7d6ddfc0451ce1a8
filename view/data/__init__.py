"""What the views show, as plain data."""
