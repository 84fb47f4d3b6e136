"""Result pictures: composed from what the request gave, stamped SIMULATED; the same task gives the same bytes."""

from __future__ import annotations

import math
from contextlib import suppress
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont, ImageOps, PngImagePlugin

from klingkit.contract.pictures import UNREADABLE, Picture, measure

from .outbound import host_and_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .tasks import Task

AREA = 1024 * 576
"""Pixels of a result, whatever its ratio."""
MAX_INPUT_PIXELS = 50_000_000
"""A larger picture is accepted, as by the service, but not decoded, which takes up to six bytes for each pixel."""
BAND = 256
"""Rows of a large picture that are made smaller at a time."""
ORIENTATION = 0x0112
"""Tag of Exif."""
MARGIN = 24
PALETTE = ((38, 70, 83), (42, 111, 151), (88, 82, 143), (131, 86, 110), (70, 105, 76), (138, 97, 54), (96, 60, 70))
INK = (245, 245, 245)
WIDE_FONTS = (
    *(
        "NotoSansCJK-Regular.ttc",
        "wqy-microhei.ttc",
        "AppleSDGothicNeo.ttc",
        "Arial Unicode.ttf",
        "malgun.ttf",
        "msyh.ttc",
    ),
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "Arial.ttf", "arial.ttf"),
)
"""Fonts of common systems, tried where Pillow's own, which has little beyond ASCII, lacks a character."""

# From this size on the system gets memory back at once; blocks of 16 MB, the default, it does not.
Image.core.set_block_size(64 * 1024 * 1024)  # type: ignore[attr-defined]


def render(task: Task, index: int, pictures: Sequence[Picture], *, watermark: bool = False) -> bytes:
    """Return result `index` of a task as a PNG of the asked ratio (within 1 %).

    The scene lies behind, the subjects side by side before it, the style tints both; a plain picture has a reference in place of
    subjects, or nothing. A picture without bytes becomes a labelled placeholder. A watermark runs across all of it. The whole prompt also stands in the PNG's `prompt` text, in any script.
    """
    canvas = _background(task, index, pictures)
    subjects = [picture for picture in pictures if picture.role in {"subject", "reference"}]
    if subjects:
        first = index % len(subjects)
        _place_subjects(canvas, subjects[first:] + subjects[:first])
    canvas = _tint(canvas, [picture for picture in pictures if picture.role == "style"])
    _stamp(canvas, task, index)
    if watermark:
        canvas = _watermarked(canvas)
    text = PngImagePlugin.PngInfo()
    text.add_itxt("prompt", task.prompt)
    text.add_itxt("task_id", task.task_id)
    out = BytesIO()
    canvas.save(out, "PNG", pnginfo=text, compress_level=3)
    return out.getvalue()


def made_small(data: bytes, width: int) -> bytes | None:
    """Return a picture as JPEG, whose longer side is `width` px at most; None if it cannot be drawn."""
    image = _load(Picture((), "", None, data), (width, width))
    if image is None:
        return None
    image.thumbnail((width, width))
    out = BytesIO()
    image.save(out, "JPEG", quality=80)
    return out.getvalue()


def _size(aspect_ratio: str) -> tuple[int, int]:
    width, height = map(int, aspect_ratio.split(":"))
    exact = math.sqrt(AREA * width / height)
    return round(exact), round(exact * height / width)


def _background(task: Task, index: int, pictures: Sequence[Picture]) -> Image.Image:
    size = _size(task.aspect_ratio)
    scenes = [picture for picture in pictures if picture.role == "scene"]
    if scenes:
        scene = _load(scenes[0], size)
        return ImageOps.fit(scene, size) if scene else _placeholder(scenes[0], size)
    colour = PALETTE[(int(task.task_id) + index) % len(PALETTE)]
    light = tuple(min(255, channel + 70) for channel in colour)
    return ImageOps.colorize(Image.linear_gradient("L").resize(size, Image.Resampling.BILINEAR), light, colour)


def _place_subjects(canvas: Image.Image, subjects: Sequence[Picture]) -> None:
    """Paste the subjects, framed, into equal cells: a row on a wide picture, a grid on a narrow one."""
    width, height = canvas.size
    band = _band(canvas)
    columns = len(subjects) if width >= height * 1.2 else math.ceil(len(subjects) / 2)
    rows = math.ceil(len(subjects) / columns)
    cell = ((width - MARGIN) // columns, (height - band - MARGIN) // rows)
    room = (cell[0] - MARGIN, cell[1] - MARGIN)
    for number, subject in enumerate(subjects):
        loaded = _load(subject, room)
        picture = ImageOps.contain(loaded, room) if loaded else _placeholder(subject, room)
        picture = ImageOps.expand(picture, 4, INK)
        column, row = number % columns, number // columns
        x = MARGIN // 2 + column * cell[0] + (cell[0] - picture.width) // 2
        y = MARGIN // 2 + row * cell[1] + (cell[1] - picture.height) // 2
        canvas.paste(picture, (x, y))


def _tint(canvas: Image.Image, styles: Sequence[Picture]) -> Image.Image:
    """Blend the mean colour of the style picture over everything."""
    for style in styles:
        if loaded := _load(style, (64, 64)):
            mean = loaded.resize((1, 1), Image.Resampling.BOX).resize(canvas.size, Image.Resampling.NEAREST)
            canvas = Image.blend(canvas, mean, 0.3)
    return canvas


def _stamp(canvas: Image.Image, task: Task, index: int) -> None:
    """Write what the picture is along its lower edge."""
    width, height = canvas.size
    band = _band(canvas)
    shade = Image.new("RGB", (width, band), (0, 0, 0))
    box = (0, height - band, width, height)
    canvas.paste(Image.blend(canvas.crop(box), shade, 0.65), box)
    draw = ImageDraw.Draw(canvas)
    large, small = ImageFont.load_default(int(band * 0.3)), ImageFont.load_default(int(band * 0.2))
    y = height - band + band * 0.12
    draw.text((MARGIN / 2, y), "SIMULATED", INK, large)
    draw.text((width - MARGIN / 2, y), f"{index + 1}/{task.n}", INK, large, anchor="ra")
    draw.text((MARGIN / 2, y + band * 0.36), f"task {task.task_id}", INK, small)
    prompt = _printable(task.prompt, 200) or "(no prompt)"
    font = _font_for(prompt, int(band * 0.2))
    while draw.textlength(prompt, font) > width - MARGIN:
        prompt = prompt[:-2] + "\u2026"
    draw.text((MARGIN / 2, y + band * 0.6), prompt, INK, font)


def _watermarked(canvas: Image.Image) -> Image.Image:
    """Return a picture with a word across it, again and again."""
    layer = Image.new("L", canvas.size)
    draw, font = ImageDraw.Draw(layer), ImageFont.load_default(canvas.width // 14)
    for number, y in enumerate(range(0, canvas.height, canvas.width // 8)):
        for x in range(-(number % 2) * canvas.width // 4, canvas.width, canvas.width // 2):
            draw.text((x, y), "WATERMARK", 110, font)
    return Image.composite(Image.new("RGB", canvas.size, INK), canvas, layer)


def _font_for(text: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the first font that has every character of a text, else the one that lacks the fewest."""
    default = ImageFont.load_default(size)
    if text.isascii():
        return default
    return min([*_wide_fonts(size), default], key=lambda font: _missing(font, text))


@cache
def _wide_fonts(size: int) -> tuple[ImageFont.FreeTypeFont, ...]:
    fonts = []
    for name in WIDE_FONTS:
        with suppress(OSError):  # not on this machine
            fonts.append(ImageFont.truetype(name, size))
    return tuple(fonts)


def _missing(font: ImageFont.FreeTypeFont | ImageFont.ImageFont, text: str) -> int:
    box = bytes(font.getmask("\U0010fffe"))
    return sum(bytes(font.getmask(char)) == box for char in set(text))


def _band(canvas: Image.Image) -> int:
    return max(72, canvas.height // 7)


def _load(picture: Picture, room: tuple[int, int]) -> Image.Image | None:
    """Decode a picture, not much larger than `room` needs; None if there are no bytes or they cannot be drawn."""
    if picture.data is None or _pixels(picture.data) not in range(1, MAX_INPUT_PIXELS):
        return None
    try:
        with Image.open(BytesIO(picture.data), formats=("PNG", "JPEG")) as image:
            image.draft("RGB", room)
            orientation = image.getexif().get(ORIENTATION, 1)
            small = _shrunk(image, 2 * max(room))
        small.getexif()[ORIENTATION] = orientation
        return ImageOps.exif_transpose(small)
    except UNREADABLE:  # the header was right and the rest is broken: the service's answer to that is not known
        return None


def _shrunk(image: Image.Image, length: int) -> Image.Image:
    """Return a picture as RGB, with sides of about `length` px; in bands, so that there is no second one of its full size."""
    factor = max(1, min(image.size) // length)
    if image.mode in {"RGB", "L"}:
        image.load()
        return image.reduce(factor).convert("RGB")
    small = Image.new("RGB", (math.ceil(image.width / factor), math.ceil(image.height / factor)))
    for top in range(0, image.height, BAND * factor):
        band = image.crop((0, top, image.width, min(image.height, top + BAND * factor)))
        small.paste(band.convert("RGB").reduce(factor), (0, top // factor))
    return small


def _pixels(data: bytes) -> int:
    return math.prod(measure(data) or (0,))


def _placeholder(picture: Picture, size: tuple[int, int]) -> Image.Image:
    image = Image.new("RGB", size, (120, 120, 128))
    draw = ImageDraw.Draw(image)
    draw.line((0, 0, *size), (140, 140, 148), 3)
    draw.line((0, size[1], size[0], 0), (140, 140, 148), 3)
    if picture.data is not None:
        too_large = _pixels(picture.data) >= MAX_INPUT_PIXELS
        label = f"not decoded\nlarger than {MAX_INPUT_PIXELS // 10**6} megapixels" if too_large else "cannot be decoded"
    else:
        label = f"not fetched\n{_printable(host_and_path(picture.url), 60)}" if picture.url else "not kept"
    lines = [f"{picture.role}, {label.partition(chr(10))[0]}", *_wrap(label.partition("\n")[2], max(8, size[0] // 10))]
    draw.multiline_text((12, 10), "\n".join(lines), INK, ImageFont.load_default(16))
    return image


def _wrap(text: str, width: int) -> list[str]:
    return [text[start : start + width] for start in range(0, len(text), width)]


def _printable(text: str, length: int) -> str:
    """Cut a text to one line; what has no glyph is drawn as a box, what moves the cursor becomes a space."""
    return "".join(char if char.isprintable() else " " for char in text[:length]).strip()
