"""A small language model with drawn weights, exported: its text is continued with and without netwright alike."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

import netwright
from netwright.cli.main import main
from netwright.core import refs, seeds
from netwright.core.errors import ExportError
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.export import programs
from netwright.export.media.continue_text import continue_text
from netwright.export.media.text import Text
from netwright.export.medium import Checked, Facts
from netwright.export.write import TrainedModel, _trained_on, write
from netwright.plans import network
from netwright.training import loop

WORDS = "the cat sat . the dog ran on , and on ( so on ) . a cat is no dog , is it ?\n\n"
PROMPT = "The cat, and"


@dataclass(frozen=True)
class Language:
    folder: Path
    model: TrainedModel
    said: list[str]


def trained(folder):
    (folder / "my.txt").write_text(WORDS * 40)
    run = RunFile(
        space=Reference("rnn", {"width": 8, "nodes": 3}),
        task=Reference("text", {"path": str(folder / "my.txt"), "steps": 9, "valid_rows": 2}),
        evaluator=Reference("training", {"epochs": 1, "split": "test"}),
    )
    space, task = refs.load("space", run.space), refs.load("task", run.task)
    genotype = space.sample(seeds.rng_for(3, seeds.ASK))
    net = network.build(space.plan(genotype, task.io), seeds.rng_for(4, seeds.BUILD))
    for weight in net.parameters():  # so that the state makes a difference
        weight.data *= 20
    metrics = {f"test_{name}": value for name, value in loop.measure(net, task, "test").items()}
    weights = folder / "weights.safetensors"
    safetensors.torch.save_file(net.state_dict(), weights)
    return TrainedModel("best of the search, trial 2", run, genotype, weights, metrics, 7, "netwright train run")


@pytest.fixture(scope="module")
def language(tmp_path_factory):
    base = tmp_path_factory.mktemp("language")
    model, said = trained(base), []
    return Language(write(base / "out", model, say=said.append), model, said)


@pytest.fixture
def copied(language, tmp_path):
    return Path(shutil.copytree(language.folder, tmp_path / "copy"))


def alone(folder, program):
    """What a program says in the folder, by a Python that cannot import netwright."""
    beginning = "import sys; sys.modules['netwright'] = None; sys.path.insert(0, '.')\n"
    command = [sys.executable, "-I", "-B", "-c", beginning + program]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_the_export_is_checked_and_says_what_it_is(language):
    perplexity = language.model.metrics["test_perplexity"]
    assert f"at a perplexity of {perplexity:.6g}" in language.said[-2]
    card = (language.folder / "README.md").read_text()
    assert f"**Perplexity {perplexity:.2f}**" in card
    assert "Others are refused." in card, "its vocabulary has nothing in place of other words"
    assert "(training and validation), tested on" in card
    assert "It knows 18 words; words and marks are tokens, and `<eos>` ends a paragraph, in small letters." in card
    assert json.loads((language.folder / "metrics.json").read_text())["test_tokens"] > 80
    assert json.loads((language.folder / "vocabulary.json").read_text())["reading"] == "marks"


@pytest.mark.parametrize("option", [{"keep_best": True}, {"reloads": 2}, {"non_monotone": 5}, {}])
def test_the_card_says_which_part_was_trained_on(language, option):
    trained_on = _trained_on({"ref": "training", "epochs": 1, **option})
    assert trained_on == ("train" if option else "train+valid")
    task = refs.load("task", language.model.run.task)
    facts = Facts("", {}, "", (), "", (), {}, trained_on, {}, Checked(1, 1.0, 0), "", 0, "", onnx=False)
    whose = "training; the validation part decided which weights are kept or averaged"
    whose = whose if option else "training and validation"
    trained, tested = (f"{task.tokens(split):,} words" for split in (trained_on, "test"))
    assert Text(task).data(facts) == f"Trained on {trained} ({whose}), tested on {tested}."


def test_it_writes_the_same_without_netwright(language):
    written = continue_text(language.folder, PROMPT, tokens=30, temperature=0.8, seed=3)
    assert written.startswith("the cat, and ") and len(written.split()) > 15
    program = f"from model import generate; print(generate({PROMPT!r}, 30, temperature=0.8, seed=3), end='')"
    assert alone(language.folder, program) == written


def test_seed_temperature_and_what_was_read_before_make_a_difference(language):
    def text(prompt=PROMPT, **options):
        return continue_text(language.folder, prompt, tokens=40, **options)

    assert text(seed=1) == text(seed=1) != text(seed=2)
    assert text(temperature=0) == text(temperature=0, seed=5)
    assert text("the cat sat.", temperature=0)[-60:] != text("a dog is.", temperature=0)[-60:], "a state is carried"
    assert "<unk>" not in text("")


def test_a_long_prompt_is_read_in_pieces_as_a_whole(language):
    prompt = "the dog ran on, and on " * 60
    net = netwright.load(language.folder)
    vocabulary = json.loads((language.folder / "vocabulary.json").read_text())["tokens"]
    tokens = [vocabulary.index(word) for word in prompt.replace(",", " ,").split()]
    with torch.inference_mode():
        likeliest = int(net(torch.tensor([tokens]))[0, -1].argmax())
    written = continue_text(language.folder, prompt, tokens=1, temperature=0)
    assert written.removeprefix(prompt.strip()).strip() == vocabulary[likeliest].replace("<eos>", "")


def test_the_program_takes_one_token_of_each_row_and_the_states(language):
    program = torch.export.load(language.folder / programs.FILE).module()
    net = netwright.load(language.folder)
    tokens = torch.tensor([[1, 2, 3, 4], [4, 3, 2, 1], [0, 0, 0, 5]])
    states, found = [torch.zeros(3, 8)], []
    for step in tokens.split(1, 1):
        logits, states = program(step, states)
        found.append(logits)
    torch.testing.assert_close(torch.cat(found, 1), net(tokens))


def test_the_source_is_clean(language):
    ruff, rules = [sys.executable, "-m", "ruff"], ["--isolated", "--no-cache", "--line-length", "120"]
    for words in (["check"], ["format", "--check"]):
        subprocess.run([*ruff, *words, *rules, language.folder / "model.py"], check=True)


def test_what_are_no_tokens_is_refused(language):
    checked = programs.run_source((language.folder / "model.py").read_text(), "model").checked
    good = torch.tensor([[0, 17, 4]])
    assert checked(good) is good and len(checked(good[:, :1])) == 1
    for wrong in (good.int(), good[0], good.float(), good[:, :0], [[1]]):
        with pytest.raises(ValueError, match=r"^tokens are a tensor of int64 from 0 to 17 of shape \(B, T\), not"):
            checked(wrong)
    with pytest.raises(ValueError, match="but some lie outside 0 to 17"):
        checked(good + 1)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"tokens": 0}, "^tokens is 0; it must be from 1 to 100,000$"),
        ({"temperature": -1}, "^temperature is -1; it must be at least 0$"),
        ({"temperature": float("nan")}, "^temperature is nan; it must be at least 0$"),
        ({"seed": -1}, "^seed is -1; it must be from 0 to"),
        ({"prompt": "the zebra"}, "^the word 'zebra' is not in the vocabulary; give a text without it$"),
    ],
)
def test_what_cannot_be_continued_is_refused(language, options, sentence):
    with pytest.raises(ExportError, match=sentence):
        continue_text(language.folder, **{"prompt": PROMPT, **options})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda facts: facts | {"tokens": facts["tokens"][:-1]}, "does not belong to the network beside it"),
        (lambda facts: facts | {"tokens": [*facts["tokens"][:-1], "the"]}, "does not belong to the network beside it"),
        (lambda facts: facts | {"reading": "backwards"}, "is damaged; export the network again"),
        (lambda facts: facts | {"tokens": [*facts["tokens"][:-1], "\ud800"]}, "is damaged; export the network again"),
        (lambda facts: {}, "is damaged; export the network again"),
        (lambda facts: [], "is damaged: it is no JSON of a network"),
    ],
)
def test_a_vocabulary_of_another_network_is_refused(copied, change, sentence):
    path = copied / "vocabulary.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(ExportError, match=sentence):
        continue_text(copied, PROMPT)


@pytest.mark.parametrize("has_vocabulary", [True, False])
def test_another_text_is_refused_when_it_is_exported(language, tmp_path, has_vocabulary):
    """By the vocabulary that the training left, else by the size of the weights."""
    weights = Path(shutil.copy(language.model.weights, tmp_path))
    if has_vocabulary:
        shutil.copy(language.folder / "vocabulary.json", tmp_path)
    (tmp_path / "my.txt").write_text(WORDS * 40 + "a zebra , a zebra , a zebra ." * 50)
    run = replace(language.model.run, task=Reference("text", {"path": str(tmp_path / "my.txt"), "steps": 9}))
    says = (
        "the text has changed since .* vocabulary is not that of" if has_vocabulary else "do not fit the architecture"
    )
    with pytest.raises(ExportError, match=says):
        write(tmp_path / "out", replace(language.model, run=run, weights=weights), say=lambda text: None)
    assert not (tmp_path / "out").exists()


def test_no_onnx_file_is_written(language, tmp_path):
    pytest.importorskip("onnx")
    with pytest.raises(ExportError, match=r"no ONNX file is written of a network that carries a state .* leave --onnx"):
        write(tmp_path / "out", language.model, onnx=True, say=lambda text: None)


def predicted(capsys, *words):
    with pytest.raises(SystemExit) as left:
        main(["predict", *map(str, words)])
    out, err = capsys.readouterr()
    return left.value.code or 0, out, err


def test_the_command_continues_a_prompt(language, capsys):
    code, out, err = predicted(capsys, language.folder, "--prompt", PROMPT, "--tokens", 20, "--seed", 2)
    assert (code, err) == (0, "")
    assert out == continue_text(language.folder, PROMPT, tokens=20, seed=2) + "\n"
    code, out, _ = predicted(capsys, language.folder, "--prompt", PROMPT, "--temperature", 0, "--json")
    assert json.loads(out) == {"prompt": PROMPT, "text": continue_text(language.folder, PROMPT, temperature=0)}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], 'holds a language model; give --prompt TEXT, or --prompt "" to begin anew'),
        (["a.png"], "holds a language model, which takes no images; give --prompt TEXT alone"),
        (["--prompt", "the", "--tokens", "0"], "tokens is 0; it must be from 1 to 100,000"),
    ],
)
def test_options_of_images_are_refused(language, capsys, words, sentence):
    code, _, err = predicted(capsys, language.folder, *words)
    assert code == 2 and err.startswith("netwright: ") and sentence in err and err.count("\n") == 1
