"""Personal profile, identity check, company profile and its validation: the three lines and what the page says."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from portal_people import COMPANY, LONGEST_REVIEW_S, Counter, Visitor, checked, manager, signed_in

from wire import portal_api as api
from wire.portal_api import CheckState, CompanyState, PortalErrorCode

pytestmark = pytest.mark.every_store

# the page's own sentences
IN_PROGRESS = "The identity check process is still in progress. Please check again later."
DENIED = "The documents for your identity check have been denied. You have another attempt to repeat the operation."
PROFILE_VERIFIED = "Your profile is verified."
COMPANY_COMPLETE = "The company profile is complete."
COMPANY_VALIDATED = "The company profile has been validated."


@pytest.fixture
def counter() -> Counter:
    return Counter()


def refused_person(counter: Counter) -> Visitor:
    person = signed_in(counter)
    person.fill_in()
    person.hand_in(video=api.FaceVideo(motion=0.0))
    counter.wait(LONGEST_REVIEW_S)
    return person


# ---- personal profile


def test_a_complete_personal_profile_has_its_tick(counter: Counter) -> None:
    person = signed_in(counter)
    person.fill_in()
    assert person.status().personal_profile


@pytest.mark.parametrize(
    "wrong",
    [
        *({"first_name": ""}, {"first_name": "  "}, {"last_name": ""}, {"last_name": "x" * 201}, {"first_name": "T\n"}),
        *(
            {"birth_date": ""},
            {"birth_date": "1 April 1990"},
            {"birth_date": "1990-02-30"},
            {"birth_date": "1990-13-01"},
        ),
        *({"birth_date": "1990-W13-7"}, {"birth_date": "19900401"}, {"birth_date": "0000-01-01"}),
        *({"birth_date": "1990-04-01T00:00"}, {"birth_date": "\u0661990-04-01"}, {"birth_date": "1990-04-01\n"}),
    ],
)
def test_a_profile_with_a_bad_field_is_refused_and_keeps_its_cross(counter: Counter, wrong: dict[str, str]) -> None:
    person = signed_in(counter)
    with counter.refused(PortalErrorCode.INVALID_INPUT):
        person.fill_in(**wrong)
    assert not person.status().personal_profile


@pytest.mark.parametrize(("days_old", "born"), [(0, True), (1, True), (-1, False), (-36_500, False)])
def test_nobody_is_born_tomorrow(counter: Counter, days_old: int, born: bool) -> None:
    person = signed_in(counter)
    today = datetime.fromtimestamp(counter.now_s, UTC).date()
    birth_date = (today - timedelta(days=days_old)).isoformat()
    if born:
        person.fill_in(birth_date=birth_date)
    else:
        with counter.refused(PortalErrorCode.INVALID_INPUT) as refusal:
            person.fill_in(birth_date=birth_date)
        assert "date of birth" in refusal.value.sentence
    assert person.status().personal_profile == born


def test_a_profile_cannot_change_under_the_check_nor_after_it(counter: Counter) -> None:
    person = signed_in(counter)
    person.fill_in()
    person.hand_in()
    for _ in range(2):
        with counter.refused(PortalErrorCode.IDENTITY_CHECK_IN_PROGRESS):
            person.fill_in(last_name="Other")
        counter.wait(LONGEST_REVIEW_S)


# ---- identity check


def test_the_check_needs_the_personal_profile(counter: Counter) -> None:
    with counter.refused(PortalErrorCode.PROFILE_INCOMPLETE):
        signed_in(counter).hand_in()


def test_while_it_runs_the_page_asks_to_come_again_and_takes_no_second_check(counter: Counter) -> None:
    person = signed_in(counter)
    person.fill_in()
    assert person.hand_in().message == IN_PROGRESS
    assert person.status().messages == (IN_PROGRESS,)
    with counter.refused(PortalErrorCode.IDENTITY_CHECK_IN_PROGRESS) as refusal:
        person.hand_in()
    assert refusal.value.sentence == IN_PROGRESS


@pytest.mark.parametrize("seed", range(20))
def test_the_result_comes_by_mail_after_10_to_20_minutes(seed: int) -> None:
    counter = Counter(seed=seed)
    person = signed_in(counter)
    person.fill_in()
    person.hand_in()
    due_s = counter.portal.next_deadline_utc_s()
    assert due_s is not None
    assert 10 * 60 <= due_s - counter.now_s <= 20 * 60
    counter.wait(due_s - counter.now_s - 1)
    assert person.status().identity is CheckState.IN_PROGRESS
    counter.wait(1)
    counter.portal.handle_timer(counter.now_s)
    assert counter.portal.next_deadline_utc_s() is None
    mail = person.mails()[-1]
    assert (mail.subject, mail.sent_utc_s) == ("Result of the document validation process", due_s)
    assert person.status().identity is CheckState.APPROVED


def test_not_every_review_takes_equally_long() -> None:
    lengths = set()
    for seed in range(5):
        counter = Counter(seed=seed)
        person = signed_in(counter)
        person.fill_in()
        person.hand_in()
        lengths.add(counter.portal.next_deadline_utc_s())
    assert len(lengths) > 1


def test_two_checks_are_each_decided_when_due(counter: Counter) -> None:
    people = [signed_in(counter, name) for name in ("tessa", "mila")]
    dues = []
    for person in people:
        person.fill_in()
        person.hand_in()
        counter.wait(60)
    while (due_s := counter.portal.next_deadline_utc_s()) is not None:
        counter.portal.handle_timer(due_s)
        dues.append(due_s)
    assert dues == sorted(dues)
    assert len(dues) == 2
    assert all(len(person.mails()) == 2 for person in people)


BAD = [
    ({"front": {"sharpness": 0.1}}, "front is not clear"),
    ({"back": {"sharpness": 0.1}}, "back is not clear"),
    ({"front": {"brightness": 0.05}}, "front is too dark"),
    ({"back": {"brightness": 0.05}}, "back is too dark"),
    ({"front": {"name": "Someone Else"}}, "name on the document differs"),
    ({"front": {"name": ""}}, "name on the document differs"),
]


@pytest.mark.parametrize(("pictures", "reason"), BAD)
def test_bad_pictures_are_refused_by_mail_with_the_reason(
    counter: Counter, pictures: dict[str, dict[str, object]], reason: str
) -> None:
    person = signed_in(counter)
    person.fill_in()
    person.hand_in(**{side: person.picture(**changes) for side, changes in pictures.items()})
    counter.wait(LONGEST_REVIEW_S)
    assert person.status().identity is CheckState.REFUSED
    assert person.mails()[-1].text.startswith("Identification failed.")
    assert reason in person.mails()[-1].text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.1, 1.1, 1e300])
@pytest.mark.parametrize("what", ["sharpness", "brightness", "motion"])
def test_a_measure_outside_0_to_1_is_refused_and_costs_no_attempt(counter: Counter, what: str, value: float) -> None:
    person = signed_in(counter)
    person.fill_in()
    spoiled = [{"video": api.FaceVideo(motion=value)}]
    if what != "motion":
        spoiled = [{side: person.picture(**{what: value})} for side in ("front", "back")]
    for changes in spoiled:
        with counter.refused(PortalErrorCode.INVALID_INPUT) as refusal:
            person.hand_in(**changes)
        assert what in refusal.value.sentence
    assert (person.status().identity, person.status().attempts_left) == (CheckState.NONE, 3)
    assert counter.portal.next_deadline_utc_s() is None


@pytest.mark.parametrize(("value", "state"), [(0, CheckState.REFUSED), (1, CheckState.APPROVED)])
def test_the_ends_of_the_scale_belong_to_it(counter: Counter, value: float, state: CheckState) -> None:
    person = signed_in(counter)
    person.fill_in()
    picture = person.picture(sharpness=value, brightness=value)
    person.hand_in(front=picture, back=picture, video=api.FaceVideo(motion=value))
    counter.wait(LONGEST_REVIEW_S)
    assert person.status().identity is state


def test_a_face_that_does_not_turn_is_refused(counter: Counter) -> None:
    person = refused_person(counter)
    assert person.status().identity is CheckState.REFUSED
    assert person.mails()[-1].text.startswith("Identification failed.")
    assert "face does not move" in person.mails()[-1].text


def test_a_refused_person_has_another_attempt_and_may_edit_the_profile(counter: Counter) -> None:
    person = refused_person(counter)
    assert person.status().messages == (DENIED,)
    person.fill_in(last_name="Example-Corrected")
    person.last_name = "Example-Corrected"
    person.hand_in()
    counter.wait(LONGEST_REVIEW_S)
    assert person.status().messages == (PROFILE_VERIFIED,)


def test_attempts_are_limited(counter: Counter) -> None:
    person = signed_in(counter)
    person.fill_in()
    for left in (2, 1, 0):
        person.hand_in(video=api.FaceVideo(motion=0.0))
        counter.wait(LONGEST_REVIEW_S)
        person.sign_in()
        assert person.status().attempts_left == left
    (message,) = person.status().messages
    assert "another attempt" not in message
    with counter.refused(PortalErrorCode.NO_ATTEMPTS_LEFT):
        person.hand_in()


@pytest.mark.parametrize("country", ["", "de", "DEU", "Germany", "D1", "D\n"])
def test_a_country_has_two_letters_and_a_wrong_one_costs_no_attempt(counter: Counter, country: str) -> None:
    person = signed_in(counter)
    person.fill_in()
    with counter.refused(PortalErrorCode.INVALID_INPUT):
        person.hand_in(country=country)
    assert person.status().attempts_left == 3
    assert counter.portal.next_deadline_utc_s() is None


@pytest.mark.parametrize("document", list(api.DocumentKind))
def test_passport_driving_licence_and_residence_permit_are_taken(counter: Counter, document: api.DocumentKind) -> None:
    person = signed_in(counter)
    person.fill_in()
    person.hand_in(document=document)
    counter.wait(LONGEST_REVIEW_S)
    assert person.status().identity is CheckState.APPROVED
    assert "Identification failed" not in person.mails()[-1].text


def test_who_is_checked_is_not_checked_again(counter: Counter) -> None:
    with counter.refused(PortalErrorCode.INVALID_INPUT):
        checked(counter).hand_in()


# ---- company


def test_the_three_ticks_come_in_order(counter: Counter) -> None:
    person = checked(counter)
    assert person.status().messages == (PROFILE_VERIFIED,)
    assert person.company().message == COMPANY_COMPLETE
    status = person.status()
    assert (status.company, status.company_name) == (CompanyState.COMPLETE, COMPANY["legal_name"])
    assert status.manager
    assert status.messages == (PROFILE_VERIFIED, COMPANY_COMPLETE)
    assert person.validate().message == COMPANY_VALIDATED
    assert person.status().messages == (PROFILE_VERIFIED, COMPANY_COMPLETE, COMPANY_VALIDATED)
    assert person.status().company is CompanyState.VALIDATED


def test_the_company_comes_after_the_person(counter: Counter) -> None:
    person = signed_in(counter)
    for act in (person.company, person.validate):
        with counter.refused(PortalErrorCode.IDENTITY_NOT_VERIFIED):
            act()
    person.fill_in()
    person.hand_in()
    for act in (person.company, person.validate):
        with counter.refused(PortalErrorCode.IDENTITY_NOT_VERIFIED):
            act()


@pytest.mark.parametrize("empty", ["", "  "])
@pytest.mark.parametrize("field", COMPANY)
def test_it_does_not_go_on_before_every_field_is_filled_in(counter: Counter, field: str, empty: str) -> None:
    person = checked(counter)
    with counter.refused(PortalErrorCode.COMPANY_INCOMPLETE) as refusal:
        person.company(**{field: empty})
    assert field.replace("_", " ") in refusal.value.sentence
    assert person.status().company is CompanyState.NONE
    with counter.refused(PortalErrorCode.COMPANY_INCOMPLETE):
        person.validate()


@pytest.mark.parametrize("value", ["x" * 201, "two\nlines", "nul\0"])
def test_a_field_of_the_company_is_one_line_of_text(counter: Counter, value: str) -> None:
    with counter.refused(PortalErrorCode.INVALID_INPUT):
        checked(counter).company(town=value)


def test_a_changed_company_profile_has_to_be_validated_again(counter: Counter) -> None:
    person = manager(counter)
    person.company(legal_name="New Name Ltd")
    assert person.status().company is CompanyState.COMPLETE
    person.validate()
    assert person.status().company_name == "New Name Ltd"


def test_a_revoked_company_cannot_validate_itself_again(counter: Counter) -> None:
    person = manager(counter)
    counter.portal.operators.revoke_company(person.email, counter.now_s)
    for act in (person.validate, person.company):
        with counter.refused(PortalErrorCode.COMPANY_REVOKED):
            act()
    assert person.status().company is CompanyState.REVOKED
    assert COMPANY_VALIDATED not in person.status().messages


def test_a_company_is_in_every_state_at_some_time(counter: Counter) -> None:
    person = checked(counter)
    seen = [person.status().company]
    person.company()
    seen.append(person.status().company)
    person.validate()
    seen.append(person.status().company)
    counter.portal.operators.revoke_company(person.email, counter.now_s)
    seen.append(person.status().company)
    assert seen == list(CompanyState)
