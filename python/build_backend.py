"""What `pip install .` builds with: scikit-build-core, after a look at whether the C++ headers it needs are there.

CMake, Ninja and NumPy's headers come from PyPI. protozero (header only), and CLI11, nlohmann-json, libpng and zlib for the
command, are on no such index: on Debian and its kin they are installed by cmake/setup.sh, the same script `make` runs, when
this process may; elsewhere the build stops and says what is missing, or leaves out the command alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import Any

from scikit_build_core import build as _build
from scikit_build_core.build import (  # noqa: F401
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

_CORE = {"protozero/pbf_reader.hpp": "libprotozero-dev"}
_COMMAND = {
    "CLI/CLI.hpp": "libcli11-dev",
    "nlohmann/json.hpp": "nlohmann-json3-dev",
    "png.h": "libpng-dev",
    "zlib.h": "zlib1g-dev",
}


def _missing(headers: dict[str, str]) -> list[str]:
    places = ["/usr/include", "/usr/local/include", "/opt/homebrew/include", os.path.join(sys.prefix, "include")]
    for variable in ("CPATH", "CPLUS_INCLUDE_PATH"):
        places += [p for p in os.environ.get(variable, "").split(os.pathsep) if p]
    for prefix in os.environ.get("CMAKE_PREFIX_PATH", "").split(os.pathsep):
        if prefix:
            places.append(os.path.join(prefix, "include"))
    return [package for header, package in headers.items() if not any(os.path.exists(os.path.join(p, header)) for p in places)]


def _prepare(settings: dict[str, Any] | None) -> dict[str, Any]:
    settings = dict(settings or {})
    given = " ".join(f"{k}={v}" for k, v in settings.items()) + os.environ.get("CMAKE_ARGS", "")
    missing = [] if "PROTOZERO_INCLUDE_DIR" in given else _missing(_CORE)
    missing_command = [] if "SKIFF_BUILD_TOOLS" in given else _missing(_COMMAND)
    may_install = shutil.which("apt-get") and (os.geteuid() == 0 or shutil.which("sudo"))
    if (missing or missing_command) and may_install and "SKIFF_NO_APT" not in os.environ:
        root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        subprocess.run([os.path.join(root, "cmake", "setup.sh"), "build"], check=False)
        missing = _missing(_CORE) if missing else []
        missing_command = _missing(_COMMAND) if missing_command else []
    if missing:
        raise SystemExit(
            f"skiff: error: {', '.join(missing)} is missing: install it with your system's package manager (it is header "
            "only), or name its folder: pip install . -C cmake.define.PROTOZERO_INCLUDE_DIR=/path/to/protozero/include"
        )
    if missing_command:
        print(f"skiff: note: {', '.join(missing_command)} missing: the wheel is built without the command `skiff`", file=sys.stderr)
        settings["cmake.define.SKIFF_BUILD_TOOLS"] = "OFF"
        settings["build.targets"] = ["skiff_python"]
    return settings


def build_wheel(wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None) -> str:
    return _build.build_wheel(wheel_directory, _prepare(config_settings), metadata_directory)


def build_editable(wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None) -> str:
    return _build.build_editable(wheel_directory, _prepare(config_settings), metadata_directory)
