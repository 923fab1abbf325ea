"""``fit`` without displays and without checks of the data, unless a test asks for them."""

from __future__ import annotations

import functools

import kmagic

fit = functools.partial(kmagic.fit, checks=False, displays=())
