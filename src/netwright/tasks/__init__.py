"""Data, loss and metrics, one kind per file."""
