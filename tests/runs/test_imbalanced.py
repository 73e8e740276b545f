"""Nine in ten scans are healthy and a network says so of all: wherever its accuracy stands, it is said what that is."""

import io
import re

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import netwright
from netwright.cli.main import main
from netwright.runs import run_folder
from tests import believed

WORDS = "the largest class is 90.00 % of it: no better than naming it always"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder, said = tmp_path_factory.mktemp("imbalanced"), io.StringIO()
    rng, labels = np.random.default_rng(0), np.repeat([0, 1], [45, 5])
    parts = {f"x_{name}": rng.integers(256, size=(50, 4, 4), dtype=np.uint8) for name in ("train", "valid", "test")}
    np.savez(folder / "scans.npz", **parts, **{f"y_{name[2:]}": labels for name in parts})
    made = netwright.Run(
        folder / "run",
        space="nats(channels=2)",
        strategy="random",
        task=f"arrays(path={str(folder / 'scans.npz')!r}, cache={str(folder / 'cache')!r})",
        evaluator="training(steps=2, batch=25, lr=0.01)",
        executor="inline",
        trials=1,
        console=Console(file=said, width=300),
    )
    made.search()
    made.train(epochs=1, reference=False)
    made.said = said.getvalue()
    return made


def test_the_commands_say_so(run, capsys):
    assert run.best.result.metrics["valid_accuracy"] == 0.9
    assert f"best: trial 1, valid_accuracy 0.9000 (higher is better; {WORDS})" in run.said
    assert re.search(rf"test_accuracy 90.00% \({WORDS}\), [\d,]+ parameters: best of the search", run.said)
    with pytest.raises(SystemExit):
        main(["status", str(run.folder)])
    assert f"best: trial 1, valid_accuracy 0.9000 (higher is better; {WORDS})" in capsys.readouterr().out


def test_the_report_says_so(run):
    text = (run.folder / "report" / "report.html").read_text()
    assert f"Best valid accuracy: 90.00 % (higher is better; {WORDS})." in text
    assert f"Test accuracy: 90.00 % ({WORDS})." in text


def test_the_export_says_so_and_its_predictions_are_all_alike(run, tmp_path, capsys):
    with believed.exports():
        out = run.export(tmp_path / "out")
    assert f"; {WORDS})" in (out / "README.md").read_text()
    assert '"constant_answer": {\n  "test_accuracy": 0.9,' in (out / "metrics.json").read_text()
    capsys.readouterr()
    images = [tmp_path / f"{n}.png" for n in range(2)]
    for n, path in enumerate(images):
        Image.fromarray(np.full((4, 4), 100 * n, np.uint8)).save(path)
    for chosen, is_told in ((images, True), (images[:1], False)):
        with pytest.raises(SystemExit):
            main(["predict", str(out), *map(str, chosen)])
        assert ("all 2 images were named 0" in capsys.readouterr().err) == is_told


def test_it_is_remembered_with_the_run(run):
    store = run_folder.open_table(run.folder, "read")
    assert '"name": "valid_accuracy", "value": 0.9' in store.recall("baselines")
    assert "test_accuracy" not in store.recall("baselines")
    store.close()
