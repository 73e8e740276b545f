"""An evaluator that takes most of a real card; workers find it as `tests.greedy:Evaluator`."""

import time
from dataclasses import dataclass

import torch

from netwright.core.records import Result
from netwright.training import cards
from tests import crowded


@dataclass(frozen=True)
class Evaluator(crowded.Evaluator):
    """Takes 60 % of a real card for two seconds."""

    def cards(self, worker_index):
        return (cards.name_of(torch.device("cuda", 0)),)

    def card_memory(self):
        return cards.memory()

    def leave_cards(self):
        cards.leave()

    def evaluate(self, trial, context):
        total = torch.cuda.get_device_properties(0).total_memory
        taken = torch.empty(int(0.6 * total), dtype=torch.uint8, device="cuda:0")
        time.sleep(2)
        return Result({"valid_accuracy": 1.0, "bytes": taken.numel()})
