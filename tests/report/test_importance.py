import numpy as np
import pytest

from netwright.core.genes import Choice, Integer, Real
from netwright.core.objectives import Objective, with_scores
from netwright.core.records import Proposal, Result, Trial
from netwright.report import importance, page
from netwright.report.history import History
from netwright.report.parts.importance import figure, part, section
from netwright.spaces.nasnet import NasnetSpace
from netwright.surrogates import variance_shares
from tests.report import test_page
from tests.report.test_page import read

ACCURACY = Objective("valid_accuracy")
GENES = (Choice("op", ("none", "conv", "pool")), Integer("depth", 1, 9), Real("rate", 0.0, 1.0))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    for name, value in {"RESAMPLES": 3, "TREES": 4, "POINTS": 300}.items():
        monkeypatch.setattr(variance_shares, name, value)


def measured(genotypes, score, budgets=None, failing=(), keys=None):
    """Trials of these genotypes; budgets, and keys where they are not those of the genotypes, one for each."""
    trials = []
    for n, genotype in enumerate(genotypes, 1):
        failed = n in failing
        result = Result(failure="diverged") if failed else Result({"valid_accuracy": score(genotype)})
        asked = Proposal(genotype, budget=budgets[n - 1] if budgets else None)
        key = keys[n - 1] if keys else str(genotype)
        trials.append(Trial(n, asked, key, n, "failed" if failed else "done", result, None, n))
    return with_scores(trials, ("valid_accuracy",))


def drawn(count, seed=0):
    rng = np.random.default_rng(seed)
    return [(int(rng.integers(3)), int(rng.integers(1, 10)), float(rng.random())) for _ in range(count)]


def of(trials, genes=GENES):
    return importance.of_history(History.of(trials), genes, ACCURACY, np.random.default_rng(0))


def depth(genotype):
    return genotype[1] / 10 + 0.02 * (genotype[0] == 1)


def test_the_gene_that_decides_comes_first_whatever_its_kind():
    assert of(measured(drawn(80), depth)).genes[0].name == "depth"
    assert of(measured(drawn(80), lambda g: float(g[0] == 1))).genes[0].name == "op"
    found = of(measured(drawn(80), lambda g: g[2]))
    assert found.genes[0].name == "rate" and found.genes[0].share > 0.9
    assert found.genes[0].low <= found.genes[0].share <= found.genes[0].high
    facts = found.facts()
    assert facts["genes"][0]["name"] == "rate" and facts["note"] == "" and facts["genotypes"] == 80


def test_only_the_judged_budget_counts_and_failures_are_left_out_and_counted():
    genotypes = drawn(100)
    budgets = [1] * 50 + [4] * 50
    trials = measured(genotypes, lambda g: g[2] if g in genotypes[50:] else g[1] / 10, budgets, failing=(3, 60, 61))
    found = of(trials)
    assert (found.trials, found.failed, found.budget) == (48, 2, 4) and found.genes[0].name == "rate"
    assert found.sentences()[0] == (
        "Learned from 48 trials of 48 different genotypes at budget 4; 2 failed trials left out."
    )


def test_repeated_trials_say_how_much_is_noise():
    rng = np.random.default_rng(0)
    genotypes = [genotype for genotype in drawn(40) for _ in range(3)]
    found = of(measured(genotypes, lambda g: g[2] + 0.3 * rng.normal()))
    assert found.genotypes == 40 and found.noise == pytest.approx(0.09 / (0.09 + 1 / 12), abs=0.15)
    assert of(measured(drawn(40), depth)).noise is None


def test_a_sentence_where_nothing_can_be_said():
    rng = np.random.default_rng(0)
    for trials, words in (
        ([], "too few"),
        (measured(drawn(19), depth), "too few to say which genes matter; it takes 20 different ones"),
        (measured(drawn(5) * 20, depth), "too few"),
        (measured(drawn(40), lambda g: 0.5), "the same valid accuracy"),
        (measured(drawn(40), lambda g: float(rng.normal())), "it takes more trials, or less noise"),
    ):
        found = of(trials)
        assert words in found.note and not found.genes and found.sentences()[-1] == found.note
        assert "figure" not in section(found, "", "") and words in section(found, "", "")


def test_genes_that_a_genotype_lacks_are_a_level_of_their_own():
    """Long ones are better, whatever stands there."""
    genotypes = [g if n % 2 else g[:2] for n, g in enumerate(drawn(80))]
    found = of(measured(genotypes, lambda g: float(len(g) == 3)))
    assert found.genes[0].name == "rate" and found.genes[0].share > 0.9


def test_many_genes_are_grouped_by_meaning_and_the_weak_are_one_bar():
    space, rng = NasnetSpace(), np.random.default_rng(0)
    place = [gene.name for gene in space.genes].index("normal 3a is")
    genotypes = [space.sample(rng) for _ in range(60)]
    found = of(measured(genotypes, lambda g: float(g[place] < 3)), space.genes)
    assert found.genes[0].name == "normal 3a is" and len(found.genes) == 40
    assert found.rest.name == "the other 25 genes"
    assert found.groups[0].name == "normal is" and found.groups[0].share >= found.genes[0].share - 1e-9
    assert {group.name for group in found.groups} == {"normal reads", "normal is", "reduction reads", "reduction is"}
    genes, groups = figure(found).axes
    words = [text.get_text() for text in genes.texts]
    assert words[0] == "normal 3a is" and "the other 25 genes" in words and "all that more genes do together" in words
    assert groups.texts[0].get_text() == "normal is"
    assert 10 / 72 * 335 / figure(found).get_size_inches()[0] > 10 / 96 * 7, "letters on a phone"


def test_names_are_cut_to_their_meaning():
    meanings = importance._meanings(["motif 1 1->2", "motif 2 1->2", "cell 1->2", "0->1", "n_1", "width / 4"])
    assert list(meanings) == ["motif", "cell", "others", "n", "width"]
    assert importance._meanings(["cell 1->2", "cell 1->3"]) == {}, "one group says nothing"


def test_the_page_shows_it_where_it_was_asked_for(tmp_path):
    trials = test_page.rows(3)
    run = test_page.reported(trials, importance=of(measured(drawn(60), depth)))
    text = " ".join(read(page.write(tmp_path, [run])).text)
    assert "Which genes matter" in text and (tmp_path / "importance.svg").exists()
    unasked = test_page.reported(trials)
    assert part.figure(unasked) is None and part.instead(unasked, "") == ""
    few = test_page.reported(trials, importance=of(measured(drawn(4), depth)))
    assert "too few to say which genes matter" in " ".join(read(page.write(tmp_path, [few])).text)
    assert not (tmp_path / "importance.svg").exists()
