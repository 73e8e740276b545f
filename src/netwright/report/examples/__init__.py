"""What a page shows of examples: one file for each kind of data, found by its `kind`, and what these share."""
