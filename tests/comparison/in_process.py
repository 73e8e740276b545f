"""Cells of comparisons played in this process by the real players: processes of their own take seconds to start."""

import json
from unittest.mock import patch

from netwright.comparison import courses, pool
from netwright.comparison.contests import player as of_contests
from netwright.comparison.pool import Played
from netwright.comparison.tables import player as of_tables

PLAYERS = {of_contests.PROGRAM: of_contests.ContestPlayer, of_tables.PROGRAM: of_tables.TablePlayer}


def playing():
    """Within it, `pool.play` is `play`."""
    return patch.object(pool, "play", play)


def play(order, cells, workers, logs, program):
    """As `pool.play`, cell by cell; orders are what they are when they have come as JSON."""
    player = PLAYERS[program](json.loads(json.dumps(dict(order))))
    for cell in cells:
        [line] = player.lines({"strategy": cell.strategy, "problem": cell.problem, "seeds": [cell.seed]})
        fault = json.loads(line).get("fault")
        yield Played(cell, None, fault) if fault else Played(*courses.from_line(line))
