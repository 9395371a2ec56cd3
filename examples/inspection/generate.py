#!/usr/bin/env python3
"""Draws pictures of industrial surfaces, good ones and faulty ones, from a seed.

A picture is what a camera above an inspection table would give: a surface (brushed metal, moulded plastic, cast
iron or paint) is built as a height map and an albedo map, a fault is cut into one or both of them, the whole is lit
from the side, and lens and sensor add vignetting, defocus and noise.

    scratch  a thin curved groove, with a change of albedo where the surface is torn
    dent     a smooth dip in the height map alone: it shows only by its shading
    stain    a change of albedo alone, with a ragged or soft edge
    good     none of these

Every class also gets things that are no fault and look a little like one: dust, seams, drilled holes, shadows.
The fault lies inside the middle square of the picture, which is what the model is shown.

The same seed, split and number always give the same picture (with the NumPy version of requirements.txt).
Needs NumPy and Pillow.

    python generate.py --out images --count 12           # files named CLASS_NN.jpg
"""

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("good", "scratch", "dent", "stain")
SPLITS = {"train": 0, "validation": 1, "test": 2, "demo": 3}
WIDTH, HEIGHT = 240, 180
SEED = 20240

_Y, _X = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
_FREQ_Y = np.fft.fftfreq(HEIGHT)[:, None].astype(np.float32)
_FREQ_X = np.fft.rfftfreq(WIDTH)[None, :].astype(np.float32)


def _filtered_noise(rng, response):
    """White noise shaped by a frequency response (HEIGHT x (WIDTH/2+1)), scaled to mean 0 and deviation 1."""
    white = rng.standard_normal((HEIGHT, WIDTH), dtype=np.float32)
    noise = np.fft.irfft2(np.fft.rfft2(white) * response.astype(np.float32), s=(HEIGHT, WIDTH))
    noise -= noise.mean()
    return noise / np.float32(noise.std() + 1e-9)


def grain(rng, along, across, angle=0.0):
    """Gaussian noise with correlation lengths (pixels) along and across a direction (radians)."""
    c, s = np.cos(angle), np.sin(angle)
    u, v = c * _FREQ_X + s * _FREQ_Y, c * _FREQ_Y - s * _FREQ_X
    return _filtered_noise(rng, np.exp(-2 * np.pi**2 * ((along * u) ** 2 + (across * v) ** 2)))


def fractal(rng, beta):
    """Noise whose amplitude falls as frequency to the power -beta."""
    radius = np.sqrt(_FREQ_X**2 + _FREQ_Y**2)
    radius[0, 0] = 1.0
    return _filtered_noise(rng, radius**-beta)


def _smoothstep(x):
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def _hsv(h, s, v):
    k = (np.array([5.0, 3.0, 1.0]) + h * 6) % 6
    return (v - v * s * np.clip(np.minimum(k, 4 - k), 0, 1)).astype(np.float32)


class Scene:
    """height: pixels, up is towards the camera; albedo: H x W x 3, linear; gloss: strength of the mirror part."""

    def __init__(self, rng):
        self.rng = rng
        self.height = np.zeros((HEIGHT, WIDTH), np.float32)
        self.albedo = np.ones((HEIGHT, WIDTH, 3), np.float32)
        self.gloss = np.zeros((HEIGHT, WIDTH), np.float32)

    def paint(self, mask, colour, strength):
        """Mixes a colour (3 numbers, a factor on the albedo) in where mask (0..1) says so."""
        mask = (mask * strength).astype(np.float32)[..., None]
        self.albedo *= 1 + (np.asarray(colour, np.float32) - 1) * mask


# ---- surfaces -------------------------------------------------------------------------------------------------------


def brushed_metal(scene):
    rng = scene.rng
    angle = rng.choice([0.0, np.pi / 2]) + rng.normal(0, 0.06) if rng.random() < 0.75 else rng.uniform(0, np.pi)
    tint = _hsv(rng.choice([0.08, 0.58]), rng.uniform(0.0, 0.10), rng.uniform(0.30, 0.62))
    lines = grain(rng, 45, 0.6, angle) * rng.uniform(0.03, 0.09) + grain(rng, 10, 0.45, angle) * rng.uniform(0.01, 0.05)
    scene.albedo *= tint * (1 + lines)[..., None]
    scene.height += grain(rng, 30, 0.9, angle) * rng.uniform(0.01, 0.05)
    scene.gloss += rng.uniform(0.25, 0.6)


def plastic(scene):
    rng = scene.rng
    tint = _hsv(rng.random(), rng.uniform(0.0, 0.75), rng.uniform(0.15, 0.75))
    scene.albedo *= tint * (1 + grain(rng, 1.2, 1.2) * rng.uniform(0.005, 0.03))[..., None]
    scene.height += grain(rng, 1.1, 1.1) * rng.uniform(0.02, 0.10)
    scene.gloss += rng.uniform(0.15, 0.5)


def cast_iron(scene):
    rng = scene.rng
    tint = _hsv(rng.uniform(0.05, 0.62), rng.uniform(0.0, 0.12), rng.uniform(0.14, 0.42))
    mottle = fractal(rng, rng.uniform(0.9, 1.4)) * rng.uniform(0.03, 0.10)
    scene.albedo *= tint * (1 + mottle)[..., None]
    scene.height += grain(rng, 1.4, 1.4) * rng.uniform(0.05, 0.14) + fractal(rng, 1.3) * rng.uniform(0.08, 0.22)
    for _ in range(rng.integers(0, 14)):  # pores
        x, y, r = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), rng.uniform(0.7, 1.8)
        scene.height -= rng.uniform(0.2, 0.9) * np.exp(-((_X - x) ** 2 + (_Y - y) ** 2) / (2 * r * r))
    scene.gloss += rng.uniform(0.0, 0.15)


def painted(scene):
    rng = scene.rng
    tint = _hsv(rng.random(), rng.uniform(0.1, 0.8), rng.uniform(0.2, 0.8))
    scene.albedo *= tint * (1 + fractal(rng, 1.5) * rng.uniform(0.0, 0.02))[..., None]
    scene.height += grain(rng, 3.0, 3.0) * rng.uniform(0.05, 0.22)  # orange peel
    scene.gloss += rng.uniform(0.3, 0.8)


SURFACES = (brushed_metal, plastic, cast_iron, painted)


# ---- faults ---------------------------------------------------------------------------------------------------------


def _fault_centre(rng, margin=28):
    left = (WIDTH - HEIGHT) / 2
    x = rng.uniform(left + margin, left + HEIGHT - margin)
    return x, rng.uniform(margin, HEIGHT - margin)


def scratch(scene):
    rng = scene.rng
    cx, cy = _fault_centre(rng, 45)
    angle, length = rng.uniform(0, np.pi), rng.uniform(35, 120)
    bend = rng.normal(0, 0.10) * length
    strokes = rng.choice([1, 1, 1, 2, 3])
    tone = rng.uniform(1.35, 2.0) if rng.random() < 0.6 else rng.uniform(0.4, 0.7)
    tone = (1 + (tone - 1) * rng.uniform(0.8, 1.0)) * np.ones(3)
    width, depth = rng.uniform(0.8, 1.6), rng.uniform(0.4, 1.3)
    along, normal = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    for stroke in range(strokes):
        part = rng.uniform(0.5, 1.0) if stroke else 1.0
        middle = np.array([cx, cy]) + normal * stroke * rng.uniform(3, 7) + along * rng.normal(0, 6) * (stroke > 0)
        t = np.linspace(-1, 1, 49)[:, None]
        points = middle + along * t * length * part / 2 + normal * bend * (1 - t * t)
        x0, y0 = np.maximum(points.min(0).astype(int) - 6, 0)
        x1, y1 = np.minimum(points.max(0).astype(int) + 7, [WIDTH, HEIGHT])
        if x1 <= x0 or y1 <= y0:
            continue
        box = np.s_[y0:y1, x0:x1]
        best = np.full((y1 - y0, x1 - x0), 1e9, np.float32)
        where = np.zeros_like(best)
        for (px, py), ti in zip(points.astype(np.float32), t[:, 0]):
            d = (_X[box] - px) ** 2 + (_Y[box] - py) ** 2
            where = np.where(d < best, np.float32(ti), where)
            best = np.minimum(best, d)
        taper = np.sqrt(np.clip(1 - where**2, 0, 1))
        broken = np.clip(0.75 + 0.35 * np.sin(where * rng.uniform(3, 14) + rng.uniform(0, 6)), 0.25, 1)
        profile = np.exp(-best / (2 * width**2)) * taper
        scene.height[box] -= depth * profile
        mask = np.zeros((HEIGHT, WIDTH), np.float32)
        mask[box] = profile * broken
        scene.paint(mask, tone, 1.0)


def dent(scene):
    rng = scene.rng
    cx, cy = _fault_centre(rng)
    radius, stretch, angle = rng.uniform(10, 24), rng.uniform(0.65, 1.0), rng.uniform(0, np.pi)
    c, s = np.cos(angle), np.sin(angle)
    u, v = c * (_X - cx) + s * (_Y - cy), (c * (_Y - cy) - s * (_X - cx)) / stretch
    r = np.sqrt(u * u + v * v) / radius
    r = r * (1 + rng.uniform(0, 0.08) * grain(rng, 14, 14))
    slope = rng.uniform(0.25, 0.55)
    bowl = -np.exp(-(np.abs(r) ** rng.uniform(1.8, 3.2)))
    rim = rng.uniform(0, 0.18) * np.exp(-((r - 1.25) ** 2) / 0.06)
    scene.height += slope * radius * (bowl + rim)


def stain(scene):
    rng = scene.rng
    cx, cy = _fault_centre(rng, 35)
    radius, stretch, angle = rng.uniform(14, 36), rng.uniform(0.5, 1.0), rng.uniform(0, np.pi)
    c, s = np.cos(angle), np.sin(angle)
    u, v = c * (_X - cx) + s * (_Y - cy), (c * (_Y - cy) - s * (_X - cx)) / stretch
    ragged = grain(rng, 9, 9) * rng.uniform(0.05, 0.22) + grain(rng, 3, 3) * rng.uniform(0.0, 0.06)
    r = np.sqrt(u * u + v * v) / radius + ragged
    soft = rng.uniform(0.06, 0.35)
    mask = _smoothstep((1 - r) / soft + 0.5)
    mask *= np.clip(1 + fractal(rng, 1.2) * rng.uniform(0.05, 0.25), 0.2, 1.6)
    if rng.random() < 0.4:  # what was dissolved gathers at the rim while drying
        mask = mask * rng.uniform(0.4, 0.8) + 0.6 * np.exp(-((r - 0.95) ** 2) / 0.012)
    kind = rng.integers(0, 3)
    if kind == 0:  # rust
        colour, strength = (
            [rng.uniform(0.85, 1.15), rng.uniform(0.45, 0.7), rng.uniform(0.2, 0.45)],
            rng.uniform(0.4, 1),
        )
    elif kind == 1:  # oil
        colour, strength = np.full(3, rng.uniform(0.3, 0.55)), rng.uniform(0.55, 1)
        scene.gloss += mask * rng.uniform(0, 0.3)
    else:  # dried coolant: pale, bluish or greenish
        colour, strength = rng.uniform(1.4, 1.9) + rng.normal(0, 0.06, 3), rng.uniform(0.6, 1)
    scene.paint(mask, colour, strength)


FAULTS = {"scratch": scratch, "dent": dent, "stain": stain}


# ---- what is no fault -----------------------------------------------------------------------------------------------


def dust(scene):
    rng = scene.rng
    tone = rng.choice([0.6, 1.5])
    for _ in range(rng.integers(2, 12)):
        x, y, r = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT), rng.uniform(0.5, 1.2)
        mask = np.exp(-((_X - x) ** 2 + (_Y - y) ** 2) / (2 * r * r))
        scene.paint(mask, np.full(3, tone), rng.uniform(0.3, 1))


def seam(scene):
    """A joint straight across the whole picture, upright or level."""
    rng = scene.rng
    axis, place = (_X, rng.uniform(36, WIDTH - 36)) if rng.random() < 0.5 else (_Y, rng.uniform(12, HEIGHT - 12))
    width = rng.uniform(1.2, 2.4)
    groove = np.exp(-(((axis - place) / width) ** 4))
    scene.height -= groove * rng.uniform(0.5, 1.2)
    scene.paint(groove, np.full(3, rng.uniform(0.3, 0.6)), 1.0)


def hole(scene):
    """A drilled hole with a chamfer: hard-edged, round, dark."""
    rng = scene.rng
    x, y, r = rng.uniform(20, WIDTH - 20), rng.uniform(10, HEIGHT - 10), rng.uniform(5, 11)
    d = np.sqrt((_X - x) ** 2 + (_Y - y) ** 2)
    scene.height -= np.clip((r + 2.5 - d) / 2.5, 0, 1) * 1.2
    scene.paint(np.clip(r - d + 0.5, 0, 1), np.full(3, 0.12), 1.0)
    scene.gloss *= np.clip(d - r + 0.5, 0, 1)


def shadow(rng):
    """A factor on the light: a wide, soft edge somewhere in the picture."""
    angle = rng.uniform(0, 2 * np.pi)
    d = (_X - rng.uniform(0, WIDTH)) * np.cos(angle) + (_Y - rng.uniform(0, HEIGHT)) * np.sin(angle)
    return 1 - rng.uniform(0.1, 0.4) * _smoothstep(d / rng.uniform(18, 60) + 0.5)


# ---- light and camera -----------------------------------------------------------------------------------------------


def _photograph(scene):
    rng = scene.rng
    gy, gx = np.gradient(scene.height)
    azimuth, elevation = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 1.1)
    lx, ly, lz = np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)
    norm = 1 / np.sqrt(1 + gx * gx + gy * gy)
    diffuse = np.clip((-gx * lx - gy * ly + lz) * norm, 0, None) / lz
    # The lamp is near: the mirror direction, and so the highlight, moves over the surface.
    reach = rng.uniform(0.7, 1.6) * WIDTH
    dx, dy = (_X - WIDTH / 2) / reach, (_Y - HEIGHT / 2) / reach
    hx, hy = lx * 0.5 - dx, ly * 0.5 - dy
    off = (gx + hx) ** 2 + (gy + hy) ** 2
    mirror = np.exp(-off / (2 * rng.uniform(0.16, 0.35) ** 2))
    falloff = 1 + rng.uniform(0, 0.5) * (dx * np.cos(azimuth) + dy * np.sin(azimuth))
    light = falloff * (shadow(rng) if rng.random() < 0.35 else 1)
    ambient = rng.uniform(0.15, 0.4)
    warmth = rng.normal(0, 0.05)
    lamp = np.array([1 + warmth, 1.0, 1 - warmth], np.float32)
    image = scene.albedo * (ambient + (1 - ambient) * diffuse * light)[..., None] * lamp
    image = image + (scene.gloss * mirror * light * rng.uniform(0.3, 0.7))[..., None] * lamp * 0.6
    image *= rng.uniform(0.8, 1.3)
    image *= min(1.0, 0.85 / np.percentile(image[::4, ::4], 97))  # the camera's automatic exposure
    r2 = ((_X - WIDTH / 2) ** 2 + (_Y - HEIGHT / 2) ** 2) / (WIDTH**2 / 4 + HEIGHT**2 / 4)
    image *= (1 - rng.uniform(0, 0.45) * r2)[..., None]
    blur = rng.uniform(0, 0.8)
    otf = np.exp(-2 * np.pi**2 * blur**2 * (_FREQ_X**2 + _FREQ_Y**2))[..., None]
    image = np.fft.irfft2(np.fft.rfft2(image, axes=(0, 1)) * otf, s=(HEIGHT, WIDTH), axes=(0, 1))
    image = np.clip(image, 0, None)
    shot, read = rng.uniform(0.002, 0.016), rng.uniform(0.001, 0.008)
    image += rng.standard_normal(image.shape, dtype=np.float32) * np.sqrt(shot**2 * image + read**2)
    return (np.clip(image, 0, 1) ** (1 / 2.2) * 255 + 0.5).astype(np.uint8)


def draw(split, number, seed=SEED):
    """Picture `number` of a split: (PIL image 240 x 180 RGB, index of its class). The classes take turns."""
    rng = np.random.default_rng([seed, SPLITS[split], number])
    label = number % len(CLASSES)
    scene = Scene(rng)
    SURFACES[rng.integers(len(SURFACES))](scene)
    for extra, chance in ((seam, 0.15), (hole, 0.15), (dust, 0.3)):
        if rng.random() < chance:
            extra(scene)
    if CLASSES[label] in FAULTS:
        FAULTS[CLASSES[label]](scene)
    return Image.fromarray(_photograph(scene)), label


def as_jpeg(image, quality):
    """The picture after a round trip through JPEG, as a camera would store it."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    buffer.seek(0)
    return Image.open(buffer).convert("RGB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("images"), help="folder to write to (default: images)")
    parser.add_argument("--count", type=int, default=12, help="number of pictures, the classes taking turns")
    parser.add_argument("--split", choices=SPLITS, default="demo")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--quality", type=int, default=90, help="JPEG quality; one in six is written as PNG instead")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for number in range(args.count):
        image, label = draw(args.split, number, args.seed)
        stem = args.out / f"{CLASSES[label]}_{number // len(CLASSES) + 1:02d}"
        if number % 6 == 5:
            image.save(f"{stem}.png", optimize=True)
        else:
            image.save(f"{stem}.jpg", quality=args.quality)


if __name__ == "__main__":
    main()
