"""Nouns and protocols: plain data and numpy, no torch."""
