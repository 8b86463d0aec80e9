"""The reviewer as rules: which comes first, what counts as the same name, and what a rules file may say."""

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from portal_people import Counter, signed_in

from portal_sim.options import PortalOptions
from portal_sim.review import (
    MAX_RULES,
    MAX_SENTENCE,
    Measure,
    RefusalRule,
    ReviewRules,
    decide,
    load_rules,
    read_rules,
    same_name,
)
from wire.errors import ConfigError
from wire.portal_api import CheckState, DocumentKind, FaceVideo, IdentityDocuments, Picture

NAME = "Tessa Example"
USUAL = """
decides: rules
attempts: 3
wait: {from: 10 min, to: 20 min}
refuse:
  - {measure: front-sharpness, below: 0.4, because: the picture of the front is not clear}
  - {measure: front-brightness, below: 0.2, because: the picture of the front is too dark}
  - {measure: back-sharpness, below: 0.4, because: the picture of the back is not clear}
  - {measure: back-brightness, below: 0.2, because: the picture of the back is too dark}
  - {measure: front-name, because: the name on the document differs}
  - {measure: video-motion, below: 0.3, because: the face does not move}
"""


def documents(
    front: dict[str, object] | None = None, back: dict[str, object] | None = None, motion: float = 1.0
) -> IdentityDocuments:
    sides = {side: Picture(**{"name": NAME, **(changes or {})}) for side, changes in (("front", front), ("back", back))}
    return IdentityDocuments(
        session="s", country="DE", document=DocumentKind.PASSPORT, video=FaceVideo(motion=motion), **sides
    )


def usual() -> ReviewRules:
    return PortalOptions().review_rules()


# ---- deciding


def test_good_documents_pass_the_usual_rules() -> None:
    assert decide(documents(), NAME, usual()) is None


@pytest.mark.parametrize(
    ("handed_in", "reason"),
    [
        (documents(front={"sharpness": 0.39}), "the picture of the front is not clear"),
        (documents(front={"brightness": 0.19}), "the picture of the front is too dark"),
        (documents(back={"sharpness": 0.39}), "the picture of the back is not clear"),
        (documents(back={"brightness": 0.19}), "the picture of the back is too dark"),
        (documents(front={"name": "Someone Else"}), "the name on the document differs"),
        (documents(front={"name": ""}), "the name on the document differs"),
        (documents(motion=0.29), "the face does not move"),
        (documents(front={"sharpness": 0.1, "brightness": 0.1}), "the picture of the front is not clear"),
        (documents(front={"name": ""}, motion=0.0), "the name on the document differs"),
    ],
)
def test_each_fault_is_refused_for_its_own_reason_and_the_first_one_counts(
    handed_in: IdentityDocuments, reason: str
) -> None:
    assert decide(handed_in, NAME, usual()) == reason


def test_the_limit_itself_is_good_enough() -> None:
    at_the_limit = {"sharpness": 0.4, "brightness": 0.2}
    assert decide(documents(front=at_the_limit, back=at_the_limit, motion=0.3), NAME, usual()) is None


def test_what_is_no_number_is_below_every_limit() -> None:
    assert decide(documents(motion=math.nan), NAME, usual()) == "the face does not move"


def test_the_name_on_the_back_counts_where_a_rule_says_so() -> None:
    handed_in = documents(back={"name": "Someone Else"})
    assert decide(handed_in, NAME, usual()) is None
    rules = ReviewRules(refuse=(RefusalRule(measure=Measure.BACK_NAME, sentence="the back is another's"),))
    assert decide(handed_in, NAME, rules) == "the back is another's"


def test_without_rules_nothing_is_refused() -> None:
    assert decide(documents(front={"name": "", "sharpness": 0.0}), NAME, ReviewRules(refuse=())) is None


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_better_pictures_are_never_refused_where_worse_ones_passed(first: float, second: float, limit: float) -> None:
    rules = ReviewRules(refuse=(RefusalRule(measure=Measure.VIDEO_MOTION, below=limit, sentence="too still"),))
    worse, better = sorted((first, second))
    if decide(documents(motion=worse), NAME, rules) is None:
        assert decide(documents(motion=better), NAME, rules) is None


# ---- names


@pytest.mark.parametrize(
    ("on_the_document", "account"),
    [
        ("Tessa Example", "Tessa Example"),
        ("TESSA EXAMPLE", "tessa example"),
        ("Example Tessa", "Tessa Example"),
        ("Zoé Müller", "Zoe Muller"),
        ("Zoe\N{COMBINING ACUTE ACCENT} Mu\N{COMBINING DIAERESIS}ller", "Zoé Müller"),
        ("Anna-Lena Groß", "Anna Lena GROSS"),
        ("Anna\N{EN DASH}Lena  Groß", "Anna-Lena Groß"),
        ("Sean O'Neil", "Sean O\N{RIGHT SINGLE QUOTATION MARK}Neil"),
        ("Sean O'Neil", "Sean ONeil"),
        ("J.R. Example", "J. R. Example"),
        ("Tes\N{ZERO WIDTH JOINER}sa Example", "Tessa Example"),
        ("Γιώργος", "ΓΙΩΡΓΟΣ"),
        ("İpek", "ipek"),
        ("\N{FULLWIDTH LATIN CAPITAL LETTER T}essa Example", "Tessa Example"),
    ],
)
def test_names_are_compared_as_people_compare_them(on_the_document: str, account: str) -> None:
    assert same_name(on_the_document, account)
    assert same_name(account, on_the_document)


@pytest.mark.parametrize(
    ("on_the_document", "account"),
    [
        ("Tessa", "Tessa Example"),
        ("Tessa Example Other", "Tessa Example"),
        ("TessaExample", "Tessa Example"),
        ("Tessa Example", "Tess Example"),
        ("Tessa Tessa Example", "Tessa Example"),
        ("Tessa Example", ""),
        ("", ""),
        ("-", "-"),
        ("' .", "' ."),
        ("\N{COMBINING ACUTE ACCENT}", "\N{COMBINING ACUTE ACCENT}"),
        ("\N{CYRILLIC CAPITAL LETTER TE}essa Example", "Tessa Example"),
    ],
)
def test_another_name_and_no_name_differ(on_the_document: str, account: str) -> None:
    assert not same_name(on_the_document, account)
    assert not same_name(account, on_the_document)


@given(st.text(max_size=30), st.text(max_size=30))
def test_comparing_names_never_fails_and_takes_no_side(one: str, other: str) -> None:
    assert same_name(one, other) == same_name(other, one)


@given(st.lists(st.text("abcäßÉØ", min_size=1, max_size=8), min_size=1, max_size=4), st.randoms())
def test_neither_order_nor_case_nor_hyphens_make_another_name(words: list[str], rng: object) -> None:
    shuffled = list(words)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    assert same_name(" ".join(words), "-".join(shuffled).upper())


# ---- rules as data


def test_a_file_with_the_usual_rules_says_what_the_options_say(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(USUAL)
    assert load_rules(file) == usual()


def test_a_person_may_decide() -> None:
    assert read_rules(USUAL.replace("decides: rules", "decides: person")).decides == "person"


def test_who_decides_and_how_often_may_be_left_out() -> None:
    rules = read_rules("wait: {from: 0 s, to: 0 s}\nrefuse: []")
    assert rules == ReviewRules(refuse=(), wait_min_s=0, wait_max_s=0)


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        (USUAL.replace("decides: rules", "decides: rule"), "r.yaml:2: decides", "did you mean 'rules'"),
        (USUAL.replace("attempts: 3", "attempts: 0"), "r.yaml:3: attempts", "from 1 to 100"),
        (USUAL.replace("attempts", "atempts"), "r.yaml:3: atempts", "did you mean 'attempts'"),
        (USUAL.replace("10 min", "10"), "r.yaml:4: wait.from", "duration with its unit"),
        (USUAL.replace("10 min", "30 min"), "r.yaml:4: wait", "shorter"),
        (USUAL.replace("10 min", "1.5 s"), "r.yaml:4: wait.from", "whole seconds"),
        (USUAL.replace("10 min", "-1 s"), "r.yaml:4: wait.from", "backwards"),
        (
            USUAL.replace("front-sharpness", "front-sharpnes"),
            "r.yaml:6: refuse[0].measure",
            "did you mean 'front-sharpness'",
        ),
        (USUAL.replace("below: 0.4", "below: 4"), "r.yaml:6: refuse[0].below", "from 0.0 to 1.0"),
        (USUAL.replace("below: 0.4", "below: .nan"), "r.yaml:6: refuse[0].below", "from 0.0 to 1.0"),
        (USUAL.replace("below: 0.4", "below: yes"), "r.yaml:6: refuse[0].below", "from 0.0 to 1.0"),
        (USUAL.replace("below: 0.4, ", ""), "r.yaml:6: refuse[0]", "needs a limit"),
        (USUAL.replace("front-name,", "front-name, below: 0.5,"), "r.yaml:10: refuse[4]", "leave 'below' out"),
        (USUAL.replace(", because: the face does not move", ""), "r.yaml:11: refuse[5]", "missing key 'because'"),
        (USUAL.replace("the face does not move", "x" * (MAX_SENTENCE + 1)), "r.yaml:11: refuse[5]", "one line"),
        (USUAL.replace("the face does not move", '"two\\nlines"'), "r.yaml:11: refuse[5]", "one line"),
        (USUAL.replace("refuse:", "refuse: all\nx:"), "r.yaml:6: x", "unknown key"),
        ("refuse: []", "r.yaml:1", "missing key 'wait'"),
        ("wait: {from: 1 s, to: 1 s}", "r.yaml:1", "missing key 'refuse'"),
        ("wait: {from: 1 s}\nrefuse: []", "r.yaml:1: wait", "missing key 'to'"),
        ("[]", "r.yaml:1", "expected a mapping"),
    ],
)
def test_a_wrong_file_is_refused_with_file_line_and_key(text: str, place: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(problem)) as refusal:
        read_rules(text, "r.yaml")
    assert str(refusal.value).startswith(f"{place}: ")


def test_a_list_of_rules_has_an_end() -> None:
    rule = "  - {measure: front-name, because: no}\n"
    with pytest.raises(ConfigError, match="at most 100 rules"):
        read_rules("wait: {from: 1 s, to: 1 s}\nrefuse:\n" + rule * (MAX_RULES + 1))


@pytest.mark.parametrize(
    "wrong", [{"wait_min_s": 2, "wait_max_s": 1}, {"wait_min_s": -1}, {"wait_max_s": 10**9}, {"attempts": 0}]
)
def test_rules_built_by_hand_are_checked_too(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"time|attempts"):
        ReviewRules(refuse=(), **wrong)


# ---- at the portal


def test_the_portal_decides_by_the_rules_it_was_given() -> None:
    rules = read_rules(
        "attempts: 1\nwait: {from: 1 min, to: 1 min}\n"
        "refuse:\n  - {measure: back-brightness, below: 0.9, because: the back lies in the shade}\n"
    )
    counter = Counter(review=rules)
    person = signed_in(counter)
    person.fill_in()
    person.hand_in(front=Picture(name="", sharpness=0.0))
    assert person.status().attempts_left == 0
    assert counter.portal.next_deadline_utc_s() == counter.now_s + 60
    counter.wait(60)
    assert person.status().identity is CheckState.REFUSED
    assert person.mails()[-1].text == "Identification failed. Reason: the back lies in the shade."


def test_the_limits_among_the_options_still_count() -> None:
    lenient = PortalOptions(min_sharpness=0.1, min_brightness=0.0, min_motion=0.0, review_min_s=5, review_max_s=6)
    rules = lenient.review_rules()
    assert decide(documents(front={"sharpness": 0.1, "brightness": 0.0}, motion=0.0), NAME, rules) is None
    assert (rules.wait_min_s, rules.wait_max_s, rules.attempts) == (5, 6, 3)
