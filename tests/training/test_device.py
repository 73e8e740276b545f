"""What a training works on, and how exactly."""

import warnings

import pytest
import torch

from netwright.core.errors import BadReference
from netwright.training import device
from netwright.training.settings import StepSettings

CPU, CARD = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture
def cards(monkeypatch):
    """As if there were so many cards, of a compute capability."""

    def pretend(count, capability=(8, 0)):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "Tesla T4")

    return pretend


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_each_process_has_a_gpu_of_its_own_or_shares_one(cards, name):
    cards(2)
    assert [device.pick(name, index).index for index in range(4)] == [0, 1, 0, 1]
    assert device.pick("cuda:1", 0) == torch.device("cuda", 1)


def test_without_any_gpu_it_is_the_cpu(cards):
    cards(0)
    assert device.pick("auto", 3) == device.pick("cpu", 3) == CPU


def test_a_device_is_named_and_shared_only_where_it_can_be():
    for name in ("auto", "cpu", "cuda", "cuda:0"):
        device.check_name(name, 8)
    with pytest.raises(BadReference, match=r"evaluator.device is 'gpu'; give auto, cpu, cuda or cuda:0$"):
        device.check_name("gpu", 1)
    with pytest.raises(BadReference, match=r"'mps', which 2 processes cannot share; give auto or cpu$"):
        device.check_name("mps", 2)


def test_a_device_that_is_not_here_is_refused(cards):
    cards(1)
    for name in ("auto", "cpu", "cuda", "cuda:0"):
        device.check_is_here(name)
    with pytest.raises(BadReference, match=r"'cuda:1', which this machine does not have; give auto or cpu$"):
        device.check_is_here("cuda:1")
    cards(0)
    for name in ("cuda", "cuda:0"):
        with pytest.raises(BadReference, match=rf"'{name}', which this machine does not have; give auto or cpu$"):
            device.check_is_here(name)


def test_a_driver_that_is_too_old_is_named_where_a_gpu_is_asked_for(cards, monkeypatch):
    cards(0)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    monkeypatch.setattr(torch.version, "cuda", "13.0")

    def init():
        raise RuntimeError(
            "The NVIDIA driver on your system is too old (found version 12040). Please update your GPU driver by "
            "downloading and installing a new version from the URL: http://www.nvidia.com/Download/index.aspx"
        )

    monkeypatch.setattr(torch.cuda, "init", init)
    message = (
        r"^evaluator.device is 'cuda', but the NVIDIA driver is too old: this torch needs one for CUDA 13.0, and has "
        r"that of 12.4; update the driver, or give auto or cpu$"
    )
    with pytest.raises(BadReference, match=message):
        device.check_is_here("cuda")
    device.check_is_here("auto")


@pytest.mark.parametrize(
    ("capability", "chosen", "lacking"), [((7, 5), "float32", ("bfloat16",)), ((8, 0), "bfloat16", ())]
)
def test_a_gpu_has_some_precisions_and_auto_takes_what_it_has(cards, capability, chosen, lacking):
    cards(1, capability)
    assert StepSettings().precision_on(CARD) == chosen
    assert StepSettings().precision_on(CPU) == "float32"
    for precision in ("float32", "float16", "bfloat16"):
        assert StepSettings(precision=precision).precision_on(CARD) == precision
        device.check_has(CPU, precision)
        if precision not in lacking:
            device.check_has(CARD, precision)
    for precision in lacking:
        message = (
            rf"^evaluator.precision is '{precision}', which Tesla T4 \(compute capability 7.5\) does not have; give "
            "auto or float32$"
        )
        with pytest.raises(BadReference, match=message):
            device.check_has(CARD, precision)


def _flags():
    cudnn, deterministic = torch.backends.cudnn, torch.utils.deterministic
    return (
        (cudnn.enabled, cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32),
        (torch.are_deterministic_algorithms_enabled(), deterministic.fill_uninitialized_memory),
    )


@pytest.mark.parametrize("deterministic", [False, True])
def test_how_exactly_a_gpu_computes_is_said_within_the_block_only(monkeypatch, deterministic):
    """The flags can be set without a GPU; what they do, `gpu` tests show."""
    monkeypatch.setattr(torch.cuda, "device", lambda _device: warnings.catch_warnings())
    monkeypatch.setenv(*device.WORKSPACE)  # so that it is taken away afterwards
    before, threads = _flags(), torch.get_num_threads()
    with device.working(CARD, 3, deterministic):
        assert torch.get_num_threads() == 3
        tf32 = not deterministic
        assert _flags()[0] == (True, deterministic, False, tf32, tf32)
        assert _flags()[1][0] == deterministic
        with device.in_single_precision(CARD):
            assert _flags()[0] == (True, deterministic, False, False, False)
        assert _flags()[0][3:] == (tf32, tf32)
    assert (_flags(), torch.get_num_threads()) == (before, threads)


def test_on_the_cpu_only_the_threads_are_set():
    before = _flags()
    with device.working(CPU, 2, True), device.in_single_precision(CPU):
        assert (_flags(), torch.get_num_threads()) == (before, 2)


@pytest.mark.gpu
def test_a_gpu_that_is_not_there_is_refused_where_there_is_another():
    name = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(BadReference, match=f"evaluator.device is '{name}', which this machine does not have"):
        device.check_is_here(name)
    device.check_is_here("cuda")


def _products(place):
    """By cuDNN and by cuBLAS."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((8, 64, 16, 16), (64, 64, 3, 3), (512, 512), (512, 512))
    images, weights, one, other = (torch.randn(shape, generator=generator).to(place) for shape in shapes)
    found = (torch.nn.functional.conv2d(images, weights, padding=1), one @ other)
    return torch.cat([each.cpu().flatten() for each in found])


@pytest.mark.gpu
def test_single_precision_on_a_gpu_is_tf32_unless_it_is_to_be_exact():
    exact = _products(CPU)
    with device.working(CARD, 1, False):
        fast = (_products(CARD) - exact).abs().max() / exact.abs().max()
        with device.in_single_precision(CARD):
            slow = (_products(CARD) - exact).abs().max() / exact.abs().max()
    with device.working(CARD, 1, True):
        repeated = (_products(CARD) - exact).abs().max() / exact.abs().max()
    assert slow < 1e-5 and repeated < 1e-5
    if torch.cuda.get_device_capability() >= (8, 0):
        assert 1e-5 < fast < 1e-2
