import pytest

from netwright.observers.mlflow import IDENTITY, MlFlow, _name
from netwright.testing.observers import TRIALS, check_observer, observed

tracking = pytest.importorskip("mlflow.tracking")
pytest.importorskip("sqlalchemy")


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """The client and its runs, after the search was stopped and had gone on."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        check_observer(MlFlow, folder)
    client = tracking.MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    found = client.search_runs([client.get_experiment_by_name("netwright").experiment_id])
    return client, {run.info.run_name: run for run in found}


def test_the_search_is_a_run_and_each_trial_one_within_it(read):
    client, runs = read
    assert len(runs) == 5
    assert {f"trial {number}" for number in range(1, 5)} < set(runs)
    [search] = [run for name, run in runs.items() if not name.startswith("trial")]
    assert search.data.params["space.length"] == "2"
    assert search.info.status == "FINISHED"
    assert {run.data.tags.get("mlflow.parentRunId") for run in runs.values()} == {None, search.info.run_id}
    best = client.get_metric_history(search.info.run_id, "best valid_accuracy")
    assert [(point.step, point.value) for point in best] == [(1, 0.5), (2, 0.5), (3, 0.75), (4, 0.75)]


def test_trials_have_genes_metrics_curves_and_failures(read):
    client, runs = read
    first, second = runs["trial 1"], runs["trial 2"]
    assert {name: first.data.params[name] for name in ("gene 0", "gene 1")} == {
        "gene 0": "option 0",
        "gene 1": "option 3",
    }
    assert (first.data.metrics["valid_accuracy"], first.data.metrics["params"]) == (0.5, 7)
    curve = client.get_metric_history(first.info.run_id, "curve")
    assert [(point.step, point.value) for point in curve] == [(1, 0.25), (2, 0.5)]
    assert (second.info.status, second.data.tags["failure"]) == ("FAILED", "diverged: NaN")
    steps = client.get_metric_history(runs["trial 3"].info.run_id, "train_loss")
    assert [(point.step, point.value) for point in steps] == [(1, 0.25)], "the run that was left open is gone on with"


def test_a_search_that_the_database_does_not_know_is_logged_anew(tmp_path):
    (tmp_path / IDENTITY).write_text("0" * 32)
    observer = MlFlow(f"sqlite:///{tmp_path / 'other.db'}", "mine")
    observer.on_begin(observed(tmp_path, TRIALS[:2]))
    observer.on_end({"ending": "failed"})
    client = tracking.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'other.db'}")
    found = client.search_runs([client.get_experiment_by_name("mine").experiment_id])
    assert {run.info.run_name for run in found} > {"trial 1", "trial 2"}
    assert [run.info.status for run in found if run.info.run_id == (tmp_path / IDENTITY).read_text()] == ["FAILED"]


def test_names_that_it_takes_in_none_are_replaced():
    assert _name("cell 1->2: sep_3x3 größe") == "cell 1-_2: sep_3x3 gr__e"
