"""Runs on disk: their folders, and how one is played, shown while it runs, trained in full and exported."""
