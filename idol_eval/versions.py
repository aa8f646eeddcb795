"""What numbers may depend on besides the protocol."""

import platform
from importlib import metadata

DECIDING = ("torch", "numpy", "av", "pillow", "idol")
"""Those that may move a number; machines of one cluster rarely have the same kernel, and need not."""
_PACKAGES = {"torch": "torch", "numpy": "numpy", "av": "av", "pillow": "pillow", "idol": "idol-video-depth"}


def versions() -> dict[str, str]:
    """Versions of Python, the platform and the packages that decode and compute."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name, package in _PACKAGES.items():
        try:
            found[name] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[name] = "unknown"
    return found
