"""The recommended default: `predictor`."""

from netwright.strategies.predictor import Predictor

plugin = Predictor
