import pytest
import torch

from netwright.plans.tensor_digest import digest

WEIGHTS = {"b": torch.arange(6.0).view(2, 3), "a": torch.tensor([1.5]), "scalar": torch.tensor(2.0)}


@pytest.mark.parametrize(
    "changed",
    [
        {"b": torch.ones(2, 3)},
        {"b": WEIGHTS["b"].view(3, 2)},
        {"b": WEIGHTS["b"].view(torch.int32)},
        {"c": torch.ones(1)},
    ],
    ids=["values", "shape", "type", "another one"],
)
def test_it_is_of_all(changed):
    assert digest({**WEIGHTS, **changed}, "text") != digest(WEIGHTS, "text")
    assert digest(WEIGHTS, "text ") != digest(WEIGHTS, "text")


def test_neither_order_nor_layout_matters():
    turned = {name: value.t().contiguous().t() if value.dim() == 2 else value for name, value in WEIGHTS.items()}
    assert not turned["b"].is_contiguous()
    assert digest(dict(reversed(turned.items())), "text") == digest(WEIGHTS, "text")


def test_files_of_earlier_versions_are_known():
    assert digest(WEIGHTS, "text") == "39561685e43738f4265970b3b2946894"
