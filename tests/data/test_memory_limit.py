"""A folder of more images than may stay in memory trains in what a few batches take."""

import json
import os
import subprocess
import sys

import pytest
from PIL import Image

from netwright.tasks.image_folder import image_folder
from tests.verified import VERIFIED

IMAGES, SIZE = 200, 512
MEGABYTES = 0.6 * IMAGES * SIZE**2 * 3 / 1e6  # of the decoded training images: 94

# prints by how much the peak of resident memory is higher after a whole pass than after two steps
PASS = """
import json, sys
import torch
from netwright.tasks.image_folder import image_folder
from netwright.training import loop, memory

path, cache, size, share = json.loads(sys.argv[1])
task = image_folder(path, size=size, cache=cache, memory_share=share)
network = torch.nn.Sequential(torch.nn.AvgPool2d(64), torch.nn.Flatten(), torch.nn.Linear(3 * (size // 64) ** 2, 2))
optimizer = torch.optim.SGD(network.parameters(), 0.01)

def train(steps):
    return loop.train(network, task, optimizer, loop.Schedule(steps), batch=2).examples

train(2)
cpu = torch.device("cpu")
before = memory.peak_mb(cpu)
images = train(task.examples("train") // 2)
print(json.dumps([images, memory.peak_mb(cpu) - before]))
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for number in range(IMAGES):
        place = folder / "data" / f"class{number % 2}" / f"{number}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (SIZE, SIZE), (number % 256, 255 * (number % 2), 0)).save(place, comment=str(number))
    list(image_folder(str(folder / "data"), size=SIZE, cache=str(folder / "cache")).prepare())
    return str(folder / "data"), str(folder / "cache")


def _growth(folders, share):
    arguments = json.dumps([*folders, SIZE, share])
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}  # glibc gives freed batches back at once
    command = [sys.executable, "-c", PASS, arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    images, growth = json.loads(done.stdout)
    assert images == 0.6 * IMAGES
    return growth


def test_streamed_images_do_not_stay_in_memory(folders):
    assert _growth(folders, 0.0) < MEGABYTES / 3


@VERIFIED
def test_mapped_images_do_so_that_the_measure_is_one(folders):
    assert _growth(folders, 1.0) > 0.9 * MEGABYTES
