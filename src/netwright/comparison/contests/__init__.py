"""Searches on real tasks: strategies compared by runs of recipes."""
