"""Nothing here needs Ray: texts are read before it is asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.core.errors import WorkerError
from netwright.executors import ray_options

NAMES = st.text("abcXYZ_.-/", min_size=1).filter(lambda name: name not in ray_options.OWN)
NUMBERS = st.floats(min_value=0, exclude_min=True, allow_nan=False, allow_infinity=False)


@given(st.dictionaries(NAMES, NUMBERS))
def test_what_is_written_is_read(resources):
    written = ",".join(f"{name}={number!r}" for name, number in resources.items())
    spaced = " , ".join(f" {name} = {number!r} " for name, number in resources.items())
    assert ray_options.numbers(written) == ray_options.numbers(spaced) == resources


@pytest.mark.parametrize("text", ["tpu", "tpu=", "=1", "tpu=many", "tpu=0", "tpu=-1", "tpu=inf", "tpu=nan", "a=1,a=2"])
def test_what_is_no_resource_is_refused_and_named(text):
    with pytest.raises(WorkerError, match=f"resources is '{text}'; give NAME=NUMBER"):
        ray_options.numbers(text)


@pytest.mark.parametrize(("name", "option"), ray_options.OWN.items())
def test_what_has_an_option_of_its_own_is_given_by_it(name, option):
    with pytest.raises(WorkerError, match=f"names {name}; give executor.{option} instead"):
        ray_options.numbers(f"tpu=1,{name}=2")


@pytest.mark.parametrize("address", ["", "auto", "head:6379", "10.0.0.1:1", "[fd00::1]:65535"])
def test_addresses_of_clusters_have_no_fault(address):
    assert ray_options.fault_of_address(address) == ""


@pytest.mark.parametrize(
    ("address", "mend"),
    [
        ("ray://head:10001", "protocol for clients"),
        ("head", "give HOST:PORT"),
        (":6379", "give HOST:PORT"),
        ("head:", "give HOST:PORT"),
        ("head:ray", "give HOST:PORT"),
        ("head:0", "give HOST:PORT"),
        ("head:65536", "give HOST:PORT"),
        ("localhost:6379", "--node-ip-address=127.0.0.2"),
        ("127.0.0.1:6379", "--node-ip-address=127.0.0.2"),
        ("[::1]:6379", "--node-ip-address=127.0.0.2"),
    ],
)
def test_other_addresses_are_told_what_to_give(address, mend):
    assert mend in ray_options.fault_of_address(address)


@pytest.mark.parametrize(("host", "expected"), [("127.0.0.2", True), ("::1", True), ("10.0.0.1", False)])
def test_which_addresses_are_of_this_machine_alone(host, expected):
    assert ray_options.is_loopback(host) is expected
