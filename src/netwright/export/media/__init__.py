"""What networks are for, as an export knows it: one file for each kind of data, found by its `medium_of`."""
