"""Comparisons: every strategy on every problem from every seed, what became of each, and what the numbers say."""
