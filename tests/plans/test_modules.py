import pytest
import torch

from netwright.plans.ops.modules import Gate, LeanWeightedSum, average, scale_channels, total


def images(number, *shape, layout=torch.channels_last):
    generator = torch.Generator().manual_seed(0)
    made = [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(number)]
    return [x.contiguous(memory_format=layout).requires_grad_() for x in made]


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("number", [1, 2, 5])
def test_a_weighted_sum_and_its_gradients_are_those_of_its_formula(number, layout):
    module = LeanWeightedSum(number).double()
    with torch.no_grad():
        module.weight += torch.linspace(-1, 1, number)
    inputs = images(number, 2, 3, 4, 5, layout=layout)
    found = module(*inputs)
    assert found.is_contiguous(memory_format=layout)
    expected = sum(torch.sigmoid(w) * x for w, x in zip(module.weight, inputs, strict=True))
    torch.testing.assert_close(found, expected)
    outside = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ours = torch.autograd.grad(found, (module.weight, *inputs), outside)
    theirs = torch.autograd.grad(expected, (module.weight, *inputs), outside)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)
    with torch.no_grad():
        torch.testing.assert_close(module(*inputs), expected.detach())


def test_weights_begin_at_the_logistic_of_one():
    one = torch.ones(1, 1, 1, 1)
    assert LeanWeightedSum(1)(one).item() == pytest.approx(0.7310586)
    assert Gate()(one, one).item() == pytest.approx(0.7310586)  # a constant mask adds nothing


def test_the_output_of_a_weighted_sum_may_be_overwritten():
    inputs = images(2, 1, 2, 3, 3)
    torch.relu_(LeanWeightedSum(2).double()(*inputs)).sum().backward()
    assert all(x.grad is not None for x in inputs)


def test_a_gate_does_not_depend_on_the_other_images():
    x, mask = images(2, 4, 3, 5, 5)
    module = Gate().double()
    together = module(x, mask)
    torch.testing.assert_close(together[:1], module(x[:1], mask[:1]))
    scaled = (mask[0] - mask[0].min()) / (mask[0].max() - mask[0].min())
    torch.testing.assert_close(together[0], x[0] * (torch.sigmoid(torch.tensor(1.0)) + scaled))


def test_sums_and_means_keep_the_memory_format():
    inputs = images(3, 2, 3, 4, 5)
    for made, expected in ((total(*inputs), sum(inputs)), (average(*inputs), sum(inputs) / 3)):
        torch.testing.assert_close(made, expected)
        assert made.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_channels_are_scaled_in_the_type_and_memory_format_of_the_image(kind):
    [x] = images(1, 2, 3, 4, 5)
    factors = torch.randn(2, 3, generator=torch.Generator().manual_seed(2))
    found = scale_channels(x.to(kind), factors)
    assert found.dtype == kind
    assert found.is_contiguous(memory_format=torch.channels_last)
    for image, channel in ((0, 1), (1, 2)):
        expected = x[image, channel].to(kind) * torch.sigmoid(factors[image, channel]).to(kind)
        torch.testing.assert_close(found[image, channel], expected)
