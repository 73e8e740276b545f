"""Trained networks as folders that run where netwright is not installed, and what reads such folders."""
