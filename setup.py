"""Lets pip build the package; everything else is in setup.cfg."""

from setuptools import setup

setup()
