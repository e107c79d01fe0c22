"""What pyproject.toml cannot say: files of the top folders are data of the package, in wheel and sdist alike.

They stay where their programs and readers expect them; an editable installation reads them there.
"""

import os
import runpy
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

TOP = Path(__file__).parent
WITH_SOURCES = ("CHANGELOG.md", ".dockerignore", "exporter/Dockerfile")  # an image can be built from an sdist
SHIPPED = runpy.run_path(str(TOP / "exporter" / "gputally" / "shipped.py"))


class BuildWithShippedFiles(build_py):
    """Python files, and behind them what shipped.py lists."""

    def run(self) -> None:
        """Copy both."""
        super().run()
        if not self.editable_mode:
            for source, target in self._shipped().items():
                self.mkpath(str(target.parent))
                self.copy_file(source, str(target))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """All files that are written."""
        return [*super().get_outputs(include_bytecode), *map(str, self._shipped().values())]

    def get_source_files(self) -> list[str]:
        """All files that are read, and a few more: what the sdist must hold."""
        return [*super().get_source_files(), *self._shipped(), *filter(os.path.exists, WITH_SOURCES)]

    def _shipped(self) -> dict[str, Path]:
        inside = Path(self.build_lib) / "gputally" / SHIPPED["INSIDE"]
        return {path: inside / path for path in SHIPPED["shipped_paths"](TOP)}


setup(cmdclass={"build_py": BuildWithShippedFiles})
