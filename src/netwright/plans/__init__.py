"""Torch blocks that spaces share, and the layer plans that they are made of."""
