"""Searches on real tasks: strategies compared on recipes, each search a run."""
