import torch

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


def test_one_flipped_bit_anywhere_is_noticed(tmp_path):
    """In the header and in the weights; what does not change what is read may pass."""
    path = tmp_path / "x.safetensors"
    kept_weights.write(path, WEIGHTS, FACTS)
    whole, refused = path.read_bytes(), set()
    for position in range(len(whole)):
        for bit in (0, 5, 7):
            data = bytearray(whole)
            data[position] ^= 1 << bit
            path.write_bytes(data)
            if (found := kept_weights.read(path)) is None:
                refused.add(position)
                continue
            assert found[1] == FACTS
            assert all(torch.equal(found[0][name], value) for name, value in WEIGHTS.items())
    in_weights = range(len(whole) - 4 * sum(value.numel() for value in WEIGHTS.values()), len(whole))
    assert refused >= set(in_weights)
    start = whole.index(b"tau")
    assert refused >= set(range(start, start + 3))


def test_what_is_not_there_or_cut_off_is_not_read(tmp_path):
    path = tmp_path / "x.safetensors"
    assert kept_weights.read(path) is None
    kept_weights.write(path, WEIGHTS, FACTS)
    path.write_bytes(path.read_bytes()[:-1])
    assert kept_weights.read(path) is None


def test_leftovers_go_and_all_else_stays(tmp_path):
    gone = ("old-1.safetensors", ".ours-2.safetensors.77.new", ".old-1.safetensors.78.new")
    stays = ("ours-1.safetensors", "notes.txt", ".hidden", "plan.new")
    for name in gone + stays:
        (tmp_path / name).touch()
    kept_weights.clear(tmp_path, "ours-")
    assert {path.name for path in tmp_path.iterdir()} == set(stays)
    kept_weights.clear(tmp_path / "absent", "ours-")
