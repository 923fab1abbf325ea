"""A model as the steps of a text, before they are folded and named."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias
from typing import Literal as OneOf

from kmagic.language.spec import (
    Arg,
    CompileSpec,
    Expr,
    ModelKind,
    NodeOutput,
    Value,
    Word,
    find_parts,
)

StepKind: TypeAlias = OneOf["input", "layer", "function", "reuse", "model"]


@dataclass(slots=True)
class PlanStep:
    """One layer or function applied once.

    Attributes:
        kind: What is applied: a new layer, a function, an earlier layer, a nested model.
        callee: Its word; None for an earlier layer or a model, whose names come later.
        owner: The class or function whose signature orders the arguments.
        values: Arguments of the constructor or function, by parameter.
        inputs: Arguments of the call; tensors in them are :class:`Out`, by step index.
        name: The layer's own name; "" if Keras generated it.
        target: Index of the step or model that is applied again.
        output_count: How many tensors it returns.
        is_frozen: Whether a ``freeze`` line covers the layer.
    """

    kind: StepKind
    callee: Word | Expr | None = None
    owner: Any = None
    values: dict[str, Value] = field(default_factory=dict)
    inputs: tuple[Arg, ...] = ()
    name: str = ""
    target: int = -1
    output_count: int = 1
    is_frozen: bool = False

    @property
    def sources(self) -> list[NodeOutput]:
        """The outputs that it takes, in order."""
        return list(find_parts(self.inputs, NodeOutput))


@dataclass(slots=True)
class ModelPlan:
    """One model.

    Attributes:
        name: Its own name; "" if Keras generated it.
        kind: Sequential or functional.
        args: Arguments of the model itself.
        steps: Each after those it depends on.
        inputs: The structure of the inputs; None if it is a plain list of them.
        outputs: What it returns; entries with names make a dictionary.
        is_frozen: Whether all of it is frozen: the model that uses it says so.
        frozen_steps: How many steps a ``freeze`` line after them covers; 0 for no line.
    """

    name: str = ""
    kind: ModelKind = ""
    args: tuple[Arg, ...] = ()
    steps: list[PlanStep] = field(default_factory=list)
    inputs: tuple[Arg, ...] | None = None
    outputs: tuple[Arg, ...] = ()
    is_frozen: bool = False
    frozen_steps: int = 0


@dataclass(slots=True)
class ModelProgram:
    """A model with all models nested in it.

    Attributes:
        plan: The model itself.
        nested: Nested models by their name in the text, each after those it uses.
        compile: Its compile line, or None.
        needed: What the text takes from the notebook, by name.
        notes: What the text leaves out, one sentence each.
    """

    plan: ModelPlan
    nested: dict[str, ModelPlan]
    compile: CompileSpec | None = None
    needed: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
