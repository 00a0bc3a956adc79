"""From a drawing or a picture file to the numbers that a model was trained on.

What a model expects is read off its own examples: the level of the background, and how much of the frame a thing
fills. So a dark drawing on white paper becomes bright on black where the model knows it so.
"""

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

LARGEST_FILE = 5 * 2**20  # bytes
MOST_PIXELS = 16_000_000
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
INK = 0.15  # of the range: a pixel that differs by more from the background belongs to the thing


class NoPicture(ValueError):
    """What was given cannot be made a picture of; the message says why."""


@dataclass(frozen=True)
class Frame:
    """What a model's pictures are like.

    Attributes:
        shape: lines, columns.
        low, high: the range of pixels.
        whole: whether pixels are whole numbers.
        dark: whether the background is at the low end.
        fill: longer side of the thing as a share of the frame.
    """

    shape: tuple[int, int]
    low: float = 0.0
    high: float = 255.0
    whole: bool = True
    dark: bool = True
    fill: float = 20 / 28

    @classmethod
    def of(cls, shape: tuple[int, int], low: float, high: float, whole: bool, examples: Any) -> "Frame":
        """The frame of a model, whose examples are pictures (flat or in lines)."""
        frame = cls(shape, float(low), float(high), whole)
        try:
            pictures = (np.asarray(examples, float).reshape(-1, *shape) - low) / (high - low)
        except (ValueError, TypeError):
            return frame
        if not len(pictures):
            return frame
        edges = np.concatenate([pictures[:, 0], pictures[:, -1], pictures[:, :, 0], pictures[:, :, -1]], axis=1)
        dark = bool(np.median(edges) < 0.5)
        boxes = [box for picture in pictures if (box := _box(picture, 0.0 if dark else 1.0))]
        fills = [max((bottom - top) / shape[0], (right - left) / shape[1]) for left, top, right, bottom in boxes]
        return cls(shape, frame.low, frame.high, whole, dark, float(np.median(fills)) if fills else frame.fill)

    @property
    def background(self) -> float:
        """0 or 1: the level of the background as a share of the range."""
        return 0.0 if self.dark else 1.0

    def fit(self, image: "Image", centre: bool = True) -> np.ndarray:
        """A picture as the model knows them, of this frame's shape and range.

        The background is made the model's (inverted where it must be); with `centre` the thing is cut out, scaled to
        the usual size and put into the middle, as MNIST's digits were (LeCun et al. 1998).

        Raises:
            NoPicture: the picture is empty.
        """
        from PIL import Image, ImageOps

        image = _flattened(ImageOps.exif_transpose(image))
        levels = np.asarray(image, float) / 255
        edge = np.concatenate([levels[0], levels[-1], levels[:, 0], levels[:, -1]])
        if (np.median(edge) < 0.5) != self.dark:
            image, levels = ImageOps.invert(image), 1 - levels
        box = _box(levels, self.background)
        if box is None:
            raise NoPicture("the picture is empty")
        height, width = self.shape
        cut = image.crop(box) if centre else image
        scale = min(height / cut.height, width / cut.width) * (self.fill if centre else 1)
        size = (max(1, min(width, round(cut.width * scale))), max(1, min(height, round(cut.height * scale))))
        small = cut.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BILINEAR)
        framed = Image.new("L", (width, height), round(self.background * 255))
        framed.paste(small, ((width - size[0]) // 2, (height - size[1]) // 2))
        values = np.asarray(framed, float) / 255 * (self.high - self.low) + self.low
        return values.round() if self.whole else values.round(6)

    def image(self, values: Any, size: int = 140) -> "Image":
        """Pixels as a picture to look at, enlarged without smoothing."""
        from PIL import Image

        levels = (np.asarray(values, float).reshape(self.shape) - self.low) / (self.high - self.low)
        grey = Image.fromarray((levels.clip(0, 1) * 255).round().astype(np.uint8))
        times = max(1, size // max(self.shape))
        return grey.resize((self.shape[1] * times, self.shape[0] * times), Image.Resampling.NEAREST)

    def numbers(self, values: np.ndarray) -> list:
        """The lines of a picture, JSON-ready."""
        return (values.astype(int) if self.whole else values).tolist()


def read(content: bytes) -> "Image":
    """A picture file, bounded before it is decoded.

    Raises:
        NoPicture: too large, or no picture that can be read.
    """
    from PIL import Image

    if len(content) > LARGEST_FILE:
        raise NoPicture(f"the file has {len(content) / 2**20:.1f} MiB; at most {LARGEST_FILE // 2**20} are taken")
    try:
        image = Image.open(BytesIO(content), formats=FORMATS)
        if image.width * image.height > MOST_PIXELS:
            raise NoPicture(f"the picture has {image.width} x {image.height} pixels; at most 16 million are taken")
        image.load()
    except NoPicture:
        raise
    except Exception as error:  # decoders of broken files raise all kinds of errors
        raise NoPicture(f"the file is no picture that can be read ({', '.join(FORMATS)} are)") from error
    return image


def _flattened(image: "Image") -> "Image":
    """Grey, with what is transparent shown on white."""
    from PIL import Image

    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("L")


def _box(levels: np.ndarray, background: float) -> tuple[int, int, int, int] | None:
    """Left, top, right, bottom of what differs from the background; None where nothing does."""
    from PIL import Image

    return Image.fromarray((np.abs(levels - background) > INK).astype(np.uint8)).getbbox()
