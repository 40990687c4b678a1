"""A trained bridge in other people's code: `load` a run, and ask it (docs/USE_IT.md)."""

from layalign.use.model import Model, load

__all__ = ["Model", "load"]
