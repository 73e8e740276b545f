import pytest
import torch

from netwright.core.errors import ExportError
from netwright.export import check, fresh
from netwright.export.media.images import Images, interval
from netwright.export.media.plain import Plain
from tests.tasks.test_regression import Regression
from tests.training.test_summing import NextToken

LOGITS = torch.tensor([[3.0, 1.0, 2.0], [0.5, 0.5 + 2e-5, 0.0], [-9e5, 4e5, 4e5 + 1]])


class Named(Images):
    def name(self, place):
        return f"image {place}"


def _compare(logits):
    check._compare("model.py", logits, LOGITS, check._is_close(LOGITS), Named(None, None))


def test_images_are_undecided_when_rounding_decides():
    assert check._is_close(LOGITS).tolist() == [False, True, True]


def test_undecided_images_may_differ_and_others_may_not():
    _compare(LOGITS.clone())
    turned = LOGITS.clone()
    turned[1] = LOGITS[1][[1, 0, 2]]
    turned[2] = LOGITS[2][[0, 2, 1]]
    _compare(turned)
    turned[0] = LOGITS[0][[1, 0, 2]]
    with pytest.raises(
        ExportError, match="1 of 3 test images are classified differently, first image 0: class 1, not 0"
    ):
        _compare(turned)


@pytest.mark.parametrize("value", [3.01, float("nan"), float("inf")])
def test_logits_may_not_differ_though_predictions_agree(value):
    other = LOGITS.clone()
    other[0, 0] = value
    with pytest.raises(ExportError, match=r"model\.py does not compute what was trained"):
        _compare(other)


def test_differences_are_relative_to_large_logits_only():
    assert fresh.worst_difference(torch.tensor([[0.1, 0.2]]), torch.tensor([[0.1, 0.3]])) == pytest.approx(0.1)
    assert fresh.worst_difference(torch.tensor([[0.0, 200.0]]), torch.tensor([[1.0, 200.0]])) == pytest.approx(0.005)


def test_of_tokens_every_choice_is_compared():
    """An example is named once, however many of its choices differ."""
    task = NextToken()
    logits = torch.tensor([[[3.0, 1.0], [0.0, 2.0]], [[1.0, 0.0], [1.0, 1.0 + 2e-5]]])
    is_close = check._is_close(logits)
    assert is_close.tolist() == [[False, False], [False, True]]
    turned = logits.flip(-1)
    with pytest.raises(ExportError, match=r"2 of 2 test examples are classified differently, first test example 5: cl"):
        check._compare("model.py", turned, logits, is_close, Plain(task), start=5)
    check._compare(
        "model.py",
        torch.cat((logits[:1], torch.stack((logits[1, :1], turned[1, 1:]), 1))),
        logits,
        is_close,
        Plain(task),
    )


def test_numbers_may_differ_by_rounding_alone():
    wanted = torch.tensor([[0.5, -2.0], [1e4, 0.0]])
    check._compare("model.py", wanted * (1 + 1e-5), wanted, None, Plain(Regression()))
    with pytest.raises(ExportError, match=r"model\.py does .*: its outputs for test examples differ by up to 0\.01"):
        check._compare("model.py", wanted + torch.tensor([[0.02, 0.0], [0.0, 0.0]]), wanted, None, Plain(Regression()))


def test_the_interval_of_a_share_is_wilsons():
    """81 of 263: 0.2553 to 0.3662 (Newcombe 1998, Statistics in Medicine 17, table I, method 3)."""
    assert interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert interval(20, 20) == pytest.approx((0.8389, 1.0), abs=5e-5)
    assert interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
