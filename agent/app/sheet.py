"""A sheet of paper (A4) as PDF: embedded fonts, a JPEG, lines; in points from the upper left corner."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pydyf

if TYPE_CHECKING:
    from agent.app.typeface import Typeface

WIDTH, HEIGHT = 595.0, 842.0  # A4


@dataclass(slots=True)
class Sheet:
    """What is put on it stands in the order in which it was put."""

    title: str
    faces: tuple[Typeface, ...]
    _page: pydyf.Stream = field(default_factory=lambda: pydyf.Stream(compress=True), init=False)
    _pictures: list[tuple[bytes, int, int]] = field(default_factory=list, init=False)

    def text(self, face: Typeface, size: float, x: float, y: float, text: str) -> None:
        """One line; `y` is its base line."""
        codes = "".join(f"{face.glyph(character):04x}" for character in text)
        self._page.begin_text()
        self._page.set_font_size(face.name, size)
        self._page.set_text_matrix(1, 0, 0, 1, round(x, 2), round(HEIGHT - y, 2))
        self._page.stream.append(f"<{codes}> Tj".encode("ascii"))
        self._page.end_text()

    def grey(self, level: float) -> None:
        """The colour of what follows: 0 black, 1 white."""
        self._page.set_color_rgb(level, level, level)
        self._page.set_color_rgb(level, level, level, stroke=True)

    def line(self, x: float, y: float, width: float) -> None:
        """A thin horizontal line."""
        self._page.set_line_width(0.5)
        self._page.move_to(x, HEIGHT - y)
        self._page.line_to(x + width, HEIGHT - y)
        self._page.stroke()

    def picture(self, jpeg: bytes, size: tuple[int, int], x: float, y: float, width: float) -> float:
        """A picture of `size` (columns, rows) with its upper left corner there; its height."""
        height = width * size[1] / size[0]
        self._pictures.append((jpeg, *size))
        self._page.push_state()
        self._page.set_matrix(
            round(width, 2), 0, 0, round(height, 2), round(x, 2), round(HEIGHT - y - height, 2)
        )
        self._page.draw_x_object(f"picture{len(self._pictures)}")
        self._page.pop_state()
        return height

    def pdf(self) -> bytes:
        """The document."""
        pdf = pydyf.PDF()
        pdf.info["Title"] = pydyf.String(self.title)
        fonts, pictures = pydyf.Dictionary({}), pydyf.Dictionary({})
        for face in self.faces:
            fonts[face.name] = _font(pdf, face)
        for number, (jpeg, columns, rows) in enumerate(self._pictures, start=1):
            image = pydyf.Stream([jpeg], extra=_image(columns, rows))
            pdf.add_object(image)
            pictures[f"picture{number}"] = image.reference
        pdf.add_object(self._page)
        pdf.add_page(
            pydyf.Dictionary(
                {
                    "Type": "/Page",
                    "Parent": pdf.pages.reference,
                    "MediaBox": pydyf.Array([0, 0, WIDTH, HEIGHT]),
                    "Contents": self._page.reference,
                    "Resources": pydyf.Dictionary({"Font": fonts, "XObject": pictures}),
                }
            )
        )
        out = io.BytesIO()
        pdf.write(out, identifier=True)
        return out.getvalue()


def _image(columns: int, rows: int) -> pydyf.Dictionary:
    return pydyf.Dictionary(
        {
            "Type": "/XObject",
            "Subtype": "/Image",
            "Width": columns,
            "Height": rows,
            "ColorSpace": "/DeviceRGB",
            "BitsPerComponent": 8,
            "Filter": "/DCTDecode",
        }
    )


def _font(pdf: pydyf.PDF, face: Typeface) -> bytes:
    """A reference to the font, whole and with its characters, so that text can be searched and copied."""
    file = pydyf.Stream([face.data], extra={"Length1": len(face.data)}, compress=True)
    unicode = pydyf.Stream([_to_unicode(face)], compress=True)
    pdf.add_object(file)
    pdf.add_object(unicode)
    descriptor = pydyf.Dictionary(
        {
            "Type": "/FontDescriptor",
            "FontName": f"/{face.name}",
            "Flags": 4,
            "FontBBox": pydyf.Array(face.box),
            "ItalicAngle": 0,
            "Ascent": face.ascent,
            "Descent": face.descent,
            "CapHeight": face.ascent,
            "StemV": 80,
            "FontFile2": file.reference,
        }
    )
    pdf.add_object(descriptor)
    descendant = pydyf.Dictionary(
        {
            "Type": "/Font",
            "Subtype": "/CIDFontType2",
            "BaseFont": f"/{face.name}",
            "CIDSystemInfo": pydyf.Dictionary(
                {"Registry": pydyf.String("Adobe"), "Ordering": pydyf.String("Identity"), "Supplement": 0}
            ),
            "CIDToGIDMap": "/Identity",
            "FontDescriptor": descriptor.reference,
            "W": pydyf.Array([0, pydyf.Array(face.widths)]),
        }
    )
    pdf.add_object(descendant)
    font = pydyf.Dictionary(
        {
            "Type": "/Font",
            "Subtype": "/Type0",
            "BaseFont": f"/{face.name}",
            "Encoding": "/Identity-H",
            "DescendantFonts": pydyf.Array([descendant.reference]),
            "ToUnicode": unicode.reference,
        }
    )
    pdf.add_object(font)
    return bytes(font.reference)


def _to_unicode(face: Typeface) -> bytes:
    pairs = [f"<{glyph:04x}> <{ord(character):04x}>" for character, glyph in face.glyphs.items()]
    blocks = [pairs[n : n + 100] for n in range(0, len(pairs), 100)]  # as many as a block may have
    lines = ["begincmap", "1 begincodespacerange <0000> <ffff> endcodespacerange"]
    for block in blocks:
        lines += [f"{len(block)} beginbfchar", *block, "endbfchar"]
    head = ["/CIDInit /ProcSet findresource begin", "12 dict begin"]
    names = ["/CMapName /characters def", "/CMapType 2 def"]
    tail = ["endcmap", "CMapName currentdict /CMap defineresource pop", "end", "end"]
    return "\n".join([*head, lines[0], *names, *lines[1:], *tail]).encode("ascii")
