import shutil
import subprocess

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from netwright.core import liveness
from netwright.surrogates import kept_weights

WEIGHTS = {"b": torch.arange(6.0).view(2, 3), "a": torch.tensor([1.5]), "scalar": torch.tensor(2.0)}
FACTS = '{"notes": {"tau": 0.5}}'


def test_both_come_back(tmp_path):
    path = tmp_path / "new" / "x.safetensors"
    kept_weights.write(path, WEIGHTS, FACTS)
    weights, facts = kept_weights.read(path)
    assert facts == FACTS
    assert weights.keys() == WEIGHTS.keys()
    assert all(torch.equal(weights[name], value) for name, value in WEIGHTS.items())


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_changed_byte_is_noticed_and_the_file_put_aside(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("kept") / "x.safetensors"
    kept_weights.write(path, WEIGHTS, FACTS)
    changed = bytearray(path.read_bytes())
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(changed)
    assert kept_weights.read(path) is None
    assert not path.exists() and path.with_name("x.safetensors.damaged").read_bytes() == changed


def test_what_is_not_there_cut_off_or_of_another_name_is_not_read(tmp_path, capsys):
    path = tmp_path / "x.safetensors"
    assert kept_weights.read(path) is None
    assert not capsys.readouterr().err
    kept_weights.write(path, WEIGHTS, FACTS)
    shutil.copy(path, tmp_path / "y.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    for name in ("x", "y"):
        assert kept_weights.read(tmp_path / f"{name}.safetensors") is None
        said = f"{name}.safetensors does not hold what was learned; it was put aside as {name}.safetensors.damaged; "
        assert said in capsys.readouterr().err


def test_leftovers_go_and_all_else_stays(tmp_path):
    dead = subprocess.Popen(["true"])
    dead.wait()
    gone = ("old-1.safetensors", f".ours-2.safetensors.{dead.pid}-1-{liveness.place_mark()}.new")
    stays = ("ours-1.safetensors", "notes.txt", ".hidden", "plan.new")
    for name in gone + stays:
        (tmp_path / name).touch()
    kept_weights.clear(tmp_path, "ours-")
    assert {path.name for path in tmp_path.iterdir()} == set(stays)
    kept_weights.clear(tmp_path / "absent", "ours-")
