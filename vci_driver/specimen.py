"""Draws a synthetic identity document on a light table, as a phone's camera sees it: sharp, in good light, with its 2D code."""

from __future__ import annotations

from functools import lru_cache

import segno
from PIL import Image, ImageDraw, ImageFont

from wire.holder_code import holder_text
from wire.portal_api import DocumentKind

SIZE = (960, 640)
TABLE, PAPER, INK, PALE, STRIPE = (233, 231, 226), (250, 250, 247), (38, 44, 58), (206, 214, 222), (58, 92, 138)
CARD = (36, 40, 924, 600)
CODE_BOX = (548, 190, 904, 546)
"""Where the code lies: as large as the card allows, so that it stays legible while small print is just readable."""
TITLES = {
    DocumentKind.PASSPORT: "PASSPORT",
    DocumentKind.DRIVING_LICENCE: "DRIVING LICENCE",
    DocumentKind.RESIDENCE_PERMIT: "RESIDENCE PERMIT",
}


@lru_cache(maxsize=64)
def draw_document(name: str, side: str, document: DocumentKind, country: str, day: str) -> Image.Image:
    """Return the document (RGB, 960 x 640). `side`: front or back; `day`: the date on it. The image is shared: only read it."""
    image = Image.new("RGB", SIZE, TABLE)
    draw = ImageDraw.Draw(image)
    left, top, right, bottom = CARD
    draw.rounded_rectangle((left + 5, top + 7, right + 5, bottom + 7), 26, fill=(212, 209, 203))  # its shadow
    draw.rounded_rectangle(CARD, 26, fill=PAPER, outline=(170, 176, 186), width=2)
    draw.rounded_rectangle((left, top, right, top + 78), 26, fill=STRIPE, corners=(True, True, False, False))
    draw.text((left + 28, top + 39), TITLES[document], font=_font(38), fill=PAPER, anchor="lm")
    draw.text((right - 28, top + 39), f"{country} · {side}", font=_font(30), fill=PAPER, anchor="rm")
    _wave(draw)
    if side == "front":
        _portrait(image, 66, 150)
        fields = (("Name", name or "-"), ("Date", day), ("Number", "X000000000"))
        _fields(draw, 262, 150, fields)
    else:
        fields = (("Name", name or "-"), ("Issued by", "sgw-bench, a test bench"), ("Valid for", "nothing but tests"))
        _fields(draw, 66, 150, fields)
    draw.text((66, 440), "SPECIMEN", font=_font(64), fill=(190, 60, 60))
    draw.text((68, 516), "sgw-bench: not a document of any state", font=_font(21), fill=INK)
    draw.text((68, 556), "SGW<BENCH<<SPECIMEN<<<<<<<<<<<<<", font=_font(21), fill=INK)
    _code(image, name)
    return image


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _wave(draw: ImageDraw.ImageDraw) -> None:
    """Draw the fine lines that such cards have behind the print."""
    for row in range(18):
        y = 132 + row * 25
        points = [(x, y + ((x // 40 + row) % 2) * 9) for x in range(40, 921, 40)]
        draw.line(points, fill=(232, 237, 242), width=2)


def _portrait(image: Image.Image, x: int, y: int) -> None:
    """Draw the outline of a head and shoulders, as a sign, of nobody."""
    photo = Image.new("RGB", (172, 228), (226, 232, 238))
    draw = ImageDraw.Draw(photo)
    draw.chord((16, 138, 156, 332), 180, 360, fill=PALE, outline=INK, width=3)
    draw.ellipse((51, 36, 121, 126), fill=PALE, outline=INK, width=3)
    draw.rectangle((0, 0, 171, 227), outline=(150, 158, 170), width=2)
    image.paste(photo, (x, y))


def _fields(draw: ImageDraw.ImageDraw, x: int, y: int, fields: tuple[tuple[str, str], ...]) -> None:
    for row, (label, value) in enumerate(fields):
        draw.text((x, y + row * 78), label, font=_font(19), fill=(96, 106, 122))
        draw.text((x, y + 24 + row * 78), _fitted(draw, value, CODE_BOX[0] - x - 14), font=_font(30), fill=INK)


def _fitted(draw: ImageDraw.ImageDraw, text: str, width: int) -> str:
    """Return the text, cut where it would run into the code."""
    while len(text) > 1 and draw.textlength(text, font=_font(30)) > width:
        text = text.removesuffix("…")[:-1] + "…"
    return text


def _code(image: Image.Image, name: str) -> None:
    if not name:
        return
    code = segno.make(holder_text(name), error="l", micro=False, encoding="utf-8", eci=True, mode="byte")
    rows = [[*row] for row in code.matrix_iter(border=2)]
    modules = Image.frombytes("L", (len(rows[0]), len(rows)), bytes(0 if dark else 255 for row in rows for dark in row))
    left, top, right, bottom = CODE_BOX
    image.paste(modules.resize((right - left, bottom - top), Image.Resampling.BOX).convert("RGB"), (left, top))
