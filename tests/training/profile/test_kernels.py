"""What a profiler recorded, added up. The events of a GPU are made up here."""

import pytest
import torch

from netwright.training.profile import kernels
from netwright.training.profile.kernels import Event, Kernel


def host(name, start, end):
    return Event(name, False, start, end, end - start, False)


def kernel(name, start, end):
    return Event(name, True, start, end, 0.0, False)


GPU = [
    host("aten::conv2d", 0, 50),
    host("cudaLaunchKernel", 10, 14),
    host("cudaLaunchKernelExC", 20, 23),
    host("cudaMemcpyAsync", 30, 31),
    host("cudaStreamSynchronize", 60, 160),
    kernel("void cudnn::conv<float>(int)", 20, 60),
    kernel("void cudnn::conv<float>(int)", 50, 80),  # in another stream, partly at the same time
    kernel("Memcpy HtoD (Pageable -> Device)", 100, 120),
    Event("Optimizer.step#SGD.step", True, 0, 10_000, 0.0, True),
    kernel("Optimizer.step#SGD.step", 0, 10_000),  # how older releases tell of it
]


def test_work_of_a_gpu():
    work = kernels.of_gpu(GPU, steps=2)
    assert work.kernels == (
        Kernel("conv", pytest.approx(35e-6), 1.0),
        Kernel("Memcpy HtoD", pytest.approx(10e-6), 0.5),
    )
    assert work.launches == 1.5
    assert work.launch_seconds == pytest.approx(4e-6)
    assert work.wait_seconds == pytest.approx(50e-6)
    assert work.busy_seconds == pytest.approx(40e-6)


def test_a_gpu_whose_kernels_no_profiler_may_see():
    work = kernels.of_gpu([event for event in GPU if not event.is_on_gpu], steps=1)
    assert work.kernels == () and work.busy_seconds is None and work.launches == 3


def test_work_of_a_cpu_is_that_of_operators():
    events = [
        Event("aten::conv2d", False, 0, 100, 10, False),
        Event("aten::mkldnn_convolution", False, 5, 95, 90, False),
        Event("autograd::engine::evaluate_function: ConvolutionBackward0", False, 100, 200, 20, False),
        Event("ConvolutionBackward0", False, 110, 200, 80, False),
        Event("Optimizer.step#SGD.step", False, 200, 300, 100, True),
    ]
    work = kernels.of_cpu(events, 1, 400e-6)
    assert [each.name for each in work.kernels] == ["mkldnn_convolution", "ConvolutionBackward0", "conv2d"]
    assert work.launches == 3
    assert work.busy_seconds == pytest.approx(180e-6)
    assert work.launch_seconds == pytest.approx(220e-6)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<float>, std::array<char*>>"
            "(int, at::native::CUDAFunctor_add<float>)",
            "vectorized_elementwise_kernel CUDAFunctor_add",
        ),
        ("void (anonymous namespace)::softmax_warp_forward<float, float>(float*, int)", "softmax_warp_forward"),
        (
            "sm90_xmma_fprop_implicit_gemm_nhwckrsc_nhwc",
            "sm90_xmma_fprop_implicit_gemm_nhwckrsc_nhwc",
        ),
        ("Memset (Device)", "Memset"),
        ("triton_poi_fused_add_0", "triton_poi_fused_add_0"),
        ("<lambda>", "<lambda>"),
    ],
)
def test_short_names(name, expected):
    assert kernels.short(name) == expected


def test_events_of_torchs_profiler():
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities) as profiler, torch.profiler.record_function("mine"):
        torch.ones(64, 64) @ torch.ones(64, 64)
    found = {event.name: event for event in kernels.recorded(profiler)}
    assert found["aten::mm"].own > 0 and not found["aten::mm"].is_on_gpu and not found["aten::mm"].is_annotation
    assert found["mine"].is_annotation and found["mine"].end >= found["aten::mm"].end
