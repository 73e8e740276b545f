"""Steps that are recorded and played: they do what plain ones do, whatever changes from one to the next."""

import gc
import random
import weakref
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from netwright.core.records import IO
from netwright.training import captured, checkpoint, loop
from netwright.training import settings as step_settings
from netwright.training.captured import WARM_UP, CapturedStep
from netwright.training.descent import Descent
from netwright.training.distillation import Averaged, Teacher
from netwright.training.loop import Passes, Schedule
from netwright.training.parallel import Team
from netwright.training.settings import StepSettings
from tests import replayed
from tests.carries import Recurrent
from tests.regularized import Space
from tests.replayed import Replayed

INPUTS = IO(1, 4, 4, 3)
SIZES = (8, 8, 8, 8, 8, 4, 8, 8, 8, 8, 4, 8)
RICH = {
    "clip": 0.5,
    "clip_penalty": True,
    "accumulate": 2,
    "label_smoothing": 0.1,
    "auxiliary": 0.4,
    "drop_path_keep": 0.6,
    "dropout": 0.3,
    "mixing": 0.6,
    "decay_on": "weights",
    "weight_decay": 0.01,
    "averaging": 0.5,
}


class Classes:
    """Cross entropy in which the last class counts more."""

    def __init__(self, split=""):
        self._weights = torch.tensor([0.5, 0.5, 2.0])

    def weights(self, targets):
        return self._weights[targets]

    def loss(self, outputs, targets):
        return (F.cross_entropy(outputs, targets, reduction="none") * self.weights(targets)).mean()

    def batches(self, split, size, rng):
        for place in range(6):
            count = size if place < 5 else size // 2
            images = torch.from_numpy(rng.standard_normal((count, 1, 4, 4), dtype=np.float32))
            yield images, torch.from_numpy(rng.integers(3, size=count))


def _descent(graphs=None, teacher=None, network=None, **settings):
    used = StepSettings(**{"lr": 0.1, **settings})
    network = network or Space(channels=2).build((0,), INPUTS, np.random.default_rng(0))
    optimizer = step_settings.optimizer(used, network)
    return Descent(
        network.train(),
        Classes(),
        optimizer,
        used,
        steps=20,
        seed=3,
        teacher=teacher,
        graphs=graphs,
        memory_format=torch.channels_last,
    )


def _taken(descent, first=0, last=len(SIZES)):
    """The losses of some steps, whose learning rates differ."""
    losses = []
    for step in range(first, last):
        rng = np.random.default_rng(step)
        images = torch.from_numpy(rng.standard_normal((SIZES[step], 1, 4, 4), dtype=np.float32))
        descent.set_rate(1 / (1 + step))
        losses.append(descent(images, torch.from_numpy(rng.integers(3, size=SIZES[step])), step, SIZES[step]))
    return [loss.item() for loss in losses]


def _state(descent):
    averages = descent.averages.tensors if descent.averages else {}
    momenta = {f"{n}": state for n, state in descent.optimizer.state_dict()["state"].items()}
    momenta = {f"{n}.{name}": value for n, state in momenta.items() for name, value in state.items()}
    weights = {name: value.clone() for name, value in descent.network.state_dict().items()}
    return weights | {f"average.{name}": value.clone() for name, value in averages.items()} | momenta


@pytest.mark.parametrize(
    "settings",
    [
        {},
        RICH,
        RICH | {"optimizer": "rmsprop", "accumulate": 1},
        RICH | {"optimizer": "muon", "nesterov": False},
        RICH | {"ema": 0.9, "averaging": 0.0, "drop_path_version": "v2", "nesterov": True},
        {"precision": "bfloat16", "mixing": 0.5, "lr": 0.01},
        {"precision": "float16", "clip": 0.1, "lr": 0.01},
    ],
)
def test_recorded_steps_do_what_plain_ones_do(settings):
    """Rates, draws, mixes, averages, running statistics and all: what is frozen wrongly comes out here."""
    graphs, plain = Replayed(), _descent(**settings)
    descent = _descent(graphs, **settings)
    rounding = 1e-4 if "precision" in settings else 1e-5
    assert _taken(descent) == pytest.approx(_taken(plain), rel=rounding)
    expected = _state(plain)
    for name, value in _state(descent).items():
        torch.testing.assert_close(value, expected[name], rtol=rounding, atol=rounding, msg=name)
    assert graphs.recorded == 1
    assert graphs.played == SIZES.count(8) - graphs.warmed
    assert descent.notes == ()


def test_teachers_are_asked_in_the_recorded_step():
    def teacher():
        torch.manual_seed(0)
        return Teacher(Averaged([nn.Sequential(nn.Flatten(), nn.Linear(16, 3))]), 0.5)

    graphs = Replayed()
    assert _taken(_descent(graphs, teacher())) == pytest.approx(_taken(_descent(teacher=teacher())), rel=1e-5)
    assert graphs.recorded == 1


def test_vectors_are_mixed_too():
    torch.manual_seed(0)
    found = []
    for graphs in (None, Replayed()):
        network = nn.Linear(4, 3)
        nn.init.constant_(network.weight, 0.1)
        nn.init.zeros_(network.bias)
        descent = _descent(graphs, network=network, mixing=0.7)
        rng = np.random.default_rng(0)
        vectors = torch.from_numpy(rng.standard_normal((9, 7, 4), dtype=np.float32))
        targets = torch.from_numpy(rng.integers(3, size=7))
        found.append([descent(each, targets, step, 7).item() for step, each in enumerate(vectors)])
    assert found[0] == pytest.approx(found[1], rel=1e-5)


@pytest.mark.parametrize("stop", [2, 5, 7])
@pytest.mark.parametrize("is_anew", [True, False])
def test_a_checkpoint_before_or_after_the_recording_is_gone_on_from(tmp_path, stop, is_anew):
    """Bit for bit; in a training that is made anew, and in one that has recorded a step itself."""
    path, settings = tmp_path / "checkpoint", RICH | {"optimizer": "rmsprop"}
    whole = _descent(Replayed(), **settings)
    losses = _taken(whole)
    part = _descent(Replayed(), **settings)
    _taken(part, last=stop)
    checkpoint.write(path, part.network, part.optimizer, part.facts(), part.averages.tensors)
    if is_anew:
        part = _descent(Replayed(), **settings)
    else:
        _taken(part, stop)
    checkpoint.restore(path.read_bytes(), part.network, part.optimizer, part.averages.tensors)
    part.restore(checkpoint.read_facts(path))
    assert _taken(part, stop) == losses[stop:]
    expected = _state(whole)
    for name, value in _state(part).items():
        assert torch.equal(value, expected[name]), name


def test_a_loss_stays_what_it_was():
    descent = _descent(Replayed())
    images, targets = torch.ones(4, 1, 4, 4), torch.tensor([0, 1, 2, 0])
    losses = [descent(images, targets, step, 4) for step in range(8)]
    assert len({loss.item() for loss in losses}) == 8


class Waiting(nn.Linear):
    """A network whose course depends on what it computes."""

    def forward(self, x):
        found = super().forward(x.flatten(1))
        return found if found.sum().item() > 0 else -found


@pytest.mark.parametrize(
    ("notices", "reason"),
    [
        (True, "the host waits for the device in them"),
        (False, "recording one failed: CUDA error: operation not permitted when stream is capturing"),
    ],
)
def test_a_network_that_cannot_be_recorded_is_trained_plainly_and_said_so_once(notices, reason):
    networks = [Waiting(16, 3), Waiting(16, 3)]
    nn.init.constant_(networks[0].bias, 9)  # so that the course is always the same
    networks[1].load_state_dict(networks[0].state_dict())
    graphs = Replayed(notices=notices)
    descent, plain = _descent(graphs, network=networks[0]), _descent(network=networks[1])
    assert _taken(descent) == pytest.approx(_taken(plain), rel=1e-6)
    assert (graphs.recorded, graphs.played, graphs.warmed) == (0, 0, WARM_UP)
    assert descent.notes == (f"its steps were taken without a CUDA graph, as {reason}",)


class Scheduled(nn.Linear):
    """A network that changes what Python holds as it runs: a number of its own, or one of somebody else's."""

    def __init__(self, factor, in_tensors=False):
        torch.manual_seed(0)
        super().__init__(16, 3)
        self.factor, self.calls = factor, 0
        if in_tensors:
            self.register_buffer("calls_there", torch.zeros(()))

    def forward(self, x):
        found = super().forward(x.flatten(1))
        if hasattr(self, "calls_there"):
            self.calls_there += 1
            return found * (1 + self.calls_there / 10)
        return found * self.factor(self)


def _counted(network):
    network.calls += 1
    return 1.0 if network.calls < 1000 else 0.5


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: _counted, "its network changes calls in each, which is no tensor"),
        (
            lambda: partial(_drawn, np.random.default_rng(0)),
            "what Python gives aten.mul.Tensor differs from step to step",
        ),
        (lambda: partial(_taken_turns, [0]), "what Python gives aten.relu.default differs from step to step"),
    ],
)
def test_what_a_network_of_ones_own_changes_outside_of_tensors_is_not_frozen(make, reason):
    graphs = Replayed()
    descent = _descent(graphs, network=Scheduled(make()))
    assert _taken(descent) == _taken(_descent(network=Scheduled(make())))
    assert (graphs.recorded, graphs.warmed) == (0, WARM_UP)
    assert descent.notes == (f"its steps were taken without a CUDA graph, as {reason}",)


def _draws_seldom(_network):
    return float(random.random() > 0.01)


def _draws_seldom_by_numpy(_network):
    return float(np.random.random() > 0.01)  # noqa: NPY002 -- as somebody's network may


def _draws_seldom_by_its_own(network):
    return float(network.kept.random() > 0.01)


def _counts_in_a_container(network):
    network.kept["steps"][0] += 1
    return float(network.kept["steps"][0] < 1000)


def _counts_in_an_object(network):
    network.kept.steps += 1
    return float(network.kept.steps < 1000)


@pytest.mark.parametrize(
    ("factor", "kept", "reason"),
    [
        (_draws_seldom, None, "Python's random draws numbers in each"),
        (_draws_seldom_by_numpy, None, "numpy.random draws numbers in each"),
        (_draws_seldom_by_its_own, np.random.default_rng(0), "its network changes 1.kept in each, which is no tensor"),
        (_draws_seldom_by_its_own, random.Random(0), "its network changes 1.kept in each, which is no tensor"),
        (_counts_in_a_container, {"steps": np.zeros(1)}, "its network changes 1.kept in each, which is no tensor"),
        (_counts_in_an_object, SimpleNamespace(steps=0), "its network changes 1.kept in each, which is no tensor"),
        (lambda _network: 1.0, {"steps": [float("nan")], "of": np.ones(2), "by": nn.Identity()}, ""),
    ],
)
def test_what_two_steps_do_alike_by_chance_is_not_frozen(factor, kept, reason):
    network = nn.Sequential(nn.Flatten(), Scheduled(factor))
    network[1].kept = kept
    graphs = Replayed()
    descent = _descent(graphs, network=network)
    _taken(descent)
    assert descent.notes == ((f"its steps were taken without a CUDA graph, as {reason}",) if reason else ())
    assert graphs.recorded == (0 if reason else 1)


def test_a_teacher_of_ones_own_is_looked_at_too():
    graphs = Replayed()
    teacher = Teacher(Averaged([Scheduled(_counted)]), 0.5)
    descent = _descent(graphs, teacher, nn.Sequential(nn.Flatten(), nn.Linear(16, 3)))
    _taken(descent)
    assert graphs.recorded == 0
    assert "changes networks.0.calls in each" in descent.notes[0]


def _drawn(rng, _network):
    return float(rng.random())


def _taken_turns(turns, network):
    turns[0] += 1
    return network.weight.relu().mean() if turns[0] % 2 else 1.0


def test_what_it_changes_in_tensors_and_draws_by_torch_is_recorded():
    graphs, descents = Replayed(), []
    for chosen in (None, graphs):
        descents.append(_descent(chosen, network=Scheduled(None, in_tensors=True)))
    assert _taken(descents[0]) == pytest.approx(_taken(descents[1]), rel=1e-5)
    assert graphs.recorded == 1
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), Scheduled(lambda _network: 1.0))
    descent = _descent(graphs, network=network)
    _taken(descent)
    assert descent.notes == ()


class _Broken(TorchDispatchMode):
    """Fails at an operation, before it is done."""

    def __init__(self, name):
        super().__init__()
        self._name = name

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if self._name in str(function):
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")
        return function(*args, **(kwargs or {}))


class BreakingOff(Replayed):
    """Fails to record at an operation; like a real one, it has computed nothing then."""

    def __init__(self, tensors, name):
        super().__init__()
        self._tensors, self._name = tensors, name

    def record(self, step):
        known = [(each, each.clone()) for each in self._tensors()]
        try:
            with _Broken(self._name):
                step()
        finally:
            with torch.no_grad():
                for each, value in known:
                    each.copy_(value)


@pytest.mark.parametrize("name", ["unscale", "_fused_sgd_", "_amp_update_scale_"])
@pytest.mark.parametrize("clip", [0.0, 0.1])
def test_a_recording_that_is_broken_off_in_float16_changes_no_scale_and_no_step(name, clip):
    """In the gradients, in the optimizer's step, and between that and the scale's own."""
    settings = {"precision": "float16", "clip": clip, "lr": 0.01}
    plain = _descent(**settings)

    def tensors():
        scaler = descent._scaler
        return [scaler._scale, scaler._growth_tracker, *_tensors(descent)]

    graphs = BreakingOff(tensors, name)
    descent = _descent(graphs, **settings)
    assert _taken(descent) == pytest.approx(_taken(plain), rel=1e-6)
    assert "recording one failed" in descent.notes[0] and graphs.warmed == WARM_UP
    assert descent.facts() == plain.facts()
    expected = _state(plain)
    for key, value in _state(descent).items():
        torch.testing.assert_close(value, expected[key], msg=key)


def _tensors(descent):
    momenta = [value for state in descent.optimizer.state.values() for value in state.values()]
    return [*descent.network.state_dict().values(), *momenta]


class Failing(Replayed):
    """Fails to record what it has taken, and notes whether that is gone where its memory is to be given back."""

    def record(self, step):
        loss = step()
        self.kept = weakref.ref(loss)
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing")

    def release(self):
        self.was_gone = self.kept() is None


def test_what_a_failed_recording_made_is_gone_when_its_memory_is_given_back(no_collector):
    graphs = Failing()
    _taken(_descent(graphs))
    assert graphs.was_gone


@pytest.mark.parametrize("graphs", [None, Replayed(), Failing()])
def test_a_training_that_is_over_keeps_no_memory(graphs, no_collector):
    """Of a card, on which the next one needs it at once."""
    descent = _descent(graphs, **RICH)
    _taken(descent)
    descent.release()
    kept = [weakref.ref(each) for each in (descent, descent.network, descent.optimizer)]
    del descent
    assert [each() for each in kept] == [None, None, None]


@pytest.fixture
def no_collector():
    torch.optim.SGD([torch.zeros(1)])  # what torch makes at the first optimizer
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_what_torch_leaves_of_a_failed_recording_is_undone(monkeypatch):
    """Its pool, and the generator of the card, which else refuses to draw."""

    class Generator:
        state = "recording"

        def clone_state(self):
            return "ready"

        def graphsafe_set_state(self, state):
            self.state = state

    undone, generator = [], Generator()
    for name in ("_cuda_endAllocateToPool", "_cuda_releasePool"):
        monkeypatch.setattr(torch._C, name, lambda *given, name=name: undone.append((name, *given)), raising=False)
    monkeypatch.setattr(torch.cuda, "default_generators", (None, generator))
    captured._leave_recording(1, (0, 7))
    assert undone == [("_cuda_endAllocateToPool", 1, (0, 7)), ("_cuda_releasePool", 1, (0, 7))]
    assert generator.state == "ready"


def test_all_trainings_of_a_process_share_the_side_stream_of_a_card(monkeypatch):
    """For every stream, cuBLAS takes memory of the card and keeps it."""
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: [device])
    card, other = torch.device("cuda", 98), torch.device("cuda", 99)
    first, second, third = (captured.CudaGraphs(each)._stream for each in (card, card, other))
    captured._stream_of.cache_clear()
    assert first is second is not third


def test_what_can_never_be_recorded_is_known_before():
    def notes(graphs=True, team=Team(), network=None, **settings):
        network = network or nn.Linear(4, 3)
        used = StepSettings(**settings)
        chosen = Replayed() if graphs else None
        return Descent(
            network, Classes(), step_settings.optimizer(used, network), used, steps=1, team=team, graphs=chosen
        ).notes

    assert notes() == notes(team=Team(0, 2), graphs=False) == ()
    assert "several processes share its batches" in notes(team=Team(0, 2))[0]
    assert "carries a state from batch to batch" in notes(network=Recurrent())[0]
    assert "in float16 RMSProp looks at its gradients" in notes(precision="float16", optimizer="rmsprop")[0]


def test_only_a_form_that_comes_in_a_row_is_recorded():
    graphs = Replayed()
    step = CapturedStep(lambda received: received[0].sum(), graphs)
    for size in (2, 2, 3, 2, 2, 3):
        assert step((torch.ones(size), None)) == size
    assert graphs.recorded == 0
    for _ in range(WARM_UP + 1):
        step((torch.ones(2), None))
    assert (graphs.recorded, graphs.played) == (1, 1)
    for _ in range(WARM_UP + 1):
        assert step((torch.ones(3), None)) == 3
        assert step((torch.ones(2), 1.0)) == 2, "a number where there was none"
    assert (graphs.recorded, graphs.played) == (1, 1)
    step.release()
    step.release()
    assert graphs.released == 1


def _passes():
    return Passes(Classes(), "train", 8, np.random.default_rng)


@pytest.mark.parametrize("is_whole", [True, False])
def test_the_end_of_a_training_lets_it_go(is_whole):
    graphs = Replayed()
    steps = loop.steps(_passes(), _descent(graphs), Schedule(15))
    for at in steps:
        if at.step == 9 and not is_whole:
            break
    del steps
    assert (graphs.recorded, graphs.released) == (1, 1)


def test_the_loop_waits_for_the_device_at_looks_only():
    descent = _descent(Replayed(), **RICH)
    with replayed.waits() as noted:
        looks = sum(at.is_look for at in loop.steps(_passes(), descent, Schedule(2 * loop.LOOK_EVERY)))
    assert noted.count <= looks


def test_no_device_but_a_gpu_records():
    assert captured.graphs_of(torch.device("cpu")) is None
    assert captured.graphs_of(torch.device("cuda"), "never") is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("settings", [{}, RICH, RICH | {"optimizer": "rmsprop"}, {"precision": "float16", "clip": 0.1}])
def test_a_gpu_plays_what_it_takes_plainly(settings):
    device = torch.device("cuda")

    def network():
        return Space(channels=8).build((0,), INPUTS, np.random.default_rng(0)).to(device)

    task = Classes()
    task._weights = task._weights.to(device)
    graphs = captured.graphs_of(device)
    found = []
    for chosen in (None, graphs):
        descent = _descent(chosen, network=network(), **settings)
        descent._task = task
        found.append((_taken(descent), _state(descent)))
        assert descent.notes == ()
        assert descent._captured is None or descent._captured._recorded
        descent.release()
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-3)
    for name, value in found[0][1].items():
        torch.testing.assert_close(value, found[1][1][name], rtol=1e-2, atol=1e-3, msg=name)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_goes_on_plainly_where_recording_fails_and_has_its_memory_back():
    device = torch.device("cuda")

    class Unnoticed(captured.CudaGraphs):
        def waits(self, step):
            return self.warm(step), False

    for make in (captured.CudaGraphs, Unnoticed):
        descent = _descent(make(device), network=Waiting(16, 3).to(device))
        descent._task._weights = descent._task._weights.to(device)
        assert len(_taken(descent)) == len(SIZES)
        assert len(descent.notes) == 1
    torch.randn(3, device=device)
    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved()
    for at in loop.steps(_passes(), _on(device), Schedule(12)):
        assert at
    torch.cuda.empty_cache()
    assert torch.cuda.memory_reserved() <= before + 2**22


def _on(device):
    network = Space(channels=32).build((0,), INPUTS, np.random.default_rng(0)).to(device)
    descent = _descent(captured.graphs_of(device), network=network)
    descent._task._weights = descent._task._weights.to(device)
    return descent
