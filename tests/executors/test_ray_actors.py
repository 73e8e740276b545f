"""Which actors there are to be, on a made-up cluster whose clock and answers the test has in its hands."""

from itertools import count

import pytest

from netwright.executors.ray_actors import ALONE_FOR, LONGEST_WAIT, TRIES, Actors, Event, Loss
from netwright.executors.ray_place import News


class MadeUp:
    """Actors by name, which answer as they are told to."""

    def __init__(self):
        self.there, self.killed, self.ended, self.asked = {}, [], [], []
        self.now, self.reply, self._questions = 0.0, {}, count()

    def names(self):
        return list(self.there)

    def find(self, name):
        return name if self.there.get(name) else None

    def make(self, name, index):
        self.there[name] = True
        return name

    def ask(self, handle, after):
        self.asked.append((handle, after))
        return next(self._questions), handle, False

    def end(self, handle, after):
        self.ended.append(handle)
        return next(self._questions), handle, True

    def kill(self, handle):
        self.killed.append(handle)
        self.there.pop(handle, None)

    def answers(self, questions, seconds):
        self.now += seconds
        return {each: self.reply[each[1]] for each in questions if self.reply.get(each[1]) is not None}


@pytest.fixture
def cluster():
    return MadeUp()


def crew(cluster, size=2, printed=lambda _seat, _text: None):
    actors = Actors(cluster, size, "run", "key", printed, clock=lambda: cluster.now)
    actors.adopt()
    return actors


def news(name, **values):
    return News("key", f"w{name.removeprefix('run-')}", "host", **values)


def steps(actors, seconds=2.0):
    return [event.say for event in actors.step(seconds)]


def answer_all(cluster, **values):
    cluster.reply = {name: news(name, **values) for name in cluster.there}


def test_as_many_actors_as_wanted_are_made_and_those_that_answer_are_there(cluster):
    actors = crew(cluster)
    assert steps(actors) == []
    first = sorted(cluster.there)
    assert [name[:6] for name in first] == ["run-0-", "run-1-"]
    cluster.reply[first[0]] = news(first[0])
    assert steps(actors) == ["here"]
    assert actors.present == 1
    assert steps(actors) == [], "it is said once"
    assert sorted(cluster.there) == first


def test_what_is_printed_is_passed_on_once(cluster):
    printed = []
    actors = crew(cluster, 1, lambda seat, text: printed.append((seat, text)))
    steps(actors)
    answer_all(cluster, printed=b"abc")
    steps(actors)
    answer_all(cluster, at=3)
    steps(actors)
    steps(actors)
    assert printed == [(0, b"abc")]
    assert [after for _, after in cluster.asked] == [0, 3, 3]


def test_a_lost_actor_is_replaced_by_one_of_another_name_at_once(cluster):
    actors = crew(cluster, 1)
    steps(actors)
    (name,) = cluster.there
    answer_all(cluster)
    steps(actors)
    cluster.reply[name] = Loss("its node has died")
    (event,) = actors.step(2.0)
    assert event == Event("lost", 0, f"w{name.removeprefix('run-')}", "its node has died")
    assert actors.present == 0
    steps(actors)
    (other,) = cluster.there
    assert other != name


def test_an_actor_that_is_out_of_reach_for_a_while_is_no_loss(cluster):
    actors = crew(cluster, 1)
    steps(actors)
    (name,) = cluster.there
    answer_all(cluster)
    steps(actors)
    cluster.reply[name] = Loss("unavailable", is_final=False)
    assert steps(actors) == []
    assert list(cluster.there) == [name]


def test_actors_that_cannot_be_made_are_given_up_but_nodes_may_go_as_often_as_they_like(cluster):
    actors = crew(cluster, 1)
    said = []
    for _ in range(200):
        cluster.reply = {name: Loss("its node has died") for name in cluster.there}
        said += steps(actors)
    assert set(said) == {"lost", "waiting"}
    waits = 200 * 2.0 / said.count("lost")
    assert waits > LONGEST_WAIT / 3, "tries become rare"
    said = []
    for _ in range(200):
        cluster.reply = {name: Loss("there is no netwright", is_own=True) for name in cluster.there}
        said += steps(actors)
        if "failed" in said:
            break
    assert said == ["lost"] * TRIES + ["failed"]


def test_leaving_does_not_wait_for_an_actor_of_an_earlier_search_that_never_answers(cluster):
    steps(crew(cluster, 1))
    actors = crew(cluster, 1)
    actors.leave()
    steps(actors)
    assert not actors.is_idle()
    for _ in range(20):
        steps(actors)
    assert actors.is_idle()


def test_a_worker_that_left_is_said_and_its_place_filled(cluster):
    actors = crew(cluster, 1)
    steps(actors)
    (name,) = cluster.there
    answer_all(cluster, code=3)
    assert steps(actors) == ["here", "left"]
    assert cluster.killed == [name]
    steps(actors)
    steps(actors)
    assert len(cluster.there) == 1 and name not in cluster.there


def test_that_nobody_works_is_said_once_and_that_somebody_does_again(cluster):
    actors = crew(cluster)
    said = [say for _ in range(20) for say in steps(actors, ALONE_FOR / 5)]
    assert said == ["waiting"]
    answer_all(cluster)
    assert steps(actors) == ["here", "here", "back"]


def test_actors_of_a_search_that_was_killed_go_on_where_they_are(cluster):
    earlier = crew(cluster, 3)
    steps(earlier)
    answer_all(cluster)
    steps(earlier)
    names = sorted(cluster.there)
    cluster.there["run-strange"] = True
    cluster.asked.clear()
    actors = crew(cluster, 2)
    assert sorted(cluster.killed) == [names[2], "run-strange"], "for these there is no seat"
    answer_all(cluster, at=10)
    assert steps(actors) == ["here", "here"]
    assert sorted(cluster.there) == names[:2]
    assert {after for _, after in cluster.asked} == {None}, "they know themselves what was read"


def test_actors_that_work_for_another_table_are_replaced(cluster):
    steps(crew(cluster, 1))
    (old,) = cluster.there
    actors = crew(cluster, 1)
    cluster.reply = {old: News("another", "w0", "host")}
    assert steps(actors) == []
    assert cluster.killed == [old]
    steps(actors)
    assert len(cluster.there) == 1


def test_leaving_makes_none_and_is_over_when_all_have_left(cluster):
    actors = crew(cluster)
    steps(actors)
    first, second = sorted(cluster.there)
    cluster.reply[first] = news(first)
    steps(actors)
    actors.leave()
    assert cluster.killed == [second], "it has no place yet, and gets none"
    assert not actors.is_idle()
    cluster.reply[first] = news(first, code=0)
    assert steps(actors) == ["left"]
    assert actors.is_idle()
    assert steps(actors) == [] and not cluster.there


def test_the_end_waits_for_answers_and_kills_what_gives_none(cluster):
    actors = crew(cluster)
    steps(actors)
    first, second = sorted(cluster.there)
    answer_all(cluster)
    steps(actors)
    cluster.reply[second] = None
    assert actors.end(5.0) == [second]
    assert sorted(cluster.ended) == [first, second]
    assert not cluster.there and actors.is_idle()
