"""Models written in R, in kerasR's way or in R keras's, as text of the layer language."""

from kmagic.from_r.translation import Remark, Translation, from_r

__all__ = ["Remark", "Translation", "from_r"]
