"""netwright: neural architecture search that survives crashes and ends with a drawn, tested model."""

__version__ = "0.1.0"
