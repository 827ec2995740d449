"""The composition root: every room is built from the settings here and joined by plain constructors."""

from gateway.app.application import Application

__all__ = ["Application"]
