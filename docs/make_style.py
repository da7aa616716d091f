"""Draw the style of docs/style-transfer.md and make the pictures of that page: `python docs/make_style.py`.

The content is scikit-learn's china.jpg (by danielbuechele, CC BY 2.0, scaled down); the style is drawn here.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from sklearn.datasets import load_sample_image

import gnomon

HERE = Path(__file__).parent / "style-transfer"
SIZE = 400  # pixels of the longer side
NIGHT = ((18, 34, 82), (28, 74, 140), (54, 122, 178), (120, 178, 196), (12, 20, 46))
STARS = ((236, 200, 92), (244, 232, 170), (214, 120, 40))
FINE = 2  # times larger, then shrunk


def strokes(width: int = 560, height: int = 400, count: int = 9_000, seed: int = 3) -> Image.Image:
    """Short curved strokes along a field of seven whirls, warm near them, blue elsewhere."""
    rng = np.random.default_rng(seed)
    centres, spins = rng.uniform((0, 0), (width, height), (7, 2)), rng.choice((-1, 1), 7)
    reach = rng.uniform(60, 140, 7)

    def along(place: np.ndarray) -> np.ndarray:
        off = place - centres
        far = np.hypot(*off.T)
        pull = 2.2 * spins * np.exp(-(far**2) / (2 * reach**2)) / (far + 8)
        flow = np.array([0.35, 0.09 * np.sin(place[0] / 60)]) + pull @ np.stack([-off[:, 1], off[:, 0]], axis=1)
        return flow / (np.hypot(*flow) + 1e-6)

    picture = Image.new("RGB", (width * FINE, height * FINE), NIGHT[0])
    brush = ImageDraw.Draw(picture)
    for _ in range(count):
        place = rng.uniform((0, 0), (width, height))
        near = float((np.hypot(*(place - centres).T) / reach).min())
        palette = STARS if near < 0.35 or 0.55 < near < 0.7 else NIGHT
        colour = np.clip(np.array(palette[rng.integers(len(palette))]) + rng.normal(0, 14, 3), 0, 255)
        path = [place]
        for _ in range(rng.integers(5, 12)):
            path.append(path[-1] + 3 * along(path[-1]))
        thick = int(rng.integers(4, 9))
        for shade, offset, wide in ((1.0, 0.0, thick), (0.8, 0.3 * thick, max(1, thick // 4))):
            line = [tuple(float(x) for x in one * FINE + offset) for one in path]
            brush.line(line, fill=tuple(int(x) for x in shade * colour), width=wide, joint="curve")
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def beside(*pictures: Image.Image, height: int) -> Image.Image:
    """In a row of that height, a white line between them."""
    scaled = [
        one.resize((round(one.width * height / one.height), height), Image.Resampling.LANCZOS) for one in pictures
    ]
    row = Image.new("RGB", (sum(one.width + 6 for one in scaled) - 6, height), "white")
    left = 0
    for one in scaled:
        row.paste(one, (left, 0))
        left += one.width + 6
    return row


def main() -> None:
    HERE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        content, style = folder / "china.jpg", folder / "strokes.png"
        Image.fromarray(load_sample_image("china.jpg")).save(content, quality=95)
        strokes().save(style)
        pictures = [Image.open(content), Image.open(style)]
        for number, more in enumerate(({}, {"colours": "content"}, {"colours": "matched"}, {"style_weight": 1.0})):
            styled = gnomon.style(content, style, image_size=SIZE, runs_folder=str(folder / "runs"), threads=1, **more)
            pictures.append(Image.open(styled.file).convert("RGB"))
            sys.stdout.write(f"{more}: {styled.made.measures}\n")
            if number == 0:
                progress = styled.made.path / "outputs" / "progress.png"
                Image.open(progress).convert("RGB").save(HERE / "progress.jpg", quality=85)
        pictures[2].save(HERE / "china.jpg", quality=90)
        beside(*pictures[:2], height=200).save(HERE / "given.jpg", quality=85)
        beside(*pictures[3:], height=200).save(HERE / "other.jpg", quality=85)


if __name__ == "__main__":
    main()
