"""The training of the weights that networks share, a round at a time, and what it leaves in the run's shared folder.

`round-0001.safetensors` are the weights by which round 1 is scored; it is written last, whole and at once, so that
where it lies its round can be scored, and where it does not the training goes on from `training.safetensors`, which
holds weights, momenta and the step. Once the weights of a round are written, that file stands at its last step, from
which the next round goes on. The weights of earlier rounds stay, so that a row of theirs that the table has lost can be
scored again as it was. What is drawn belongs to a step, so that a training that was broken off ends with the same
bits. `rounds.json` says how long each round was trained, for people.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch

from netwright.core import files, seeds, trained_rounds
from netwright.core.activity import STEPS
from netwright.core.errors import NetwrightError, PutBack
from netwright.core.protocols import Context, SearchSpace, StreamsBatches, Task
from netwright.core.records import Genotype
from netwright.core.trained_rounds import TrainedRound
from netwright.training import checkpoint, few_shot, layout, loop, path_network
from netwright.training import settings as step_settings
from netwright.training.descent import Descent
from netwright.training.epochs import CountedEpochs, Epochs, EvenEpochs
from netwright.training.feeding import BatchesBy
from netwright.training.few_shot import FewShot
from netwright.training.loop import At, Diverged, Passes, Progress, Schedule
from netwright.training.path_network import PathNetwork
from netwright.training.path_sampling import Paths
from netwright.training.reports import Alarm
from netwright.training.shared_programs import SharedProgram
from netwright.training.supernet import SharedWeights

CHECKPOINT: Final = "training.safetensors"
REPORT_EVERY = 5.0  # seconds


class Failed(NetwrightError):
    """The loss of a shared training is not finite: it would be so again."""


@dataclass(frozen=True)
class RoundsTraining:
    """Trains the weights of a space's networks.

    Args:
        space: The space, which shares weights.
        task: The task.
        program: How they are trained.
        seed: Seed of weights, batches, and of what is drawn.
        place: The device.
        channels_last: Memory format, see `training.layout`.
        batches_by: What makes the batches, see `feeding.fed`.
        checkpoint_minutes: Minutes between checkpoints.
    """

    space: SearchSpace
    task: Task
    program: SharedProgram
    seed: int
    place: torch.device
    channels_last: layout.Wanted = "auto"
    batches_by: BatchesBy = "auto"
    checkpoint_minutes: float = 5.0

    @property
    def epochs(self) -> Epochs:
        """How many steps passes take. The last and smaller batch counts, as published, and is left out all the same."""
        task, batch = self.task, self.program.steps.batch
        if isinstance(task, StreamsBatches):
            return CountedEpochs(lambda epoch: len(task.lengths("train", batch, self._rng_of_epoch(epoch))))
        return EvenEpochs(-(-task.examples("train") // batch))

    def steps(self, number: int) -> int:
        """How many steps there are up to the end of a round."""
        program = self.program
        if program.epochs:
            return int(self.epochs.through(number * program.epochs))
        return number * program.length

    @property
    def few_shot(self) -> FewShot | None:
        """Which of several sets of weights a network uses; None: there is one."""
        program = self.program
        return few_shot.of(self.space, program.supernets, program.split_gene) if program.supernets > 1 else None

    @property
    def joint_steps(self) -> int:
        """After how many steps each network uses its own set of weights, where there are several."""
        return round(self.program.joint_share * self.steps(self.program.rounds.number))

    def weights(self) -> SharedWeights:
        """The weights as they are before the first step."""
        seed = seeds.trial_seed(self.seed, "weights", 0)
        return SharedWeights(self.space, self.task.io, seed, self.place, few_shot=self.few_shot)

    def load(self, number: int, folder: Path, weights: SharedWeights) -> None:
        """Take the weights of a round. Raises NetwrightError unless they are there, and of this training."""
        weights.load(folder / name_of(number), self.about(number))
        weights.is_joint = self.few_shot is not None and self.steps(number) <= self.joint_steps

    def about(self, number: int) -> dict[str, Any]:
        """What the file of a round's weights belongs to."""
        found = {"space": str(self.space), "round": number, "seed": self.seed}
        return found | ({"supernets": str(self.few_shot)} if self.few_shot else {})

    def train(self, number: int, members: Sequence[Genotype], folder: Path, context: Context) -> SharedWeights:
        """Train a round, and write its weights.

        Args:
            number: The round, from 1.
            members: The networks that train in it.
            folder: The shared folder.
            context: What is told, and asked whether to stop.

        Returns:
            The weights, as they are in the round's file.

        Raises:
            PutBack: The training is to stop; it has written down where it stands.
            Failed: The loss is not finite.
            NetwrightError: The folder does not hold what the round goes on from.
        """
        files.sweep(folder)
        path, weights = folder / CHECKPOINT, self.weights()
        paths = Paths(
            self.space,
            self.task.io,
            tuple(members),
            self.program.sampling,
            self.program.paths,
            seeds.trial_seed(self.seed, "paths", number),
        )
        descent = self._descent(weights, paths)
        start = self._start(number, path, descent)
        end, last = self.steps(number), None
        if start.step < end:
            last = self._descend(number, paths, weights, descent, start, folder, context)
            self._write(path, descent, last.progress)
        found = last.progress if last else start
        loss = found.total / max(1, found.batches)
        trained_rounds.note(folder, TrainedRound(number, end, found.seconds, loss, len(set(members))))
        weights.save(folder / name_of(number), self.about(number))  # last: who finds it does nothing more
        return weights

    def _descent(self, weights: SharedWeights, paths: Paths) -> Descent:
        settings = replace(self.program.steps, accumulate=self.program.paths)
        first = paths.of(0)
        memory_format = layout.of(
            self.channels_last, weights.child(first[0]), self.place, settings.precision_on(self.place)
        )
        network = path_network.made(weights, first, memory_format)
        optimizer = step_settings.optimizer(settings, network)
        for tensor in network.parameters():  # torch takes steps with momenta of all that have gradients, or of none
            if settings.momentum and isinstance(optimizer, torch.optim.SGD):
                optimizer.state[tensor]["momentum_buffer"] = torch.zeros_like(tensor)
        return Descent(
            network,
            self.task,
            optimizer,
            settings,
            steps=self.steps(self.program.rounds.number),
            memory_format=memory_format,
            seed=seeds.trial_seed(self.seed, "masks", 0),
        )

    def _start(self, number: int, path: Path, descent: Descent) -> Progress:
        """Where the training goes on, its state restored."""
        before, end = self.steps(number - 1), self.steps(number)
        facts = checkpoint.read_facts(path)
        if facts is None:
            if path.exists():
                print(f"{path} is damaged; {files.put_aside(path)}", file=sys.stderr, flush=True)
            if number == 1:
                return Progress()
            raise NetwrightError(
                f"round {number} of shared training goes on from {path}, which is missing or damaged; remove the run, "
                "or go on with a copy of the file"
            )
        progress = Progress(**facts["progress"])
        if facts["seed"] == self.seed and progress.step > end:
            raise NetwrightError(
                f"the weights of round {number}, {path.with_name(name_of(number))}, are gone, and the training has "
                "gone on since; bring that file back, or start another run"
            )
        if facts["seed"] != self.seed or progress.step < before:
            raise NetwrightError(
                f"{path} stands at step {progress.step} of the training of seed {facts['seed']}, but round {number} of "
                f"this run is steps {before} to {end} of that of seed {self.seed}; bring the run's own file back, or "
                "start another run"
            )
        checkpoint.restore(path.read_bytes(), descent.network, descent.optimizer, name=str(path))
        descent.restore(facts["descent"])
        return progress

    def _descend(
        self,
        number: int,
        paths: Paths,
        weights: SharedWeights,
        descent: Descent,
        start: Progress,
        folder: Path,
        context: Context,
    ) -> At:
        """Take the steps of a round that are left; the last moment."""
        program, path, network = self.program, folder / CHECKPOINT, descent.network
        assert isinstance(network, PathNetwork)
        epochs, total = self.epochs, self.steps(program.rounds.number)
        schedule = Schedule(
            self.steps(number), lambda step: step_settings.rate_factor(program.steps, step, total, epochs)
        )
        passes = Passes(
            self.task,
            "train",
            program.steps.batch,
            self._rng_of_epoch,
            accumulate=program.paths,
            batches_by=self.batches_by,
        )
        to_report, to_write = Alarm(REPORT_EVERY), Alarm(60 * self.checkpoint_minutes)
        self._split(weights, descent, start.step)
        network.follow(paths.of(start.step))
        try:
            for at in loop.steps(passes, descent, schedule, start):
                last = at
                if at.step == schedule.steps:
                    continue  # the end of a pass may follow
                if not at.ends_pass:
                    self._split(weights, descent, at.step)
                    network.follow(paths.of(at.step))
                if at.is_look and to_report.rings():
                    context.report(at.step, {"train_loss": at.loss, STEPS: total})
                if context.should_stop():
                    self._write(path, descent, at.progress)
                    raise PutBack(f"stopped at step {at.step} of the shared training, to go on from there")
                if self.checkpoint_minutes and to_write.rings():
                    with suppress(OSError):  # a full disk costs time after a kill, nothing else
                        self._write(path, descent, at.progress)
        except Diverged as error:
            raise Failed(
                f"the shared training of round {number} failed: {error}; give a lower evaluator.lr, or a clip"
            ) from None
        return last

    def _split(self, weights: SharedWeights, descent: Descent, step: int) -> None:
        """Let each network have its own set of weights from a step on, if it is time; at the first one it is copied."""
        if not weights.is_joint or step < self.joint_steps:
            return
        if step == self.joint_steps:
            state = descent.optimizer.state
            for one, other in weights.split():
                if one in state:
                    state[other] = {name: value.clone() for name, value in state[one].items()}
        weights.is_joint = False
        assert isinstance(descent.network, PathNetwork)
        descent.network.forget()

    def _write(self, path: Path, descent: Descent, progress: Progress) -> None:
        facts = {"progress": asdict(progress), "seed": self.seed, "descent": descent.facts()}
        checkpoint.write(path, descent.network, descent.optimizer, facts)

    def _rng_of_epoch(self, epoch: int) -> Any:
        return seeds.rng_for(self.seed, seeds.TRAIN, epoch)


def name_of(number: int) -> str:
    """Name of the file of a round's weights."""
    return f"round-{number:04d}.safetensors"
