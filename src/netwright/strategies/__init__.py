"""Search strategies, one method per file."""
