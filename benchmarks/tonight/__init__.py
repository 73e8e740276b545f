"""The parts of `benchmarks/tonight.py`: data sets, cells of the table, the reference P1, the table."""
