"""Ways to run workers, one per file."""
