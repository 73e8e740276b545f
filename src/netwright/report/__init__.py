"""Figures and pages made from the tables of runs."""
