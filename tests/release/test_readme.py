import os
import re
import sys

import pytest

from release import readme
from release.environments import Failed

TEXT = """# A thing

```sh
cd inner          # the others run there
export GREETING=hello
echo "$GREETING" \\
    from "$PWD"
```

One of `netwright --version`, `netwright search DATA --hours H`, `netwright search | train`, or `netwright
show zoo:flat --json`.

```python
import sys
sys.exit(3)
```

```text
rm -rf everything
```

```sh
sleep 60
netwright show zoo:flat --json
cat my.csv
cat nats_tss.csv
```
"""


def test_commands_are_in_order_and_placeholders_are_none():
    assert [command.shown for command in readme.commands(TEXT)] == [
        "cd inner",
        "export GREETING=hello",
        'echo "$GREETING" from "$PWD"',
        "netwright show zoo:flat --json",
        "Python, 2 lines: sys.exit(3)",
        "sleep 60",
        "cat my.csv",
        "cat nats_tss.csv",
    ]


def test_commands_are_played_as_in_one_shell(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("NETWRIGHT_DATA", str(tmp_path))
    listed = readme.commands(TEXT.replace("cd inner ", "cd . && mkdir inner && cd inner "))
    found = list(readme.play(listed, (3, 5, 6, 7, 8), tmp_path, None, 3.0))
    assert [each.status for each in found] == [0, 0, 0, None, 3, 124, 0, None]
    logs = {path.stem: path.read_text() for path in (tmp_path / "logs").glob("*.txt")}
    assert logs["03"] == f"hello from {tmp_path / 'work' / 'inner'}\n"
    assert logs["07"].startswith("depth,width,activation,val,test\n1,8,0,")
    assert found[3].remark == "not chosen" and "needs nats-tss/nats_tss.csv" in found[7].remark


def test_photos_are_stood_in_for_once(tmp_path, monkeypatch):
    monkeypatch.setattr(readme, "CLASSES", 2)
    monkeypatch.setattr(readme, "IMAGES", 3)
    for _ in range(2):
        readme.stand_ins("netwright search photos/ --hours 1", tmp_path, None)
    assert len(list(tmp_path.glob("photos/digit ?/*.jpg"))) == 6
    assert len(list(tmp_path.glob("new/*.jpg"))) == 2
    with pytest.raises(Failed, match="NETWRIGHT_DATA"):
        readme.stand_ins("netwright bench --table.path nats_tss.csv", tmp_path, tmp_path)


def test_a_line_of_the_table_has_time_and_status():
    failed = readme.Played(readme.Command("a | b  # why"), 1.25, 2, "no such file")
    assert readme.row(4, failed) == "| 4 | a \\| b | 1.2 | 2 | no such file |"


def test_the_readme_of_this_project_can_be_played():
    listed = readme.commands((readme.ROOT / "README.md").read_text())
    assert readme.THEIRS in listed[0].words, "the clone comes first"
    assert any(command.is_python for command in listed)
    assert any(command.words.startswith("netwright predict") for command in listed)


@pytest.mark.parametrize(
    ("words", "sentence"), [(("--only", "99"), "commands 1 to"), (("--environment", "x"), "no bin/python")]
)
def test_what_cannot_be_played_is_said_before_anything_is(words, sentence, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["release.readme", *words])
    with pytest.raises(SystemExit) as left:
        readme.main()
    assert left.value.code == 2 and sentence in capsys.readouterr().err


def test_a_readers_own_data_is_stood_in_for_wherever_the_readme_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr(readme, "CLASSES", 2)
    monkeypatch.setattr(readme, "IMAGES", 2)
    for command in readme.commands((readme.ROOT / "README.md").read_text(encoding="utf-8")):
        if "nats_tss.csv" not in command.words:
            readme.stand_ins(command.words, tmp_path, None)
        for name in re.findall(r"(?<![\w/])(?:my\.\w+|photos)\b", command.words):
            assert (tmp_path / name).exists(), command.words
