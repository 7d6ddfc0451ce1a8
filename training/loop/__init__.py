"""The improvement loop: rounds of generation, training and evaluation."""
