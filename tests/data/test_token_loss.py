"""Cross entropy over a vocabulary: torch's, in fewer passes over the logits."""

import pytest
import torch
import torch.nn.functional as F

from netwright.data import token_loss as module
from netwright.data.token_loss import token_loss, token_losses


def _logits(words=13):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, 5, words, generator=generator) * 3, torch.randint(words, (4, 5), generator=generator)


@pytest.mark.parametrize("rows_of", [1, 40, 2**16])
def test_value_and_gradient_are_torchs(rows_of, monkeypatch):
    monkeypatch.setattr(module, "ROWS_OF", rows_of)
    logits, targets = _logits()
    logits.requires_grad_()
    expected = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    (gradient,) = torch.autograd.grad(expected, logits)
    found = token_loss(logits * 1, targets)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(3 * found, logits)[0], 3 * gradient)


def test_logits_that_others_read_too_are_left_as_they_are():
    logits, targets = _logits()
    logits.requires_grad_()

    def gradient(loss):
        made = torch.exp(logits)  # whose backward pass needs them
        smoothed = loss(made) - 0.1 * F.log_softmax(made, -1).mean() + made.square().mean()
        return torch.autograd.grad(smoothed, logits)[0]

    expected = gradient(lambda made: F.cross_entropy(made.flatten(0, 1), targets.flatten()))
    torch.testing.assert_close(gradient(lambda made: token_loss(made, targets)), expected)


def test_half_precision_is_summed_in_single():
    logits, targets = _logits(words=2000)
    half = logits.bfloat16().requires_grad_()
    found = token_loss(half * 1, targets)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, F.cross_entropy(half.detach().float().flatten(0, 1), targets.flatten()))
    (gradient,) = torch.autograd.grad(found, half)
    assert gradient.dtype == torch.bfloat16


def test_losses_of_single_tokens():
    logits, targets = _logits()
    expected = F.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
    torch.testing.assert_close(token_losses(logits, targets), expected)
    torch.testing.assert_close(token_loss(logits, targets), expected.mean())
