"""Observers: who is told how a search goes, one kind per file."""
