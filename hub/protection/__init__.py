"""Data protection as tables: what is kept of whom and why, which risks there are, what people are told.

`python -m hub.protection > docs/data-protection.md` writes the page; tests keep tables and page true.
"""
