from collections import Counter
from dataclasses import replace

from netwright.zoo.hierarchical import CELL, MOTIFS, plugin


def test_the_drawn_cell_has_six_motifs_of_four_nodes_and_five_nodes():
    assert [len(motif) for motif in MOTIFS] == [6] * 6
    assert len(CELL) == 10
    assert plugin.genotype[:6] == MOTIFS[0]
    assert plugin.genotype[-10:] == CELL
    assert all(plugin.genotype), "no edge is none: four without a label are read as identity"


def test_the_printed_size_is_that_of_the_noted_setting():
    assert plugin.note == "published for 64 channels and 2 repeats"
    params = replace(plugin.space, channels=64, repeats=2).count(plugin.genotype, plugin.io).params
    assert f"{params / 1e6:.1f} M" == plugin.params


def test_the_drawing_shows_the_four_motifs_in_use():
    graph = plugin.space.graph(plugin.genotype)
    used = Counter(label for _, _, label in graph.edges)
    assert used == {"motif 3": 4, "motif 5": 4, "motif 1": 1, "motif 4": 1}
    assert [part.name for part in graph.parts] == ["motif 1", "motif 3", "motif 4", "motif 5"]
