"""What is in a model, where it runs and where its time goes.

    python examples/python/look_inside.py MODEL.onnx
"""

from __future__ import annotations

import sys

import skiff


def main(path: str) -> None:
    info = skiff.info(path)
    print(f"{info.parameters} parameters, {info.flops / 1e6:.1f} MFLOP, placed: {info.placement()}")
    profile = skiff.profile(path, runs=5)
    for node in profile.slowest(3):
        print(f"{node.ns / node.count / 1e3:9.1f} us  {node.op} {node.name} ({node.kernel})")
    bench = skiff.bench(path, runs=10)
    print(f"median {bench.median_ns / 1e6:.3f} ms, {bench.gflops:.1f} GFLOP/s")


if __name__ == "__main__":
    main(sys.argv[1])
