"""Pictures that strangers send: what is taken, what is measured, what is refused, and what of the upload is kept: nothing."""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest
import segno
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw, ImageFilter, PngImagePlugin

from portal_sim.media.limits import PictureLimits
from portal_sim.media.measures import sharpness
from portal_sim.media.pictures import CheckedPicture, inspect_picture
from vci_driver.camera import Camera
from wire.holder_code import MAX_NAME, holder_text
from wire.portal_api import Picture, PortalError, PortalErrorCode

NAME = "Tessa Example"
PHOTO = Camera().picture(Picture(name=NAME))
LIMITS = PictureLimits()
SCRIPT = b"<script>alert(1)</script>"


def photo() -> Image.Image:
    return Image.open(io.BytesIO(PHOTO)).copy()


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def png(width: int, height: int, *chunks: tuple[bytes, bytes], bits: int = 8, colour: int = 0) -> bytes:
    """A PNG with any chunks after its header (W3C PNG, 5.3)."""
    listed = ((b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)), *chunks, (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in listed
    )
    return b"\x89PNG\r\n\x1a\n" + body


def refusal(data: bytes, limits: PictureLimits = LIMITS) -> str:
    with pytest.raises(PortalError) as refused:
        inspect_picture(data, limits, "picture of the front")
    assert refused.value.code is PortalErrorCode.INVALID_INPUT
    assert refused.value.__cause__ is None
    return refused.value.sentence


def outcome(data: bytes) -> CheckedPicture | PortalError:
    try:
        return inspect_picture(data)
    except PortalError as error:
        return error


# ---- what is taken


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {})])
def test_a_photo_is_taken_and_its_name_read(kind: str, options: dict[str, object]) -> None:
    checked = inspect_picture(saved(photo(), kind, **options))
    assert checked.name == NAME
    assert checked.measured == Picture(name=NAME, sharpness=checked.sharpness, brightness=checked.brightness)
    assert checked.sharpness == 1.0
    assert 0.55 < checked.brightness < 0.65


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_every_8_bit_form_of_the_two_kinds_is_read(mode: str) -> None:
    data = saved(photo().convert(mode), "JPEG" if mode == "CMYK" else "PNG")
    checked = inspect_picture(data)
    assert checked.name == NAME
    assert Image.open(io.BytesIO(checked.jpeg)).mode == "RGB"


def test_what_is_transparent_is_white() -> None:
    clear = Image.new("RGBA", (300, 300), (0, 0, 0, 0))
    assert inspect_picture(saved(clear)).brightness == 1.0
    palette = Image.new("P", (300, 300))
    assert inspect_picture(saved(palette, transparency=bytes([0, 128, 255]))).brightness == 1.0


def test_a_picture_of_two_in_one_file_counts_as_its_first() -> None:
    second = Image.new("RGB", (960, 640), (255, 0, 0))
    checked = inspect_picture(saved(photo(), "MPO", save_all=True, append_images=[second]))
    assert checked.name == NAME
    assert Image.open(io.BytesIO(checked.jpeg)).format == "JPEG"


# ---- what is kept


def test_the_kept_picture_is_a_plain_jpeg_of_bounded_size() -> None:
    kept = Image.open(io.BytesIO(inspect_picture(saved(photo().resize((2400, 1600)), "JPEG")).jpeg))
    assert (kept.format, kept.mode, kept.size) == ("JPEG", "RGB", (1600, 1067))
    assert set(kept.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def with_metadata() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = SCRIPT.decode()  # ImageDescription
    exif.get_ifd(0x8825)[1] = "N"  # GPSLatitudeRef
    return saved(photo(), "JPEG", exif=exif, comment=SCRIPT, icc_profile=SCRIPT * 20)


def with_texts() -> bytes:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", SCRIPT.decode())
    texts.add_itxt("XML:com.adobe.xmp", SCRIPT.decode())
    return saved(photo(), pnginfo=texts)


ARCHIVE = b"PK\x03\x04" + SCRIPT + b"PK\x05\x06" + bytes(18)


@pytest.mark.parametrize(
    "polyglot",
    [
        with_metadata(),
        with_texts(),
        PHOTO + SCRIPT,
        PHOTO + ARCHIVE,
        PHOTO + b"%PDF-1.7\n" + SCRIPT,
        PHOTO[:2] + b"\xff\xfe" + struct.pack(">H", len(SCRIPT) + 4) + b"/*" + SCRIPT + PHOTO[2:],
        saved(photo()) + ARCHIVE,
    ],
    ids=["metadata", "texts", "html behind", "zip behind", "pdf behind", "javascript in front", "zip behind png"],
)
def test_of_a_polyglot_only_the_picture_is_kept(polyglot: bytes) -> None:
    assert b"script" in polyglot
    checked = inspect_picture(polyglot)
    assert checked.name == NAME
    assert b"script" not in checked.jpeg
    assert b"PK\x03\x04" not in checked.jpeg
    assert not Image.open(io.BytesIO(checked.jpeg)).getexif()


def test_the_kept_picture_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: the top is at the right
    lying = photo().transpose(Image.Transpose.ROTATE_90)
    kept = Image.open(io.BytesIO(inspect_picture(saved(lying, "JPEG", exif=exif, quality=95)).jpeg))
    assert kept.size == (960, 640)
    assert sum(ImageChops.difference(kept.convert("L"), photo().convert("L")).histogram()[30:]) < 6144  # a hundredth


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"])
def test_broken_metadata_is_no_reason_for_another_error(exif: bytes) -> None:
    checked = outcome(saved(photo(), "JPEG", exif=exif))
    assert "damaged" in checked.sentence if isinstance(checked, PortalError) else checked.name == NAME


# ---- what is refused


@pytest.mark.parametrize(
    "data",
    [
        saved(photo(), "GIF"),
        saved(photo(), "BMP"),
        saved(photo(), "TIFF"),
        saved(photo(), "WEBP"),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<!doctype html>" + SCRIPT,
        b"%PDF-1.7\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"GIF89a/*" + PHOTO,
        SCRIPT + PHOTO,
        ARCHIVE + PHOTO,
        b"\0" + PHOTO,
        b"\xff\xd8",
        b"\x89PNG",
        bytes(1000),
    ],
)
def test_every_other_kind_is_refused_by_its_content(data: bytes) -> None:
    sentence = refusal(data)
    assert sentence == "The picture of the front is neither JPEG nor PNG. Please send a photo as JPEG or PNG."


def test_nothing_is_refused() -> None:
    assert "is empty" in refusal(b"")


def test_too_many_bytes_are_refused_before_anything_is_read() -> None:
    assert "has 1000001 bytes" in refusal(PHOTO.ljust(1_000_001, b"\0"), replace(LIMITS, max_bytes=1_000_000))
    assert inspect_picture(PHOTO.ljust(1_000_000, b"\0"), replace(LIMITS, max_bytes=1_000_000)).name == NAME


@pytest.mark.parametrize("size", [(5001, 5000), (20_000, 20_000), (2**31 - 1, 2**31 - 1), (65_500, 65_500)])
def test_a_bomb_is_refused_by_its_header(size: tuple[int, int]) -> None:
    rows = zlib.compress(bytes(1000))
    assert "at most 25 million pixels" in refusal(png(*size, (b"IDAT", rows)))


def test_a_jpeg_that_claims_65500_pixels_square_is_refused_by_its_header() -> None:
    at = PHOTO.index(b"\xff\xc0") + 5  # SOF0: length, precision, then lines and samples a line
    claimed = PHOTO[:at] + struct.pack(">HH", 65_500, 65_500) + PHOTO[at + 4 :]
    assert "too many pixels" in refusal(claimed)


def test_an_honest_bomb_of_a_few_kilobytes_is_refused() -> None:
    bomb = saved(Image.new("1", (16_000, 16_000)))
    assert len(bomb) < 50_000
    assert "too many pixels" in refusal(bomb)


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_bomb_in_a_text_of_the_file_does_not_go_off(kind: bytes) -> None:
    heads = {b"zTXt": b"k\0\0", b"iTXt": b"k\0\1\0\0\0", b"iCCP": b"k\0\0"}
    bomb = heads[kind] + zlib.compress(bytes(100_000_000), 9)
    rows = zlib.compress(bytes(301 * 300))
    data = png(300, 300, (kind, bomb), (b"IDAT", rows))
    checked = outcome(data)
    assert "damaged" in checked.sentence if isinstance(checked, PortalError) else len(checked.jpeg) < 100_000


def test_a_jpeg_of_a_hundred_scans_is_refused_before_decoding() -> None:
    data = saved(photo(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    bomb = data[:-2] + data[last:-2] * 100 + data[-2:]
    assert "more than 64 scans" in refusal(bomb)


def test_an_animated_picture_is_refused() -> None:
    frames = [Image.new("RGB", (300, 300), (shade, 0, 0)) for shade in (0, 128, 255)]
    assert "is animated" in refusal(saved(frames[0], save_all=True, append_images=frames[1:]))


@pytest.mark.parametrize("size", [(1, 1), (239, 900), (900, 239)])
def test_a_picture_on_which_nothing_can_be_seen_is_refused(size: tuple[int, int]) -> None:
    sentence = refusal(saved(Image.new("RGB", size)))
    assert f"has {size[0]} by {size[1]} pixels" in sentence
    assert "at least 240" in sentence


def test_16_bits_a_channel_are_refused() -> None:
    assert "more than 8 bits" in refusal(saved(Image.new("I;16", (300, 300))))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_that_breaks_off_is_refused(kind: str) -> None:
    data = saved(photo().resize((300, 240)), kind)
    for length in range(len(data) - 64, 8, -len(data) // 40):
        assert "damaged" in refusal(data[:length])


SMALL = {kind: saved(photo().resize((300, 240)), kind) for kind in ("JPEG", "PNG")}


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(SMALL)), st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1))
def test_damaged_bytes_lead_to_a_picture_or_to_a_refusal(kind: str, changes: list[tuple[int, int]]) -> None:
    data = bytearray(SMALL[kind])
    for at, value in changes:
        data[at % len(data)] = value
    _a_picture_or_a_refusal(bytes(data))


@settings(deadline=None, max_examples=100)
@given(st.sampled_from((b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", PHOTO[:700], SMALL["PNG"][:60])), st.binary())
def test_any_bytes_lead_to_a_picture_or_to_a_refusal(start: bytes, rest: bytes) -> None:
    _a_picture_or_a_refusal(start + rest)


def _a_picture_or_a_refusal(data: bytes) -> None:
    checked = outcome(data)
    if isinstance(checked, PortalError):
        assert checked.code is PortalErrorCode.INVALID_INPUT
        assert "Please send" in checked.sentence
    else:
        Image.open(io.BytesIO(checked.jpeg)).load()
        assert 0 <= checked.sharpness <= 1
        assert 0 <= checked.brightness <= 1


# ---- what is legible


def coded(*texts: str) -> bytes:
    paper = Image.new("L", (1000, 500), 255)
    for place, text in enumerate(texts):
        rows = [*segno.make(text, micro=False, encoding="utf-8", eci=True).matrix_iter(scale=6)]
        pixels = bytes(0 if dark else 255 for row in rows for dark in row)
        paper.paste(Image.frombytes("L", (len(rows[0]), len(rows)), pixels), (40 + 480 * place, 60))
    return saved(paper)


@pytest.mark.parametrize(
    "name", ["Zoé Müller-Groß", "Γιώργος Παπαδόπουλος", "山田 太郎", "O\N{RIGHT SINGLE QUOTATION MARK}Neil"]
)
def test_names_of_every_script_are_read_as_they_are_written(name: str) -> None:
    assert inspect_picture(coded(holder_text(name))).name == name


@pytest.mark.parametrize(
    "texts",
    [
        ("https://example.com/",),
        (NAME,),
        (holder_text(""),),
        (holder_text("   "),),
        (holder_text("two\nlines"),),
        (holder_text("x" * (MAX_NAME + 1)),),
        (holder_text("Tessa Example"), holder_text("Someone Else")),
    ],
)
def test_a_code_that_names_nobody_or_two_people_is_no_name(texts: tuple[str, ...]) -> None:
    assert inspect_picture(coded(*texts)).name == ""


def test_the_same_code_twice_is_one_name() -> None:
    assert inspect_picture(coded(holder_text(NAME), holder_text(NAME))).name == NAME


# ---- what is measured


def blurred(pixels: float) -> Image.Image:
    return photo().filter(ImageFilter.GaussianBlur(pixels))


def test_the_more_blur_the_less_sharp() -> None:
    measured = [inspect_picture(saved(blurred(pixels), "JPEG")).sharpness for pixels in (0, 1.5, 2, 3, 5, 10, 30)]
    assert measured == sorted(measured, reverse=True)
    assert measured[0] == 1.0
    assert measured[-1] < 0.1


@pytest.mark.parametrize("spoil", [lambda im: im.point([i // 5 for i in range(256)] * 3), lambda im: im.convert("L")])
def test_neither_darkness_nor_colour_passes_for_blur(spoil: Callable[[Image.Image], Image.Image]) -> None:
    for pixels in (0.0, 3.0):
        clear, spoilt = (inspect_picture(saved(image)).sharpness for image in (blurred(pixels), spoil(blurred(pixels))))
        assert abs(clear - spoilt) < 0.05


def test_noise_does_not_make_a_blurred_picture_sharp() -> None:
    noise = Image.effect_noise((960, 640), 10)
    noisy = ImageChops.add(blurred(8).convert("L"), noise, 1, -128)
    assert inspect_picture(saved(noisy)).sharpness < 0.4


def test_more_pixels_do_not_make_a_blurred_picture_sharp_nor_a_sharp_one_blurred() -> None:
    for pixels, low, high in ((0.0, 0.9, 1.0), (3.0, 0.4, 0.5), (8.0, 0.1, 0.2)):
        large = blurred(pixels).resize((2400, 1600), Image.Resampling.BICUBIC)
        assert low <= inspect_picture(saved(large, "JPEG")).sharpness <= high


def test_a_picture_of_few_pixels_is_not_sharp() -> None:
    assert sharpness(photo().convert("L").resize((240, 160))) < 0.4


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_a_picture_of_nothing_is_not_sharp(shade: int) -> None:
    checked = inspect_picture(saved(Image.new("L", (300, 300), shade)))
    assert checked.sharpness == 0.0
    assert checked.brightness == pytest.approx(min(1, shade / 255 / 0.75), abs=0.01)


def test_a_single_line_on_a_wall_is_too_little_to_be_called_sharp() -> None:
    wall = Image.new("L", (960, 640), 200)
    ImageDraw.Draw(wall).line((0, 0, 100, 100), fill=0)
    assert inspect_picture(saved(wall)).sharpness == 0.0
