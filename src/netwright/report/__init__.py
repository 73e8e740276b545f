"""Reads a table, writes figures and pages."""
