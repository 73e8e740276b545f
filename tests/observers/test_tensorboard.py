import pytest

from netwright.observers.tensorboard import TensorBoard
from netwright.testing.observers import check_observer

pytest.importorskip("tensorboard")
accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def _read(folder):
    found = accumulator.EventAccumulator(str(folder))
    found.Reload()
    return found


def _curve(found, tag):
    return [(event.step, event.value) for event in found.Scalars(tag)]


def test_the_search_and_its_trials_are_read_back(tmp_path):
    check_observer(TensorBoard, tmp_path)
    search = _read(tmp_path / "tensorboard" / "search")
    assert _curve(search, "valid_accuracy") == [(1, 0.5), (3, 0.75), (4, 0.625)]
    assert _curve(search, "best valid_accuracy") == [(1, 0.5), (2, 0.5), (3, 0.75), (4, 0.75)]
    assert _curve(search, "failed") == [(1, 0), (2, 1), (3, 1), (4, 1)]
    assert _curve(_read(tmp_path / "tensorboard" / "trial-000001"), "curve") == [(1, 0.25), (2, 0.5)]
    assert _curve(_read(tmp_path / "tensorboard" / "trial-000004"), "train_loss") == [(1, 0.125)]


def test_genes_are_hyperparameters(tmp_path):
    from tensorboard.plugins.hparams import plugin_data_pb2

    check_observer(TensorBoard, tmp_path)
    found = _read(tmp_path / "tensorboard" / "trial-000004").summary_metadata["_hparams_/session_start_info"]
    data = plugin_data_pb2.HParamsPluginData.FromString(found.plugin_data.content).session_start_info.hparams
    assert {name: value.string_value or value.number_value for name, value in data.items()} == {
        "gene 0": "option 2",
        "gene 1": "option 1",
        "budget": 2,
    }


def test_no_more_trials_than_asked_have_a_folder(tmp_path):
    check_observer(lambda: TensorBoard(trials=2), tmp_path)
    assert sorted(path.name for path in (tmp_path / "tensorboard").iterdir()) == [
        "search",
        "trial-000001",
        "trial-000002",
    ]
