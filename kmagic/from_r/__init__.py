"""From models in R, in the style of kerasR or R keras, to the layer language."""

from kmagic.from_r.translation import Translation, from_r

__all__ = ["Translation", "from_r"]
