"""Runs on disk: their folders, how one is played, trained in full, exported and shown to whoever watches."""
