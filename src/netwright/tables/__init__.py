"""Tabular benchmarks: each file reads published results and answers without training."""
