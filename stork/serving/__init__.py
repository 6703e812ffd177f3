"""Answering requests: which version, checked how, by which backend."""
