"""`python -m ddxgraph`."""

from ddxgraph.cli import main

main()
