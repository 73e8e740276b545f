"""Cross entropy over a vocabulary: torch's, with the gradient in the memory of the logits."""

import pytest
import torch
import torch.nn.functional as F

from netwright.training import token_loss as module
from netwright.training.token_loss import token_loss, token_losses


def _logits(words=13):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, 5, words, generator=generator) * 3, torch.randint(words, (4, 5), generator=generator)


@pytest.mark.parametrize("rows_of", [1, 40, 2**18])
def test_value_and_gradient_are_torchs(rows_of, monkeypatch):
    monkeypatch.setattr(module, "ROWS_OF", rows_of)
    logits, targets = _logits()
    logits.requires_grad_()
    expected = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    (gradient,) = torch.autograd.grad(expected, logits)
    found = token_loss(logits * 1, targets)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(3 * found, logits)[0], 3 * gradient)


def test_the_gradient_has_the_memory_of_the_logits():
    logits, targets = _logits()
    leaf = logits.requires_grad_()
    made, seen = leaf * 1, []
    made.register_hook(lambda gradient: seen.append(gradient.data_ptr()))
    place = made.data_ptr()
    token_loss(made, targets).backward()
    assert seen == [place]


def test_another_reader_of_the_logits_is_refused():
    logits, targets = _logits()
    made = torch.exp(logits.requires_grad_())  # whose backward pass needs them
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        token_loss(made, targets).backward()


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
