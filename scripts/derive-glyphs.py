"""Writes lib/visualize/glyphs.json: the outlines of Aileron Regular (CC0), which `visualize` draws its text with.

    python scripts/derive-glyphs.py path/to/@fontsource/aileron/files/aileron-latin-400-normal.woff

The font is that of @fontsource/aileron 5.3.0. Each glyph is its advance, then its outline as an SVG path,
in thousandths of the font size, with y upwards from the baseline. The minus sign is the font's en dash, in the width of its plus.
"""
import json
import sys
from pathlib import Path

from fontTools.pens.svgPathPen import SVGPathPen
from fontTools.pens.transformPen import TransformPen
from fontTools.ttLib import TTFont

UNITS = 1000
LATIN = [chr(code) for code in (*range(0x20, 0x7F), *range(0xA1, 0x100))]
PUNCTUATION = list("–—‘’“”…")
TARGET = Path(__file__).parent.parent / "lib" / "visualize" / "glyphs.json"

font = TTFont(sys.argv[1])
glyphs, names = font.getGlyphSet(), font.getBestCmap()
scale = UNITS / font["head"].unitsPerEm


def outline(char: str, left: float = 0) -> tuple[int, str]:
    glyph = glyphs[names[ord(char)]]
    pen = SVGPathPen(glyphs, ntos=lambda value: str(round(value)))
    glyph.draw(TransformPen(pen, (scale, 0, 0, scale, left, 0)))
    return round(glyph.width * scale), pen.getCommands()


table = {char: outline(char) for char in LATIN + PUNCTUATION if ord(char) in names}
plus, dash = table["+"][0], table["–"][0]
table["−"] = [plus, outline("–", (plus - dash) / 2)[1]]
lines = {char: f"{advance} {path}".rstrip() for char, (advance, path) in table.items()}
TARGET.write_text(json.dumps(lines, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
