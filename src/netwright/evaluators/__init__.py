"""Ways to measure a trial, one per file."""
