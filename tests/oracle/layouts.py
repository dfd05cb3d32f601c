"""What the data of a generated program are like."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layout:
    """The shapes of the inputs, the outputs and the targets of a model.

    Attributes:
        name: of the layout.
        kind: what the targets are: real, binary, labels, probabilities.
        rank: how many axes an elementwise loss has, the samples first.
        model: the last layer of the network, as it is written.
        squeezed: whether the last axis of the output is taken away.
        ignores: whether some labels are -100.
    """

    name: str
    kind: str
    rank: int
    model: str = "nn.Linear(4, 3)"
    squeezed: bool = False
    ignores: bool = False

    @property
    def positions(self) -> bool:
        """Whether the axis behind the samples is one of positions, that can be lengthened for any model."""
        return self.rank == 3 or self.is_flat

    @property
    def spreads(self) -> bool:
        """Whether that axis is the last of the model, so that a longer one needs another model."""
        return not self.positions and self.rank > 1

    @property
    def is_flat(self) -> bool:
        """Whether labels belong to positions of a sample, so that the loss has one axis less than the output."""
        return self.kind == "labels" and self.rank == 2


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout("vectors", "real", 2),
        Layout("numbers", "real", 1, "nn.Linear(4, 1)", squeezed=True),
        Layout("sequences", "real", 3),
        Layout("images", "real", 4, "nn.Conv2d(2, 3, 1)"),
        Layout("binary vectors", "binary", 2),
        Layout("binary numbers", "binary", 1, "nn.Linear(4, 1)", squeezed=True),
        Layout("classes", "labels", 1),
        Layout("token classes", "labels", 2),
        Layout("padded token classes", "labels", 2, ignores=True),
        Layout("distributions", "probabilities", 2),
        Layout("distributions over time", "probabilities", 3),
    )
}
