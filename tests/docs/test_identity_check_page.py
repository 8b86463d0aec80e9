"""The page about the identity check says the limits, rules and times that are in force."""

import re
from pathlib import Path

import pytest

from portal_sim.media.darkroom import DarkroomBounds
from portal_sim.media.keeping import Retention
from portal_sim.media.limits import MEBIBYTE, PictureLimits, VideoLimits
from portal_sim.options import PortalOptions
from portal_sim.review import Measure, read_rules

PAGE = (Path(__file__).resolve().parents[2] / "docs/identity-check.md").read_text()
PICTURE, VIDEO, BOUNDS, KEPT = PictureLimits(), VideoLimits(), DarkroomBounds(), Retention()


def test_the_rules_on_the_page_are_the_usual_ones() -> None:
    found = re.search(r"```yaml rules\.yaml\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    assert read_rules(found[1]) == PortalOptions().review_rules()


@pytest.mark.parametrize(
    "said",
    [
        f"| bytes | at most {PICTURE.max_bytes // MEBIBYTE} MiB | at most {VIDEO.max_bytes // MEBIBYTE} MiB |",
        f"at most {PICTURE.max_pixels // 10**6} million, at least {PICTURE.min_side_px} on each side",
        f"at most {VIDEO.max_pixels:,} a frame",
        f"at most {PICTURE.max_scans} scans",
        f"{VIDEO.min_duration_s:g} to {VIDEO.max_duration_s:g} seconds, at most {VIDEO.max_frames} frames",
        f"at most {PICTURE.kept_side_px} pixels on the longer side | MP4 (H.264), at most {VIDEO.kept_side_px} pixels",
        f"has {BOUNDS.cpu_s:g} seconds of processor time",
        f"{KEPT.keep_s // 86_400} days after the upload",
    ],
)
def test_the_limits_on_the_page_are_those_in_force(said: str) -> None:
    assert said in PAGE


def test_in_words_too() -> None:
    assert BOUNDS.memory_bytes == 1 << 30, "a gibibyte"
    assert KEPT.keep_after_decision_s == 24 * 3600, "a day"
    assert KEPT.orphan_s == 3600, "an hour"


@pytest.mark.parametrize("measure", list(Measure))
def test_every_measure_stands_on_the_page(measure: Measure) -> None:
    assert measure in PAGE
