"""Install autoseg; the metadata is in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["autoseg", "autoseg.*"]), "autoseg.plans"],
    package_dir={"autoseg.plans": "plans"},
    package_data={
        "autoseg": ["py.typed"],
        "autoseg.plans": ["*.json", "*.md"],
        "autoseg.reporting": ["*.html", "*.css", "*.js", "*.LICENSE.txt"],
    },
)
