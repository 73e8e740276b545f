"""`--space.help` and the like, `netwright help`, and defaults in `--help`."""

import pytest

from netwright.core import run_file
from tests.cli.test_bad_input import TOY, refused, run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["search", "--space", "hierarchical", "--space.help"], "--space.motifs  list of whole numbers"),
        (["search", "photos", "--space=nats-size", "--hours", "1", "--space.help"], "Options of the space nats_size"),
        (["search", "--space.help"], "macro is the default; --space NAME --space.help"),
        (["search", "--strategy.help"], "is the default, of a search with --hours mobster;"),
        (["search", "digits", "--task.help"], "Options of the task digits"),
        (["search", "--limits.help"], "--limits.failures_in_a_row  whole number; default 5"),
        (["search", "--final.help"], "stands over the evaluator's own options"),
        (["show", "flat(nodes=7)", "--space.help"], "Options of the space flat"),
        (["show", "zoo:naonet-a", "--space.help"], "Options of the space nao,"),
        (["train", "zoo:naonet-a", "--evaluator.help"], "--evaluator.batch  whole number; default 64"),
        (["bench", "--table", "nats_tss", "--table.help"], "--table.dataset  cifar10 | cifar100"),
        (["bench", "--table", "my.csv", "--table.help"], "--table.genes"),
    ],
)
def test_the_options_of_what_the_command_line_names(capsys, words, said):
    code, out, err = run(capsys, *words)
    assert code == 0, err
    assert said in out


def test_several_sections_beside_other_options(capsys):
    out = run(capsys, "search", "--space.help", "--space.channels", "4", "--executor.help")[1]
    assert out.index("Options of the space macro") < out.index("Options of the executor processes")


def test_the_options_of_what_a_run_or_a_recipe_names(capsys, tmp_path):
    (tmp_path / "recipe.toml").write_text('strategy = {ref = "aging"}\n')
    assert "--strategy.population" in run(capsys, "search", tmp_path / "recipe.toml", "--strategy.help")[1]
    words = ("zoo:naonet-a", tmp_path / "recipe.toml", "--evaluator.help")
    (tmp_path / "recipe.toml").write_text('evaluator = {ref = "lookup", table = "x"}\n')
    assert "Options of the evaluator lookup" in run(capsys, "train", *words)[1]
    assert run(capsys, "search", *TOY, "--out", tmp_path / "run")[0] == 0
    assert (
        "the evaluator netwright.testing.toys:ToyEvaluator"
        in run(capsys, "train", tmp_path / "run", "--evaluator.help")[1]
    )


def test_code_that_a_recipe_names_is_not_run_to_list_its_options(capsys, tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(run_file.to_toml(run_file.RunFile()).replace('ref = "macro"', 'ref = "tests.core.test_refs:make"'))
    assert "add --trust" in refused(capsys, "search", path, "--space.help")
    assert "--space.length" in run(capsys, "search", path, "--trust", "--space.help")[1]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["search", "--workshop.help"], "unknown option --workshop.help; there are --space.OPTION"),
        (["status", "--space.help"], "unknown option --space.help"),
        (["--space.help"], "--space.help goes behind one of the commands search, serve"),
        (["bench", "--table.help"], "--table.help needs a table"),
        (["search", "--space", "hierarchicle", "--space.help"], "did you mean 'hierarchical'?"),
    ],
)
def test_what_has_no_options_is_refused(capsys, words, sentence):
    assert sentence in refused(capsys, *words)


def test_help_is_a_command(capsys):
    for words, same in ((["help"], ["--help"]), (["help", "show"], ["show", "--help"])):
        code, out, _ = run(capsys, *words)
        assert code == 0
        assert out == run(capsys, *same)[1]
    assert "Usage: netwright show" in out


def test_the_help_of_search_says_what_holds_by_default(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    lines = run(capsys, "search", "--help")[1].splitlines()
    defaults = {
        "--space": "macro",
        "--strategy": "mobster; of a search alone auto",
        "--seed": "0",
        "--evaluator": "training",
    }
    for option, default in defaults.items():
        assert any(f" {option} " in line and f"[default: ({default})]" in line for line in lines), option
