"""Conformance suites for plug-ins, usable by other packages."""
