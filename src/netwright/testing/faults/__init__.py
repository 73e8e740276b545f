"""What `netwright.testing.chaos` does to a search and looks at afterwards, one kind per file."""
