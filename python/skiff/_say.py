"""What Skiff accepts from onnxruntime's programs but has no use for, said once each."""

from __future__ import annotations

import logging

logger = logging.getLogger("skiff")
_said: set[str] = set()


def say_once(what: str, why: str) -> None:
    """Logs that ``what`` was accepted and changes nothing, and why; the second time it is silent."""
    if what not in _said:
        _said.add(what)
        logger.warning("%s is accepted and changes nothing: %s", what, why)


_ORT_LEVELS = {0: logging.DEBUG, 1: logging.INFO, 2: logging.WARNING, 3: logging.ERROR, 4: logging.CRITICAL}


def set_default_logger_severity(severity: int) -> None:
    """Level of the logger ``skiff``: 0 verbose, 1 info, 2 warning, 3 error, 4 fatal. ValueError for others."""
    if severity not in _ORT_LEVELS:
        raise ValueError(f"the severity is 0 to 4, not {severity}")
    logger.setLevel(_ORT_LEVELS[severity])


def set_default_logger_verbosity(level: int) -> None:
    """Accepted; Skiff's messages have no verbosity below debug."""
