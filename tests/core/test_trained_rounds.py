from netwright.core.trained_rounds import ROUNDS, TrainedRound, note, noted, sentence

ONE, TWO = TrainedRound(1, 60, 90.0, 2.25, 8), TrainedRound(2, 120, 180.0, 2.0, 8)


def test_rounds_are_noted_in_order_and_replaced(tmp_path):
    assert noted(tmp_path / "none") == []
    for each in (ONE, TWO, TWO):
        note(tmp_path, each)
    assert noted(tmp_path) == [ONE, TWO]
    note(tmp_path, ONE)  # trained anew
    assert noted(tmp_path) == [ONE]


def test_what_was_changed_since_is_not_believed(tmp_path):
    note(tmp_path, ONE)
    path = tmp_path / ROUNDS
    for text in (path.read_text().replace("60", "61"), "[]", "", "1 [", path.read_text() + "x"):
        path.write_text(text)
        assert noted(tmp_path) == []


def test_the_sentence():
    assert sentence([]) == ""
    assert sentence([ONE]) == "shared weights were trained for 60 steps in 1 round, 1.5 minutes besides the trials"
    assert "120 steps in 2 rounds, 3.0 minutes" in sentence([ONE, TWO])
