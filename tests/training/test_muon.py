"""Muon: orthogonal steps of kernels that keep their norm, and torch's SGD for everything else."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from netwright.training import muon
from netwright.training.muon import Muon


def _drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _moved(weight, gradients, *, turned=True, **settings):
    """A copy of the weight after a step along each gradient."""
    moved = nn.Parameter(weight.clone())
    optimizer = Muon([{"params": [moved], "turned": turned}], 0.1, **settings)
    for gradient in gradients:
        moved.grad = gradient.clone()
        optimizer.step()
    return moved.detach()


@given(st.integers(1, 40), st.integers(1, 40), st.floats(-6, 6), st.integers(0, 99))
def test_what_is_orthogonal_has_singular_values_near_1(rows, columns, exponent, seed):
    """Jordan et al. 2024: 0.7 to 1.2 for those that are not tiny beside the largest one."""
    matrix = 10**exponent * _drawn(rows, columns, seed=seed)
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    at = torch.einsum("ri,rc,ic->i", left, muon.orthogonal(matrix), right)
    large = values / matrix.norm() > 0.02
    assert ((at[large] > 0.65) & (at[large] < 1.25)).all(), "in the directions of the matrix itself"


@pytest.mark.parametrize("power", [0.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("shape", [(16, 16), (32, 288), (64, 576)])
def test_both_ways_of_the_iteration_agree_on_steep_spectra_too(shape, power):
    left, _, right = torch.linalg.svd(_drawn(*shape), full_matrices=False)
    values = torch.arange(1, shape[0] + 1) ** -power
    unit = left @ torch.diag(values / values.norm()) @ right
    torch.testing.assert_close(muon.iterated_by_squares(unit), muon.iterated(unit), rtol=0, atol=1e-3)
    assert torch.linalg.matrix_norm(muon.iterated(unit), 2) < 1.25


def test_of_zeros_there_are_zeros():
    assert not muon.orthogonal(torch.zeros(3, 5)).any()


def test_the_first_step_turns_a_kernel_by_its_share_of_the_rate_and_keeps_its_norm():
    weight, gradient = 3 * _drawn(8, 4, 3, 3), _drawn(8, 4, 3, 3, seed=1)
    moved = _moved(weight, [gradient])
    assert moved.norm().item() == pytest.approx(weight.norm().item(), rel=1e-5)
    left, _, right = torch.linalg.svd(gradient.flatten(1), full_matrices=False)
    turn = (left @ right).view_as(weight)
    step = weight - 0.1 * 0.6 * weight.norm() * turn / turn.norm()
    difference = moved - step * weight.norm() / step.norm()
    assert difference.norm() < 0.2 * 0.06 * weight.norm(), "as far as the iteration is from the nearest"


def test_momentum_is_nesterovs():
    weight, first, second = (_drawn(6, 2, 3, 3, seed=seed) for seed in range(3))
    ahead = second + 0.6 * (0.6 * first + second)
    start = _moved(weight, [first])
    expected = _moved(start, [ahead / 1.6])  # of which the first step makes g + 0.6 g
    torch.testing.assert_close(_moved(weight, [first, second]), expected)


def test_neither_the_size_of_gradients_nor_that_of_the_kernel_matters():
    weight, gradient = _drawn(8, 4, 3, 3), _drawn(8, 4, 3, 3, seed=1)
    plain = _moved(weight, [gradient])
    torch.testing.assert_close(_moved(weight, [1e4 * gradient]), plain)
    torch.testing.assert_close(_moved(7 * weight, [gradient]), 7 * plain)
    torch.testing.assert_close(_moved(weight, [gradient], weight_decay=0.5), plain)


@pytest.mark.parametrize("shape", [(5, 7), (6,), (8, 1, 3, 3)], ids=["linear", "bias", "depthwise"])
@pytest.mark.parametrize(("momentum", "weight_decay"), [(0.9, 0.01), (0.9, 0.0), (0.0, 0.01)])
def test_all_other_parameters_are_trained_as_torch_does(shape, momentum, weight_decay):
    gradients = [_drawn(*shape, seed=seed) for seed in (1, 2, 3)]
    expected = nn.Parameter(_drawn(*shape))
    sgd = torch.optim.SGD([expected], 0.1, momentum, weight_decay=weight_decay, nesterov=momentum > 0)
    for gradient in gradients:
        expected.grad = gradient
        sgd.step()
    moved = _moved(_drawn(*shape), gradients, turned=False, momentum=momentum, weight_decay=weight_decay)
    torch.testing.assert_close(moved, expected.detach())


@pytest.mark.parametrize("weight", [torch.zeros(4, 2, 3, 3), _drawn(4, 2, 3, 3)], ids=["zeros", "others"])
def test_without_a_slope_or_a_norm_nothing_becomes_no_number(weight):
    assert torch.equal(_moved(weight, [torch.zeros_like(weight)]), weight)
    assert _moved(weight, [_drawn(4, 2, 3, 3, seed=1)] * 3).isfinite().all()


def test_a_parameter_without_a_gradient_stays_and_has_no_state():
    still, moving = nn.Parameter(_drawn(4, 2, 3, 3)), nn.Parameter(_drawn(4, 2, 3, 3))
    optimizer = Muon([{"params": [still, moving], "turned": True}], 0.1)
    moving.grad = torch.ones_like(moving)
    optimizer.step()
    assert torch.equal(still, _drawn(4, 2, 3, 3)) and not torch.equal(moving, still)
    assert list(optimizer.state_dict()["state"]) == [1]


@pytest.mark.parametrize(("shape", "turned"), [((8, 4, 3, 3), True), ((8, 1, 3, 3), False), ((5, 7), False)])
def test_neither_a_rate_on_the_device_nor_the_layout_in_memory_changes_a_step(shape, turned):
    expected = _moved(_drawn(*shape), [_drawn(*shape, seed=1)], turned=turned)
    layout = torch.channels_last if len(shape) == 4 else torch.contiguous_format
    moved = nn.Parameter(_drawn(*shape).contiguous(memory_format=layout))
    moved.grad = _drawn(*shape, seed=1).contiguous(memory_format=layout)
    Muon([{"params": [moved], "turned": turned}], torch.tensor(0.1)).step()
    torch.testing.assert_close(moved.detach(), expected)
    assert moved.is_contiguous(memory_format=layout)


def test_no_closure_is_called():
    with pytest.raises(ValueError, match="Muon takes no closure"):
        Muon([nn.Parameter(torch.ones(1))], 0.1).step(lambda: 1.0)


@pytest.mark.parametrize("rate", [0.03, 0.1, 0.3, 1.0])
def test_a_network_learns_in_fewer_steps_than_by_sgd_at_any_rate(rate):
    """The kernels of a teacher whose inputs differ in scale: SGD learns the largest ones first."""
    assert _steps_to_learn(lambda weights: Muon([{"params": weights, "turned": True}], 0.1)) < _steps_to_learn(
        lambda weights: torch.optim.SGD(weights, rate, 0.9, nesterov=True)
    )


def _steps_to_learn(made, most=150):
    scales = torch.logspace(0, -1.5, 8).view(1, 8, 1, 1)
    images, teacher = scales * _drawn(64, 8, 6, 6), _drawn(8, 8, 3, 3, seed=1)
    norm = nn.BatchNorm2d(8, affine=False)
    targets = norm(nn.functional.conv2d(images / scales, teacher))
    kernel = nn.Parameter(_drawn(8, 8, 3, 3, seed=2))
    optimizer = made([kernel])
    for step in range(most):
        loss = nn.functional.mse_loss(norm(nn.functional.conv2d(images, kernel)), targets)
        if loss.item() < 0.5:
            return step
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return most
