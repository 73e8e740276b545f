"""Conformance suites for plug-ins, usable by other packages: one `check_...` function per protocol, one file each."""
