"""An evaluator whose first training ends all that its process can do on the GPU: `tests.losing_card:Evaluator`."""

from dataclasses import dataclass

import torch

from netwright.evaluators.training import Training


@dataclass(frozen=True)
class Evaluator(Training):
    """Trains, but for the first time in a run."""

    def _evaluate(self, trial, context, own):
        mark = context.trials_folder.parent / "lost"
        if not mark.exists():
            mark.touch()
            torch.zeros(1, device=own)[torch.tensor([9], device=own)].sum().item()
        return super()._evaluate(trial, context, own)
