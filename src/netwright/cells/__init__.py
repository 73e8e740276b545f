"""Structures of published papers, written as layer plans: cells, skeletons around them, random graphs."""
