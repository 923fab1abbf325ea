"""The parts of a training's record: an epoch, one that was broken off, the best, and now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

Status: TypeAlias = Literal["running", "done", "stopped", "interrupted", "failed"]
Phase: TypeAlias = Literal["starting", "training", "validating"]


class Message(NamedTuple):
    """Something that a reader of the run should know.

    Attributes:
        epoch: When, from 1; 0 before the first.
        text: A sentence.
    """

    epoch: int
    text: str


@dataclass(frozen=True, slots=True)
class Epoch:
    """One finished epoch.

    Attributes:
        number: From 1.
        logs: Its figures by name, as Keras's History has them.
        seconds: Its time, validation and callbacks included.
        learning_rate: The rate that it began with, if the optimizer has one.
    """

    number: int
    logs: Mapping[str, float]
    seconds: float
    learning_rate: float | None = None


@dataclass(frozen=True, slots=True)
class Partial:
    """An epoch that was broken off.

    Attributes:
        epoch: Its number, from 1.
        fraction: How much of its batches was trained, 0 to 1; None where their number is unknown.
        logs: Its figures so far.
    """

    epoch: int
    fraction: float | None
    logs: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Best:
    """The best finished epoch, by validation loss, or by loss where nothing is validated."""

    epoch: int
    monitor: str
    value: float


@dataclass(slots=True)
class Now:
    """Where a running training stands.

    Attributes:
        phase: What it is at.
        epoch: Number of the epoch that runs, from 1; 0 before the first.
        batch: How many of its batches are done.
        logs: Its figures so far.
        learning_rate: As the epoch began.
        elapsed: Seconds since the run began.
        left: Seconds to the end of the run, validation included; None while nobody can know.
        rate: Batches trained a second, validation not counted; None before the first.
    """

    phase: Phase = "starting"
    epoch: int = 0
    batch: int = 0
    logs: Mapping[str, float] = field(default_factory=dict)
    learning_rate: float | None = None
    elapsed: float = 0.0
    left: float | None = None
    rate: float | None = None
