import pytest

from netwright.core.latency import LatencySettings, is_named


@pytest.mark.parametrize(
    ("objectives", "constraints", "expected"),
    [
        ((), (), False),
        (("valid_accuracy",), ("params <= 1e6",), False),
        (("valid_accuracy", "-latency_ms"), (), True),
        (("latency_ms!",), (), True),
        ((), ("params <= 1e6", " latency_ms<5"), True),
        (("-my_latency_ms",), (), False),
    ],
)
def test_whether_a_run_asks_for_the_latency(objectives, constraints, expected):
    assert is_named(objectives, constraints) == expected


def test_settings():
    assert str(LatencySettings("cuda", 64, 2)) == "of batch 64 on cuda with 2 threads"
    for wrong in ({"batch": 0}, {"threads": -1}):
        with pytest.raises(ValueError, match="must be at least 1"):
            LatencySettings(**wrong)
