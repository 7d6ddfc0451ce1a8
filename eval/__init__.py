"""What is known about a case beside the case itself: case files and the gold answers in them."""
