"""Rows to learn from: read, checked against the declaration, split, summed up in a sample."""
