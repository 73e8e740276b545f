"""Search spaces, one family per file."""
