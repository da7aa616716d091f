"""How canny.png was made: scikit-image 0.26.0's edges of the flower that scikit-learn ships, one bit a pixel.

scikit-image is not installed beside gnomon:

pip install scikit-image scikit-learn && python tests/golden/make_canny.py
"""

from pathlib import Path

import numpy as np
import sklearn
from PIL import Image
from skimage.feature import canny

PHOTO = Path(sklearn.__file__).parent / "datasets" / "images" / "flower.jpg"

if __name__ == "__main__":
    pixels = np.asarray(Image.open(PHOTO)).astype(np.float64) @ (0.299, 0.587, 0.114)
    edges = canny(pixels / 255, sigma=1, low_threshold=0.1, high_threshold=0.2, mode="nearest")
    Image.fromarray(edges).save(Path(__file__).with_name("canny.png"), optimize=True)
