"""From a folder of images to a network that runs elsewhere, by commands."""

import io
import json
import shutil
import subprocess
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import safetensors.torch

from netwright.cli.main import main
from netwright.core.errors import InvalidGenotype
from netwright.core.records import IO
from netwright.runs import beforehand, run_folder
from netwright.runs.run import Run
from netwright.spaces.hnag import HnagSpace
from tests.believed import exports
from tests.tiny_data import cifar, photos
from tests.verified import VERIFIED

EPOCH = ("--epochs", "1", "--no-reference")
SMALL = """
threads_per_trial = 1
space = {ref = "hierarchical", motifs = [2, 1], nodes = [3, 3], channels = 2}
executor = "inline"
evaluator = {ref = "training", steps = 3, batch = 8}
limits = {trials = 3}
"""


def run(capsys, *words):
    """Exit code, standard output, standard error."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    out, err = capsys.readouterr()
    return left.value.code or 0, out, err


def as_json(capsys, *words):
    code, out, err = run(capsys, *words, "--json")
    assert code == 0, err
    return json.loads(out)


def refused(capsys, *words):
    code, _, err = run(capsys, *words)
    assert code == 2
    assert err.startswith("netwright: ")
    assert err.count("\n") == 1, f"not one sentence: {err}"
    return err


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Images, the run of a search on them, and what it printed."""
    place = tmp_path_factory.mktemp("data")
    folder = photos(place / "photos")
    (folder / "dark" / "broken.png").write_bytes(b"")
    task = ["--task", f"image_folder(path='{folder}',size=8,broken_share=0.1,cache='{place / 'cache'}')"]
    stream = io.StringIO()
    (place / "small.toml").write_text(SMALL)
    with redirect_stdout(stream), pytest.raises(SystemExit) as left:
        main(["search", str(place / "small.toml"), *task, "--out", str(place / "run")])
    assert not left.value.code
    return place, stream.getvalue()


@pytest.fixture
def searched(original, tmp_path):
    """The run, copied: its trainings are the test's own."""
    place, _ = original
    (tmp_path / "photos").symlink_to(place / "photos")
    return Path(shutil.copytree(place / "run", tmp_path / "run"))


@pytest.fixture(scope="module")
def once(original, tmp_path_factory):
    """The run with a training of one epoch, what that printed, and the export of the network."""
    place = tmp_path_factory.mktemp("once")
    folder = Path(shutil.copytree(original[0] / "run", place / "run"))
    stream = io.StringIO()
    for words in (["train", folder, *EPOCH, "--json"], ["export", folder, "--out", place / "out"]):
        with redirect_stdout(stream), pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        assert not left.value.code
    return folder, stream.getvalue().splitlines()[0], place / "out"


@pytest.fixture
def trained(once, searched):
    """That run, copied, and what its training would have printed in the copy."""
    shutil.rmtree(searched)
    folder, printed, _ = once
    return Path(shutil.copytree(folder, searched)), json.loads(printed.replace(str(folder), str(searched)))


@pytest.fixture
def believed():
    """Exports are written without their proof, which `once` has."""
    with exports():
        yield


def test_a_search_says_what_it_takes_and_what_it_leaves_out(original):
    assert "dark/broken.png" in original[1]
    assert "memory: up to about" in original[1]


def test_from_images_to_predictions(drawn, searched, believed, tmp_path, capsys):
    found = as_json(capsys, "train", searched, "--epochs", "2", "--repeats", "2")
    assert {"params", "test_accuracy_mean", "test_accuracy_sd"} <= set(found)
    labels = [row["label"] for row in found["networks"]]
    assert labels == ["best of the search", "plain residual network of similar size"]
    assert [row["n"] for row in found["networks"]] == [2, 2]
    page = (searched / "report" / "report.html").read_text()
    assert "plain residual network of similar size" in page
    assert "netwright search" in page, "how to repeat it"
    exported = as_json(capsys, "export", searched, "--out", tmp_path / "out")
    assert exported["folder"] == str(tmp_path / "out")
    assert {"model.py", "weights.safetensors", "metrics.json"} <= set(exported["files"])
    assert 0 <= exported["metrics"]["test_accuracy"] <= 1
    code, out, _ = run(capsys, "predict", tmp_path / "out", tmp_path / "photos" / "light")
    assert code == 0
    assert len(out.splitlines()) == 20
    code, out, err = run(capsys, "predict", tmp_path / "out", tmp_path / "photos" / "dark", "--json")
    assert code == 1
    assert "broken.png is left out" in err
    assert set(json.loads(out.splitlines()[0])) == {"path", "class", "probability"}


def test_training_twice_trains_once(trained, capsys):
    folder, first = trained
    code, out, _ = run(capsys, "train", folder, *EPOCH)
    assert code == 0
    assert "full training:" not in out
    assert as_json(capsys, "train", folder, *EPOCH) == first
    assert len(list(folder.glob("train-*"))) == 1


def test_any_trial_at_any_scale(searched, capsys):
    small = as_json(capsys, "train", searched, "--trial", "2", "--epochs", "1", "--no-reference")
    large = as_json(
        capsys, "train", searched, "--trial", "2", "--epochs", "1", "--no-reference", "--space.channels", "8"
    )
    assert large["params"] > 3 * small["params"]
    assert large["networks"][0]["label"] == "trial 2"
    assert "has no finished trial 9; it has finished trials 1 to 3" in refused(
        capsys, "train", searched, "--trial", "9"
    )


def test_the_best_are_retrained_and_ranked_again(searched, capsys):
    found = as_json(capsys, "train", searched, "--top", "2", "--epochs", "1", "--no-reference")
    assert [row["label"] for row in found["networks"]] == ["best of 2 retrained"]
    report = (searched / "report" / "report.html").read_text()
    assert "number 2 of the search" in report


def test_a_published_network_trained_by_a_recipe(tmp_path, capsys):
    data = cifar(tmp_path / "data", 60, 20)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f"""
        threads_per_trial = 1
        space = {{ref = "hierarchical", channels = 2}}
        task = {{ref = "cifar10", path = "{data}", valid = 20, crop = 16, cache = "{tmp_path / "cache"}"}}
        executor = "inline"
        evaluator = {{ref = "training", steps = 2, batch = 8}}
        final = {{repeats = 2}}
        """
    )
    out = tmp_path / "run"
    found = as_json(capsys, "train", "zoo:hierarchical", recipe, "--out", out, "--no-reference")
    assert found["networks"][0]["label"] == "zoo:hierarchical"
    assert found["n"] == 2
    assert (out / "report" / "report.html").exists()


def test_a_published_network_is_gone_on_with(tmp_path, capsys, monkeypatch):
    """Its settings, lists in lists among them, are known again in the run file of the folder."""
    monkeypatch.setattr(Run, "report", lambda self: self.folder)  # drawing its cells takes longer than training them
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(
        """
        space = {ref = "nasnet", channels = 4, repeats = 1}
        task = {ref = "digits", train_limit = 100}
        executor = "inline"
        [evaluator]
        ref = "training"
        steps = 2
        """
    )
    words = ["train", "zoo:amoebanet-a", recipe, "--out", tmp_path / "run", "--no-reference"]
    first, again = as_json(capsys, *words), as_json(capsys, *words)
    assert first["n"] == 1
    assert first == again


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["train", "FOLDER", "--trial", "1", "--top", "2"], "of --trial, --top, --sample, --front and zoo:NAME more"),
        (["train", "FOLDER", "--top", "0"], "--top is 0; it must be at least 1"),
        (["train", "FOLDER", "--epochs", "0"], "--epochs is 0; it must be at least 1"),
        (["train", "FOLDER", "--task", "digits"], "--task goes with zoo:NAME"),
        (["train", "FOLDER", "--evaluator.bogus", "1"], "has no option 'bogus'"),
        (["train", "FOLDER", "--strategy.initial", "1"], "unknown option --strategy.initial"),
        (["train", "nowhere"], "nowhere holds no run; give the folder that a search wrote to, or zoo:NAME"),
        (["train", "zoo:nothing"], "there is no zoo 'nothing'"),
        (["export", "FOLDER", "--out", "out"], "holds no trained network; train one with `netwright train"),
        (["export", "nowhere", "--out", "out"], "there is no folder nowhere"),
        (["export", "FOLDER/train-123", "--out", "out"], "there is no folder"),
        (["predict", "FOLDER", "image.png"], "architecture.json"),
    ],
)
def test_what_cannot_be_done_is_said(searched, capsys, words, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(searched.rglob("*"))
    assert sentence in refused(capsys, *[word.replace("FOLDER", str(searched)) for word in words])
    assert sorted(path for path in searched.rglob("*") if path.name != "controller.lock") == [
        path for path in before if path.name != "controller.lock"
    ]


def test_an_interrupted_training_goes_on(searched, capsys):
    """SIGKILL in the middle; the same command finishes, with the result of the undisturbed one."""
    words = ["train", str(searched), "--epochs", "10", "--no-reference", "--evaluator.checkpoint_minutes", "1e-6"]
    code = f"from netwright.cli.main import main\nmain({words!r})"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        checkpoint = None
        while checkpoint is None and process.poll() is None:
            checkpoint = next(searched.glob("train-*/trials/*/checkpoint.safetensors"), None)
            time.sleep(0.002)
    finally:
        process.kill()
        process.communicate()
    resumed = as_json(capsys, *words)
    [folder] = searched.glob("train-*")
    weights = (folder / "trials" / "000001" / "weights.safetensors").read_bytes()
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    folder.rmdir()
    whole = as_json(capsys, *words)
    assert whole["networks"] == resumed["networks"]
    assert weights == (folder / "trials" / "000001" / "weights.safetensors").read_bytes()


def test_an_export_needs_no_netwright(once, searched, tmp_path, capsys):
    out = once[2]
    image = tmp_path / "photos" / "light" / "000.png"
    code = f"import sys; sys.modules['netwright'] = None; sys.argv = ['predict.py', {str(image)!r}]\nimport runpy\n"
    code += f"sys.path.insert(0, {str(out)!r}); runpy.run_path('predict.py', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=out, capture_output=True, text=True)
    path, name, share = done.stdout.split("\t")
    ours = json.loads(run(capsys, "predict", out, image, "--json")[1])
    assert (path, name) == (str(image), ours["class"])
    assert float(share) == pytest.approx(ours["probability"], abs=1e-3)
    assert Path(out / "model.py").exists()


def test_images_named_twice_are_classified_twice(once, searched, tmp_path, capsys):
    one, two = (tmp_path / "photos" / name / "000.png" for name in ("dark", "light"))
    code, out, _ = run(capsys, "predict", once[2], one, two, one)
    lines = out.splitlines()
    assert code == 0
    assert len(lines) == 3
    assert lines[0] == lines[2] != lines[1]


def test_other_workers_go_on_with_the_same_trainings(trained, capsys):
    folder, first = trained
    more = as_json(capsys, "train", folder, *EPOCH, "--evaluator.checkpoint_minutes", "9")
    assert more == first
    assert len(list(folder.glob("train-*"))) == 1


def test_images_that_changed_are_noticed(believed, tmp_path, capsys):
    data = photos(tmp_path / "photos")
    recipe = tmp_path / "small.toml"
    recipe.write_text(SMALL)
    task = ["--task", f"image_folder(path='{data}',size=8,cache='{tmp_path / 'cache'}')"]
    words = ["search", recipe, *task, "--out", tmp_path / "run", "--trials"]
    assert run(capsys, *words, "1")[0] == 0
    assert run(capsys, "train", tmp_path / "run", "--epochs", "1", "--no-reference")[0] == 0
    moved = data.rename(tmp_path / "moved")
    export = ["export", tmp_path / "run", "--out", tmp_path / "out"]
    assert "does not exist" in refused(capsys, *export)
    assert run(capsys, *export, "--task.path", moved)[0] == 0
    moved.rename(data)
    (data / "dark" / "001.png").unlink()
    sentence = "have changed since this run began"
    store = run_folder.open_table(tmp_path / "run", "read")
    command = store.recall("command")
    assert sentence in refused(capsys, *words, "2")
    assert store.recall("command") == command, "a command that was refused is not the run's"
    store.close()
    assert sentence in refused(capsys, *export)
    assert sentence in refused(capsys, "train", tmp_path / "run", "--epochs", "2"), (
        "its tests may be what was searched by"
    )


def test_a_run_of_any_name_is_exported(trained, believed, tmp_path, capsys):
    named = trained[0].rename(tmp_path / "train-dogs")
    assert run(capsys, "export", named, "--out", tmp_path / "out")[0] == 0
    [training] = named.glob("train-*")
    assert run(capsys, "export", training, "--out", tmp_path / "again")[0] == 0


def test_a_training_that_failed_says_why_and_what_to_do(searched, capsys):
    words = ["train", searched, "--epochs", "1", "--no-reference", "--evaluator.lr", "1e30"]
    code, out, _ = run(capsys, *words)
    assert code == 1
    assert "1 of 1 trainings failed: the loss is" in out
    assert "to train again" in out
    assert run(capsys, "report", searched)[0] == 0


def test_several_networks_of_one_generator_are_trained(capsys, tmp_path):
    small = ["--evaluator.steps", "1", "--executor", "inline", "--task", "digits(train_limit=100)"]
    space = ["--space", "hnag(limit=9000,n_top=(5,5),k_top=(2,2),n_mid=(1,1),n_bottom=(3,3))", "--strategy", "random"]
    assert run(capsys, "search", *space, *small, "--trials", "1", "--out", tmp_path / "run")[0] == 0
    train = ["train", tmp_path / "run", "--evaluator.steps", "1", "--no-reference"]
    found = as_json(capsys, *train, "--networks", "3")
    assert found["n"] == 3 and found["test_accuracy_sd"] > 0
    drawn = list((tmp_path / "run").glob("train-*/trials/*/weights.safetensors"))
    shapes = [{name: w.shape for name, w in safetensors.torch.load_file(path).items()} for path in drawn]
    assert len({str(sorted(found.items())) for found in shapes}) == 3, "three wirings"
    assert "without --repeats" in refused(capsys, *train, "--networks", "3", "--repeats", "2")
    assert "--networks is 0; it must be at least 1" in refused(capsys, *train, "--networks", "0")


@VERIFIED
def test_a_generator_whose_network_of_seed_0_does_not_fit_is_trained_as_it_was_searched(capsys, tmp_path):
    small = ["--evaluator.steps", "1", "--executor", "inline", "--task", "digits(train_limit=60)"]
    space = ["--space", "hnag(limit=700)", "--strategy", "random", "--trials", "1", "--out", tmp_path / "run"]
    assert run(capsys, "search", *space, *small)[0] == 0
    generator = Run(tmp_path / "run").best.proposal.genotype
    with pytest.raises(InvalidGenotype, match=r"parameters with one channel and space.limit is 700"):
        HnagSpace(limit=700).check(generator)
    train = ["train", tmp_path / "run", "--trial", "1", "--networks", "2", "--evaluator.steps", "1"]
    assert as_json(capsys, *train)["n"] == 2
    listed = ["--strategy", f"listed(genotypes={json.dumps([generator])})", "--trials", "1"]
    assert run(capsys, "search", *space[:2], *listed, *small, "--out", tmp_path / "listed")[0] == 0


def test_a_strict_limit_that_some_generators_fit_is_searched(capsys, tmp_path):
    space = HnagSpace(limit=24_000, rule="strict")
    refused = [genotype for genotype in beforehand.samples(space, 0) if not _fits(space, genotype)]
    assert 0 < len(refused) < len(beforehand.samples(space, 0))
    small = ["--evaluator.steps", "1", "--executor", "inline", "--task", "digits(train_limit=60)"]
    words = ["search", "--space", "hnag(limit=24000,rule=strict)", "--strategy", "random", *small, "--trials", "1"]
    code, out, err = run(capsys, *words, "--out", tmp_path / "run")
    assert code == 0, err
    assert "memory: up to about" in out
    assert Run(tmp_path / "run").best.result.metrics["params"] <= 24_000


def _fits(space, genotype):
    try:
        space.count(genotype, IO(1, 8, 8, 10))
    except InvalidGenotype:
        return False
    return True


def test_a_network_that_is_no_generator_is_not_drawn_several_times(searched, capsys):
    assert "goes with a space of generators" in refused(capsys, "train", searched, "--networks", "2")


@pytest.mark.parametrize("value", ["0", "abc", "2.5"])
def test_repeats_that_are_none_are_refused(searched, capsys, value):
    assert "it must be a whole number of at least 1" in refused(capsys, "train", searched, "--evaluator.repeats", value)
