"""The parts of the page of a report: each has `section`, and what figures it needs."""
