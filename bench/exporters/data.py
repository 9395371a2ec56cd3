"""Rows of ../shared/data as arrays: features float32, targets as the framework wants them. Nothing is shuffled at random:
train and test rows alternate."""
import csv
import functools
import gzip
import json
import os
import wave

import numpy as np

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "shared", "data")


def path(*parts):
    return os.path.join(ROOT, *parts)


@functools.cache
def iris():
    """150 flowers: 4 numbers, 3 kinds."""
    t = np.genfromtxt(path("tabular", "iris-full.txt"), delimiter="\t", skip_header=1, encoding="utf-8-sig")
    return t[:, 1:].astype(np.float32), t[:, 0].astype(np.int64)


@functools.cache
def taxi(rows=1500):
    """Taxi rides: dict of columns (numbers float32 [n, 1], texts object [n, 1]) and the fare."""
    with open(path("tabular", "taxi_fare_test.csv"), encoding="utf-8") as f:
        lines = list(csv.DictReader(f))[::60][:rows]
    numbers = ["passenger_count", "trip_time_in_secs", "trip_distance"]
    texts = ["vendor_id", "rate_code", "payment_type"]
    columns = {c: np.array([[float(r[c])] for r in lines], np.float32) for c in numbers}
    columns.update({c: np.array([[r[c]] for r in lines], object) for c in texts})
    return columns, np.array([float(r["fare_amount"]) for r in lines], np.float32)


@functools.cache
def taxi_numbers(rows=1500):
    """The three numbers of a ride [n, 3], and the fare."""
    c, fare = taxi(rows)
    return np.hstack([c["passenger_count"], c["trip_time_in_secs"], c["trip_distance"]]), fare


@functools.cache
def digits(rows=1000):
    """MNIST digits pooled to 14 x 14, 0 to 1: [n, 196], and the digit."""
    with gzip.open(path("mnist", "t10k-images-idx3-ubyte.gz")) as f:
        x = np.frombuffer(f.read(), np.uint8, offset=16).reshape(-1, 28, 28)[:rows]
    with gzip.open(path("mnist", "t10k-labels-idx1-ubyte.gz")) as f:
        y = np.frombuffer(f.read(), np.uint8, offset=8)[:rows]
    pooled = x.reshape(-1, 14, 2, 14, 2).mean((2, 4)) / 255
    return pooled.reshape(-1, 196).astype(np.float32), y.astype(np.int64)


@functools.cache
def sentences(rows=400):
    """Film reviews [n] of str, and 0 or 1."""
    with open(path("text", "sst2_dev.tsv"), encoding="utf-8") as f:
        pairs = [line.rstrip("\n").rsplit("\t", 1) for line in f if "\t" in line][:rows]
    return np.array([p[0] for p in pairs], object), np.array([int(p[1]) for p in pairs], np.int64)


@functools.cache
def comments(rows=200):
    """Talk-page comments [n] of str with odd characters, and 0 or 1."""
    with open(path("text", "wikipedia_detox_250.tsv"), encoding="utf-8") as f:
        pairs = [line.rstrip("\r\n").split("\t", 1) for line in f][1 : rows + 1]
    return np.array([p[1] for p in pairs], object), np.array([int(p[0]) for p in pairs], np.int64)


@functools.cache
def gestures(rows=1200):
    """Finger tracks: 16 points of x and y [n, 16, 2], and one of 4 gestures."""
    t = np.loadtxt(path("timeseries", "point_history.csv"), delimiter=",", dtype=np.float32)[::4][:rows]
    return np.ascontiguousarray(t[:, 1:33].reshape(-1, 16, 2)), t[:, 0].astype(np.int64)


@functools.cache
def speech(seconds=4):
    """16 kHz speech, -1 to 1: [n]."""
    with wave.open(path("audio", "jfk.wav")) as w:
        x = np.frombuffer(w.readframes(w.getframerate() * seconds), np.int16)
    return (x / 32768).astype(np.float32)


@functools.cache
def sound_frames(size=64, rows=800):
    """Log spectra of speech frames [rows, size], and whether the frame is louder than the median."""
    x = speech(8)
    frames = np.lib.stride_tricks.sliding_window_view(x, 2 * size)[:: len(x) // rows][:rows]
    spectrum = np.log1p(np.abs(np.fft.rfft(frames * np.hanning(2 * size)))[:, 1:]).astype(np.float32)
    loud = (frames**2).mean(1)
    return spectrum, (loud > np.median(loud)).astype(np.int64)


@functools.cache
def languages():
    """Texts of many languages."""
    with open(path("text", "cld3_samples_features.json"), encoding="utf-8") as f:
        return np.array([e["text"] for e in json.load(f)], object)
