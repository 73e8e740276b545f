"""Publishing and fetching, against a stand-in for the hub on this machine."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch

from netwright.core.errors import ExportError
from netwright.export.load import load
from netwright.hub.pull import pull
from netwright.hub.push import metadata, push
from tests.export.conftest import exported as exported
from tests.hub import hub_server
from tests.hub.hub_server import TOKEN

hub = pytest.importorskip("huggingface_hub")


@pytest.fixture(scope="module")
def served():
    with pytest.MonkeyPatch.context() as patch, hub_server.running() as found:
        patch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        yield found


@pytest.fixture
def server(served):
    served.repos.clear()
    served.private.clear()
    return served


def test_what_was_published_is_fetched_and_computes_the_same(exported, server, tmp_path):
    address = push(exported.folder, "me/digits", endpoint=server.address, token=TOKEN)
    assert address == f"{server.address}/me/digits"
    found = pull("me/digits", tmp_path / "out", endpoint=server.address)
    assert {path.name for path in found.iterdir()} == {path.name for path in exported.folder.iterdir()}
    for path in exported.folder.iterdir():
        if path.name != "README.md":
            assert (found / path.name).read_bytes() == path.read_bytes(), path.name
    images = torch.rand(2, 1, 8, 8)
    with torch.inference_mode():
        assert torch.equal(load(found)(images), load(exported.folder)(images))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_the_card_has_metadata_that_the_hub_understands(exported, server):
    before = (exported.folder / "README.md").read_text()
    push(exported.folder, "me/digits", license="apache-2.0", endpoint=server.address, token=TOKEN)
    assert (exported.folder / "README.md").read_text() == before, "the folder stays as it is"
    text = server.repos["me/digits"]["README.md"].decode()
    assert text.endswith(before)
    data = hub.ModelCard(text).data
    assert (data.library_name, data.license, data.pipeline_tag) == ("netwright", "apache-2.0", "image-classification")
    assert "neural-architecture-search" in data.tags
    [result] = data.eval_results
    assert (result.dataset_name, result.dataset_split, result.metric_type) == ("digits", "test", "accuracy")
    assert result.metric_value == exported.model.metrics["test_accuracy"]


def test_what_was_fetched_can_be_published_anew_with_one_head_in_its_card(exported, server, tmp_path):
    push(exported.folder, "me/digits", endpoint=server.address, token=TOKEN)
    found = pull("me/digits", tmp_path / "out", endpoint=server.address)
    push(found, "me/again", license="mit", endpoint=server.address, token=TOKEN)
    text = server.repos["me/again"]["README.md"].decode()
    assert text == metadata(exported.folder, "me/again", "mit") + (exported.folder / "README.md").read_text()


def test_only_files_of_an_export_travel_and_those_of_an_earlier_one_go(exported, server, tmp_path):
    folder = shutil.copytree(exported.folder, tmp_path / "export")
    (folder / "secrets.txt").write_text("mine")
    (folder / "model.onnx").write_bytes(b"graph")
    push(folder, "me/digits", endpoint=server.address, token=TOKEN)
    assert "model.onnx" in server.repos["me/digits"] and "secrets.txt" not in server.repos["me/digits"]
    server.repos["me/digits"]["evil.py"] = b"import os"
    push(exported.folder, "me/digits", endpoint=server.address, token=TOKEN)
    assert "model.onnx" not in server.repos["me/digits"]
    assert not (pull("me/digits", tmp_path / "out", endpoint=server.address) / "evil.py").exists()


def test_places_of_this_machine_are_named_before_they_are_published(exported, server, tmp_path):
    folder, said = shutil.copytree(exported.folder, tmp_path / "export"), []
    text = (folder / "run.toml").read_text().replace('ref = "digits"', 'ref = "digits"\npath = "/home/me/photos"')
    (folder / "run.toml").write_text(text)
    push(folder, "me/digits", private=True, endpoint=server.address, token=TOKEN, say=said.append)
    assert said[0].startswith("README.md and run.toml name /home/me/photos")
    assert server.private == {"me/digits"}


def test_what_cannot_be_published_is_a_sentence(exported, server, tmp_path):
    with pytest.raises(ExportError, match="holds no exported network; write one by `netwright export`"):
        push(tmp_path, "me/digits", endpoint=server.address, token=TOKEN)
    with pytest.raises(ExportError, match="log in by `hf auth login`"):
        push(exported.folder, "me/digits", endpoint=server.address, token="hf_wrong")
    with pytest.raises(ExportError, match="names no repository"):
        push(exported.folder, "me/di gits", endpoint=server.address, token=TOKEN)
    damaged = shutil.copytree(exported.folder, tmp_path / "damaged")
    data = bytearray((damaged / "weights.safetensors").read_bytes())
    data[-1] ^= 1
    (damaged / "weights.safetensors").write_bytes(data)
    with pytest.raises(ExportError, match="damaged"):
        push(damaged, "me/digits", endpoint=server.address, token=TOKEN)
    assert server.repos == {}


def test_what_cannot_be_fetched_is_a_sentence_and_leaves_nothing(exported, server, tmp_path):
    push(exported.folder, "me/digits", endpoint=server.address, token=TOKEN)
    files = server.repos["me/digits"]
    server.repos["me/other"] = {"README.md": b"# Other"}
    server.repos["me/damaged"] = {**files, "weights.safetensors": files["weights.safetensors"][:-1] + b"x"}
    for repo, options, match in (
        ("me/absent", {}, "no repository 'me/absent'"),
        ("me/digits", {"revision": "absent"}, "no such revision"),
        ("me/other", {}, "holds no network that this netwright reads"),
        ("me/damaged", {}, "missing or damaged"),
    ):
        with pytest.raises(ExportError, match=match) as raised:
            pull(repo, tmp_path / "out", endpoint=server.address, **options)
        assert "\n" not in str(raised.value)
    with pytest.raises(ExportError, match="check the connection"):
        pull("me/digits", tmp_path / "out", endpoint="http://127.0.0.1:9")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").write_text("here")
    with pytest.raises(ExportError, match="holds something already"):
        pull("me/digits", tmp_path, endpoint=server.address)


def test_the_commands(exported, server, tmp_path):
    """As programs, since the library reads HF_ENDPOINT where it is imported."""
    environment = {**os.environ, "HF_ENDPOINT": server.address, "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1"}
    for words, said in (
        (["push", exported.folder, "me/digits", "--license", "mit"], f"published: {server.address}/me/digits"),
        (["pull", "me/digits", "--out", tmp_path / "out"], f"export: {tmp_path / 'out'}"),
    ):
        command = [sys.executable, "-m", "netwright.cli.main", *map(str, words)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == said
    assert json.loads((tmp_path / "out" / "architecture.json").read_text())["format"] == "netwright export 2"


def test_a_network_of_another_task_has_no_kind(exported, tmp_path):
    folder = shutil.copytree(exported.folder, tmp_path / "export")
    facts = json.loads((folder / "architecture.json").read_text())
    facts["io"] = {"input": ["vector", 4], "output": ["numbers", 1]}
    (folder / "architecture.json").write_text(json.dumps(facts))
    assert "pipeline_tag" not in metadata(folder, "me/numbers")
