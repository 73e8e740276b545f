"""How long networks take on this machine: whole ones measured, any other one by a table of their operations."""
