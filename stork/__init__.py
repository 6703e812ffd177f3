"""Stork: the home of a tabular model in production."""

__version__ = "0.1.0"
