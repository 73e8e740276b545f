"""Large matrix products, by whichever library, and the decoder made of them."""

import pytest
import torch
import torch.nn.functional as F

from netwright.plans.ops import products
from netwright.plans.ops.lean_decoder import LeanDecoder
from netwright.plans.ops.products import product


def _drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=["as it is", "without oneDNN"])
def library(request, monkeypatch):
    if request.param != "as it is":
        monkeypatch.setattr(products, "_has_onednn", lambda: False)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("is_transposed", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_products_are_torchs(is_transposed, dtype):
    a, b, bias = _drawn(7, 5).to(dtype), _drawn(5, 3, seed=1).to(dtype), _drawn(3, seed=2).to(dtype)
    b = b.t().contiguous().t() if is_transposed else b
    for found, expected in ((product(a, b), a @ b), (product(a, b, bias), a @ b + bias)):
        assert found.dtype == dtype
        torch.testing.assert_close(found, expected)


@pytest.mark.usefixtures("library")
def test_the_decoder_is_a_linear_layer_with_its_gradients():
    x, table = _drawn(2, 3, 5).requires_grad_(), _drawn(11, 5, seed=1).requires_grad_()
    layer, wanted = LeanDecoder(11), _drawn(2, 3, 11, seed=2)
    torch.nn.init.normal_(layer.bias, generator=torch.Generator().manual_seed(3))
    leaves = (x, table, layer.bias)
    outputs = layer(x, table), F.linear(*leaves)
    torch.testing.assert_close(*outputs)
    found, expected = (torch.autograd.grad((each * wanted).sum(), leaves) for each in outputs)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_autocast_is_left_to_torch():
    layer = LeanDecoder(11)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(_drawn(2, 3, 5), _drawn(11, 5, seed=1).requires_grad_())
    assert found.dtype == torch.bfloat16
