import pytest

from netwright.cells import resolution
from netwright.core.errors import BadReference
from netwright.core.records import IO


def _halved_twice(side):
    return side, -(-side // 2), -(-side // 4)


@pytest.mark.parametrize(("head_at", "least"), [(None, 3), (-2, 9), (-1, 17)])
def test_the_least_images_are_those_of_the_message(head_at, least):
    resolution.check(IO(3, least, least + 5, 10), "cifar", _halved_twice, head_at)
    with pytest.raises(BadReference) as refused:
        resolution.check(IO(3, least + 5, least - 1, 10), "cifar", _halved_twice, head_at)
    assert f"{least} x {least}" in str(refused.value)
    assert f"images of {least + 5} x {least - 1}" in str(refused.value)
