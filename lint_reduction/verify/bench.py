"""One run of an experiment, and what all of its runs share."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from lint_reduction.verify.interpreter import Interpreter
from lint_reduction.verify.machine import Program
from lint_reduction.verify.planning import Plan
from lint_reduction.verify.running import Run
from lint_reduction.verify.stepping import Update, first_update
from lint_reduction.verify.synth import Maker, Sizes, norm
from lint_reduction.verify.terms import Shares
from lint_reduction.verify.values import BlockedError, RaisedError, UserError

#: Steps on the path that come behind backward, and change what is measured.
_BEHIND = {"gradient division", "gradient clipping", "step after several backward calls"}


@dataclass(slots=True)
class Outcome:
    """One run at one size.

    Attributes:
        gradient, norms: of all leaves and of each.
        update: the first one, None where no optimizer is in view.
        clipped: whether gradient clipping was engaged.
        chosen: what was chosen on the way, as sentences.
        shares: the gradient by terms, None where there is one only.
        kept: how much of what is reduced at the place of the finding is not zero, None if nothing is.
        unreached: the paths of what a model would put out, and no gradient comes to.
    """

    gradient: torch.Tensor
    norms: dict[str, float]
    update: Update | None
    clipped: bool
    chosen: tuple[str, ...] = ()
    shares: Shares | None = None
    kept: int | None = None
    unreached: frozenset[str] = frozenset()


@dataclass(slots=True)
class Bench:
    """What all runs of an experiment share.

    Attributes:
        failures: why plans did not run, each with how many steps it took until it did not.
        raised: what the program raised that the rule is about.
        executed: whether the place of the finding was run.
        steps, reached: of the interpreter, in all runs and in the last one.
        weighted: the tensors that the program writes out and that are class weights.
    """

    program: Program
    device: torch.device
    dtype: torch.dtype
    failures: list[tuple[int, str]] = field(default_factory=list)
    raised: list[RaisedError] = field(default_factory=list)
    executed: bool = False
    steps: int = 0
    reached: int = 0
    weighted: set[int] = field(default_factory=set)

    def fail(self, error: BlockedError) -> None:
        """Keep why a plan does not run."""
        self.failures.append((self.reached, str(error)))

    @property
    def reason(self) -> str:
        """Why nothing runs: what the plan that came farthest failed for."""
        return max(self.failures, key=lambda failure: failure[0], default=(0, "no layout is possible"))[1]

    def once(
        self, plan: Plan, sizes: Sizes, *, device: torch.device, update: bool = True, seed: float = 1.0
    ) -> Outcome:
        """Run it once.

        Args:
            seed: the gradient of the loss with respect to itself.

        Raises:
            BlockedError: it does not run, or gives no gradient.
            RaisedError: it raises what the rule is about.
        """
        maker = Maker(sizes, device, self.dtype)
        world = Run(plan, maker)
        world.weighted = self.weighted
        world.seed = seed
        machine = Interpreter(self.program, world)
        torch.set_grad_enabled(True)
        try:
            machine.begin()
        except UserError as error:
            raise BlockedError(f"it raises {error}") from None
        finally:
            torch.set_grad_enabled(True)
            self.steps += machine.steps
            self.reached = machine.steps
            self.executed = self.executed or self.program.experiment.site in machine.executed
        experiment = self.program.experiment
        is_step = experiment.framework_divides or any(c.count == "micro_batches" for c in experiment.counted)
        if is_step and experiment.end_kind == "backward" and not machine.is_looped:
            # what is called for one micro-batch is called for each
            world.repeat(world.rounds)
        world.settled()
        self._check(world, machine)
        step = first_update(machine, maker) if update else None
        moved = world.moved() if update and step is None else None
        if moved is not None:
            step = Update(norm(moved), "a step written by hand")
        shares = world.term.shares(world.gradient)
        unreached = frozenset(path for path, leaf in maker.leaves.items() if leaf.grad is None)
        chosen = machine.assumptions()
        return Outcome(world.gradient, world.norms, step, world.clipped, chosen, shares, world.kept, unreached)

    def _check(self, world: Run, machine: Interpreter) -> None:
        if not machine.backwards:
            raise BlockedError("the end of the path is not reached")
        if not all(abs(loss) < float("inf") for loss in world.losses):
            raise BlockedError("the loss is not finite")
        if machine.touched:
            raise BlockedError(f"behind backward: {machine.touched}")
        kinds = {kind for kind, _ in self.program.experiment.steps}
        if machine.cut and (world.rounds > 1 or kinds & _BEHIND):
            raise BlockedError(f"behind backward: {machine.cut}")
        gradient = world.gradient
        if not gradient.numel() or not bool(torch.isfinite(gradient).all()):
            raise BlockedError("the gradient is not finite")
        if norm(gradient) <= 10 * torch.finfo(self.dtype).eps * world.seed:
            raise BlockedError("the gradient is zero")
