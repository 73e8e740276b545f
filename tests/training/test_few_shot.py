"""Several supernets: who belongs to which, and that each goes on from the one that all have trained."""

from dataclasses import replace

import pytest
import safetensors.torch
import torch

from netwright.core import genes
from netwright.core.errors import BadReference, NetwrightError
from netwright.core.round_plan import Rounds
from netwright.spaces.nao import NaoSpace
from netwright.spaces.nats import NatsTopology
from netwright.tasks.digits import digits
from netwright.training import few_shot
from netwright.training.shared_programs import UNNAMED
from netwright.training.shared_scores import SharedScores
from netwright.training.shared_training import RoundsTraining, name_of

SPACE, TASK, CPU = NatsTopology(channels=4, repeats=1), digits(train_limit=100), torch.device("cpu")
PROGRAM = replace(
    UNNAMED, steps=replace(UNNAMED.steps, batch=20), rounds=Rounds(2, pool=2, new=1), length=3, valid_batch=100
)
SECOND = (4, 2, 3, 1, 3, 2), (3, 3, 3, 2, 1, 4)  # networks of the second of two supernets


class Undisturbed:
    """A context that lets everything go on."""

    def should_stop(self):
        return False

    def report(self, step, metrics):
        return True


def test_networks_are_told_apart_by_a_gene():
    halves = few_shot.of(SPACE, 2)
    assert [halves.number((value, 0, 0, 0, 0, 0)) for value in range(5)] == [0, 0, 0, 1, 1]
    fifths = few_shot.of(SPACE, 5, 3)
    assert [fifths.number((0, 0, 0, value, 0, 0)) for value in range(5)] == [0, 1, 2, 3, 4]
    space = NaoSpace(operations="small")
    found = few_shot.of(space, 5)
    assert genes.size(space.genes[found.position]) >= 5 > max(map(genes.size, space.genes[: found.position]))


def test_what_tells_no_networks_apart_is_refused():
    with pytest.raises(
        BadReference, match=r"evaluator\.supernets is 6, but no gene of the space has more than 5 values"
    ):
        few_shot.of(SPACE, 6)
    with pytest.raises(BadReference, match=r"evaluator\.split_gene is 6, but the genes .* counted from 0 to 5"):
        few_shot.of(SPACE, 2, 6)
    with pytest.raises(BadReference, match=r"evaluator\.split_gene is 0, the gene .*, whose 2 values cannot tell"):
        few_shot.of(NaoSpace(), 5, 0)


def _trained(folder, rounds=2, **changed):
    """The weights of the rounds, each trained by a process of its own."""
    folder.mkdir(exist_ok=True)
    training = RoundsTraining(SPACE, TASK, replace(PROGRAM, **changed), 7, CPU)
    for number in range(1, rounds + 1):
        training.train(number, SECOND, folder, Undisturbed())
    return [safetensors.torch.load_file(folder / name_of(number)) for number in range(1, rounds + 1)], training


@pytest.mark.parametrize(("share", "joint"), [(0.5, 3), (0.34, 2), (0.0, 0)])
def test_a_supernet_goes_on_from_what_all_have_trained_with_its_momenta(tmp_path, share, joint):
    """Of two supernets one alone is trained here, so that it becomes what a single one does, bit for bit."""
    (first, second), _ = _trained(tmp_path / "one")
    (one, two), training = _trained(tmp_path / "several", supernets=2, joint_share=share)
    assert training.joint_steps == joint and len(one) == 2 * len(first)
    is_joint = joint == 3
    for name in first:
        assert torch.equal(one[name if is_joint else f"supernet2.{name}"], first[name])
        assert torch.equal(two[f"supernet2.{name}"], second[name])
        assert torch.equal(two[name], one[name]), "which no network has used since"
    assert any(not torch.equal(two[name], second[name]) for name in first)


def test_scores_are_by_the_supernet_that_a_network_has_at_the_end_of_the_round(tmp_path):
    _, one = _trained(tmp_path / "one")
    _, several = _trained(tmp_path / "several", supernets=2)
    found = []
    for training, folder in ((one, tmp_path / "one"), (several, tmp_path / "several")):
        scores = SharedScores(training, folder)
        for number in (1, 2):
            scores.take(number)
            found.append(
                [scores.of(genotype, 0, 0, Undisturbed())["loss"] for genotype in (*SECOND, (0, 1, 1, 1, 1, 1))]
            )
    assert found[2] == found[0], "of round 1, which ends with the steps for all"
    assert found[3][:2] == found[1][:2] and found[3][2] == found[2][2] != found[1][2]
    with pytest.raises(NetwrightError, match=r"has shared weights of .*, not of .*FewShot"):
        SharedScores(several, tmp_path / "one").take(1)
