"""Views of traversals and runs.

- data: what the views show, as plain data
- charts: coordinates, pictures, Mermaid text and NetworkX graphs
- page: HTML pages; terminal: output with rich. Both show data and charts, which know of neither
"""
