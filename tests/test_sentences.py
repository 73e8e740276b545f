"""Bad input is named in one sentence; what can be used in spite of it is, and named too."""

import pytest

from tests import sentences


@pytest.mark.parametrize("case", sentences.CASES, ids=lambda case: case.name)
def test_bad_input(case, tmp_path):
    code, out, err = sentences.given(case, tmp_path)
    said = sentences.what_was_said(case, out, err)
    assert case.says in said, f"{out}\n{err}"
    assert "Traceback" not in err
    if case.is_refused:
        assert code == 2
        assert err.startswith("netwright: ")
        assert err.count("\n") == 1, f"not one sentence: {err}"
        assert not (tmp_path / "run").exists(), "nothing is left of a run that was refused"
    else:
        assert code == 0
        assert not err


@pytest.mark.parametrize(("kind", "how"), sentences.DISKS)
@pytest.mark.parametrize("use", ["run", "cache", "export"])
def test_disks_that_cannot_be_written(kind, how, use, tmp_path):
    answer = sentences.on_disk(tmp_path, how, use)
    if answer is None:
        pytest.skip("mounting is not allowed here")
    code, said = answer
    assert code == 2
    assert said.startswith("netwright: ")
    assert said.count("\n") == 1, f"not one sentence: {said}"
    assert str(tmp_path / "disk") in said


def test_a_disk_whose_inodes_are_used_up_is_no_full_one(tmp_path):
    answer = sentences.on_disk(tmp_path, sentences.INODES, "run")
    if answer is None:
        pytest.skip("mounting is not allowed here")
    code, said = answer
    assert (code, said.count("\n")) == (2, 1)
    assert "run cannot be written: the disk takes no more files: its inodes are used up, though 8.4 MB are free" in said
