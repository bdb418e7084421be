"""People's dialogues as training data: whose they are, how they are written, and their notes."""

import pytest

from dialog_gym.core import DialogGymError
from dialog_gym.domains.multiwoz.domain import MultiWOZDomain
from dialog_gym.domains.multiwoz.human import human_dialogues, written

DESK = MultiWOZDomain()


@pytest.fixture(scope="module")
def people():
    """The dialogues to learn from, and those kept apart."""
    try:
        there = human_dialogues(DESK.database)
        return there, human_dialogues(DESK.database, held_out=True)
    except DialogGymError as error:
        pytest.skip(f"the corpus is not there: {error}")


def test_some_dialogues_are_kept_apart_where_there_is_no_train_split(people):
    there, apart = people
    if apart:
        assert (len(there), len(apart)) == (900, 99)
    assert not {one.id for one in there} & {one.id for one in apart}


def test_notes_of_people_follow_the_annotation(people):
    """References and values are those of the annotation, also where the words cannot be read."""
    booked = found = 0
    for one in people[0][:60]:
        turns, profile = one.observation.dialogue, one.observation.profile
        references = {str(value) for name, value in profile.items() if name.endswith("_ref")}
        notes = [one.desk.note(turns[:end]) for end in range(1, len(turns) + 1, 2)]
        booked += len(references)
        found += sum(any(reference in note for note in notes) for reference in references)
        assert not any(" n't" in turn.text or " ," in turn.text for turn in turns)
    assert booked > 40 and found > 0.8 * booked


@pytest.mark.parametrize(
    ("apart", "text"),
    [
        ("I do n't care , thanks !", "I don't care, thanks!"),
        ("It 's ( really ) 5 % of $ 3 .\n Ok ?", "It's (really) 5% of $3. Ok?"),
        ("the '60s are fine", "the '60s are fine"),
    ],
)
def test_words_are_put_together(apart, text):
    assert written(apart) == text
