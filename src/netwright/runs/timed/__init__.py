"""Runs against the clock: what is planned, what ships in the end, and how it does beside a plain network."""
