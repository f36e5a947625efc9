"""A picture of lines, boxes and texts as SVG. The same calls give the same file, byte for byte."""

from xml.sax.saxutils import escape

INK, GRID, PAPER = "#24292f", "#d0d7de", "#ffffff"
FONT = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif"
STYLE = f'font-family="{FONT}" font-size="12" fill="{INK}"'


class Picture:
    """Later parts are drawn over earlier ones."""

    def __init__(self, width, height, title):
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" {STYLE}>',
            f"<title>{escape(title)}</title>",
            f'<rect width="{width}" height="{height}" fill="{PAPER}"/>',
        ]
        self.text(12, 24, title, size=15)

    def text(self, x, y, words, anchor="start", size=12, colour=INK):
        """Draw `words` with their base line at `y`. `anchor` says whether `x` is their start, middle or end."""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">'
            f"{escape(words)}</text>"
        )

    def box(self, x, y, width, height, colour):
        """Draw a filled rectangle."""
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'
        )

    def path(self, points, colour=INK, width=1.0, dashes=None):
        """Draw a line through `points`."""
        along = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        self.parts.append(f'<polyline points="{along}" fill="none" stroke="{colour}" stroke-width="{width}"{dashed}/>')

    def dot(self, x, y, colour):
        """Draw a point."""
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>')

    def save(self, path):
        """Write the picture."""
        path.write_text("\n".join([*self.parts, "</svg>", ""]), encoding="utf-8")
