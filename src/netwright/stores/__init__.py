"""Tables of trials, one kind per file."""
