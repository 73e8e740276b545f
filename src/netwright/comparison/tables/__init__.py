"""Searches over published results: strategies compared on tables of measured networks."""
