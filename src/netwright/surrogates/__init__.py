"""Models that strategies learn with."""
