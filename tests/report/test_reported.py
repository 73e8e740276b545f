from matplotlib.figure import Figure

from netwright.core.members import members
from netwright.report import page, reported
from netwright.report.markup import section
from netwright.report.reported import Part
from tests.report import test_page
from tests.report.test_page import read, rows


def test_another_part_of_the_page_is_one_file(tmp_path, monkeypatch):
    """Which is found, asked whether it has something to show, drawn, shown, and its figure removed when it has not."""
    found = members("netwright.report.parts", "part")
    assert {"budgets", "courses", "front", "importance", "model", "ranking", "spread"} <= {each.name for each in found}

    def figure(run):
        return Figure(figsize=(1, 1)) if len(run.history) > 2 else None

    another = Part(
        "weather", "Clouds", figure, lambda run, whose, drawn: section(f"Weather of {run.name}{whose}", drawn)
    )
    monkeypatch.setattr(reported, "members", lambda *_: [*found, another])
    run = test_page.reported(rows(3))
    text = " ".join(read(page.write(tmp_path, [run])).text)
    assert "Weather of a run" in text and "Clouds" in text
    assert text.index("Best architecture") < text.index("The search") < text.index("Weather") < text.index("Lineage")
    assert (tmp_path / "weather.svg").exists()
    assert "Weather" not in " ".join(read(page.write(tmp_path, [test_page.reported(rows(2))])).text)
    assert not (tmp_path / "weather.svg").exists()
