"""Parts of the page of a report that only some searches have: one file for each, found by its `part`."""
