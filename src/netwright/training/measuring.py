"""What a training measures of its network, at the ends of passes and at its own, and what follows from that.

A measurement that is interrupted leaves the training as it was before: where the trial stands is written down, and the
trial is put back. What the evaluator does not measure (when a training ends, how long it is) is not decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from torch import Tensor

from netwright.core import left
from netwright.core.errors import PutBack
from netwright.core.protocols import AsksNetwork, Recorder, ShowsExamples, Split, Task
from netwright.training import carrying, checkpoint, loop, stated
from netwright.training.descent import Descent
from netwright.training.epochs import Epochs
from netwright.training.loop import At, Diverged, Passes, Progress, Rates
from netwright.training.options import Options
from netwright.training.resizing import Resizing
from netwright.training.standing import Standing
from netwright.training.stops import Interrupted, Stops
from netwright.training.validation import gone_back, validated


class Measuring:
    """Measures the network of one training while it trains, and when it has.

    Args:
        options: What is measured, and which weights: the best so far, averages, those that the training has.
        task: Data, loss and metrics.
        descent: What trains.
        state: Where the trial stands; takes in what validations decide, and the points of the curve.
        stops: Asked during each measurement whether it is wanted still.
        place: Says in which file an interruption leaves where the trial stands; None: another process of the team
            does, and has the trial's curve.
        resizing: Which images the network sees when, which are those that it is measured by; None: whole ones.
        has_curve: Whether what is measured at the ends of passes is the trial's curve.
    """

    def __init__(
        self,
        options: Options,
        task: Task,
        descent: Descent,
        state: Standing,
        stops: Stops,
        place: Callable[[], Path] | None,
        resizing: Resizing | None = None,
        *,
        has_curve: bool,
    ) -> None:
        self._options, self._task, self._descent = options, task, descent
        self._state, self._stops, self._place = state, stops, place
        self._resizing, self._has_curve = resizing, has_curve

    def moments(self, passes: Passes, course: Rates, start: Progress) -> Iterator[At]:
        """The moments of the training, which goes on from the best weights so far where its loss is not finite."""
        state = self._state
        while True:
            try:
                yield from loop.steps(passes, self._descent, course, start)
                return
            except Diverged as error:
                if not state.record.step or len(state.record.reloaded) >= self._options.reloads:
                    raise
                state.record, start = gone_back(state.record, self._descent, error.at)

    def end_of_pass(self, at: At, epochs: Epochs, *, is_last: bool) -> None:
        """Measure at the end of a pass, if it is due: validate, or add a point to the curve.

        Args:
            at: The end of the pass.
            epochs: How long the passes are.
            is_last: Whether the training ends with it, which is then measured by `end`.

        Raises:
            PutBack: The worker asked to stop.
        """
        state, options = self._state, self._options
        if options.validates:
            if at.step <= state.record.seen:
                return  # it was before an interruption
            with self._kept(at):
                value = self._validated(at)
            if self._has_curve:
                state.curve.append((at.step, value))
        elif self._has_curve and self._place and options.curve_every and not is_last:
            if epochs.whole(at.step) % options.curve_every:
                return
            with self._kept(at):
                value = _main(self._measured(at))
            state.curve.append((at.step, value))

    def end(self, at: At, folder: Path | None = None, seed: int = 0) -> dict[str, float]:
        """Metrics of the split at the end of the training, the last point of the curve.

        Args:
            at: The last step.
            folder: Weights, and what the task shows of examples, go there; None: they are not kept.
            seed: The trial's, which is noted there.

        Raises:
            PutBack: The worker asked to stop.
        """
        with self._kept(at):
            found = self._measured(at, folder, seed)
        if self._has_curve and not self._options.validates:
            self._state.curve.append((at.step, _main(found)))
        return found

    def put_back(self, at: At) -> NoReturn:
        """Write down where the trial stands, and stop."""
        if self._place:
            self._state.write(self._place(), self._descent, at)
        raise PutBack(f"stopped at step {at.step}, to go on from there") from None

    @contextmanager
    def _kept(self, at: At) -> Iterator[None]:
        """Where a measurement within is interrupted, keep what was trained before it."""
        try:
            yield
        except Interrupted:
            self.put_back(at)

    def _validated(self, at: At) -> float:
        """Measure the validation data at the end of a pass, and decide what follows from it."""
        found: dict[str, float] = {}

        def measure() -> float:
            found.update(self._taken("valid", at))
            name, value = next(iter(found.items()))
            return stated.sign(self._task, name) * value

        state = self._state
        state.record = validated(state.record, self._descent, at, self._options.non_monotone, measure)
        return _main(found)

    def _measured(self, at: At, folder: Path | None = None, seed: int = 0) -> dict[str, float]:
        """Metrics of the split by the weights that are to be measured."""
        task, descent, split = self._task, self._descent, self._options.split
        recorder = task.recorder(split) if folder and isinstance(task, ShowsExamples) else None
        best = descent.best if self._options.keep_best and descent.best and descent.best.tensors else None
        with best.in_place() if best else descent.averaged():
            found = self._taken(split, at, recorder)
            if folder:
                checkpoint.write_weights(folder / checkpoint.WEIGHTS, descent.network)
            if recorder and isinstance(recorder, AsksNetwork):
                with carrying.left_as_found(descent.network):
                    recorder.ask(descent.network)
        if folder and recorder:
            left.write(folder, recorder.files(), seed)
        return {f"{split}_{name}": value for name, value in found.items()}

    def _taken(self, split: Split, at: At, recorder: Recorder | None = None) -> dict[str, float]:
        """Metrics by the weights that the network has, shown to a recorder if there is one."""

        def watch(outputs: Tensor, targets: Tensor) -> None:
            self._stops.during_measurement()
            if recorder:
                recorder.add(outputs, targets)

        descent, by = self._descent, self._options.batches_by
        network = self._resizing.seeing(descent.network, at.step) if self._resizing else descent.network
        return loop.measure(network, self._task, split, descent.memory_format, watch, by)


def _main(metrics: Mapping[str, float]) -> float:
    """The metric that a curve shows: the task's first."""
    return next(iter(metrics.values()))
