"""`netwright list`: kinds, plug-ins, options."""

from tests.cli.test_bad_input import run
from tests.cli.test_commands import as_json


def test_the_plug_ins_of_a_kind(capsys):
    names = {row["name"]: row["summary"] for row in as_json(capsys, "list", "strategies")}
    assert {"random", "tournament", "listed"} <= set(names)
    assert all(names.values())
    code, out, _ = run(capsys, "list", "spaces")
    assert code == 0
    assert "flat" in out
    assert run(capsys, "list", "space")[1] == out


def test_all_kinds(capsys):
    found = as_json(capsys, "list")
    assert "hierarchical" in found["spaces"] and "naonet-a" in found["zoo"]
    code, out, _ = run(capsys, "list")
    assert code == 0
    assert out.startswith("spaces      flat, hierarchical")
    assert "netwright list spaces hierarchical" in out


def test_the_options_of_one(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    code, out, _ = run(capsys, "list", "spaces", "hierarchical")
    assert code == 0
    option = (
        "--space.channels  whole number; default none\n    Width of the first cell; None: the skeleton's default.\n"
    )
    assert option in out
    assert "'hierarchical(motifs=VALUE)'" in out
    words = [option["name"] for option in as_json(capsys, "list", "spaces", "hierarchical")["options"]]
    assert words[:2] == ["motifs", "nodes"] and words[-1] == "with"
    own = run(capsys, "list", "spaces", "tests.core.test_refs:make")[1]
    assert "--space.length  whole number; default 3" in own


def test_the_options_of_what_no_command_has_dotted_options_for(capsys):
    out = run(capsys, "list", "stores", "sqlite")[1]
    assert "--store" not in out


def test_a_published_network_has_one_spelling(capsys):
    facts = as_json(capsys, "list", "zoo", "naonet_a")
    assert (facts["name"], facts["space"]) == ("naonet-a", "nao")
    out = run(capsys, "list", "zoo", "naonet-a")[1]
    assert "`netwright show zoo:naonet-a`" in out
    assert "_" not in "".join(row["name"] for row in as_json(capsys, "list", "zoo"))
