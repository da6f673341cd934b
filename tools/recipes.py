"""How each detector is trained: one frozen recipe a name."""

from __future__ import annotations

from dataclasses import dataclass, field

from carla_cp.perception.samples import Augmentation


@dataclass(frozen=True, slots=True)
class Recipe:
    """Length, rates and variation of a training; a step takes `batch` frames with all their agents."""

    steps: int
    batch: int = 2
    peak_rate: float = 3e-3
    warm_up: float = 0.08  # share of the steps in which the rate rises
    weight_decay: float = 0.01
    clip: float = 10.0  # norm of the gradient
    mean_decay: float = 0.998  # of the running mean of the weights, which is what is kept
    box_weight: float = 1.0
    validate_every: int = 200  # steps
    patience: int = 5  # validations without a better one until it stops early
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        """Raises ValueError naming what cannot be."""
        if min(self.steps, self.batch, self.validate_every, self.patience) < 1:
            raise ValueError("steps, batch, validate_every and patience must be 1 or more")
        if not (self.peak_rate > 0 and 0 <= self.warm_up < 1 and 0 <= self.mean_decay < 1):
            raise ValueError("peak_rate must lie above 0, warm_up and mean_decay in [0, 1)")

    def rate_at(self, progress: float) -> float:
        """The learning rate after this fraction of the training: a linear rise, then a cosine to zero."""
        from math import cos, pi

        if progress < self.warm_up:
            return self.peak_rate * (0.05 + 0.95 * progress / self.warm_up)
        return self.peak_rate * 0.5 * (1 + cos(pi * min((progress - self.warm_up) / (1 - self.warm_up), 1.0)))


TRUNKS: dict[str, Recipe] = {  # by the name of the preset
    "mini": Recipe(steps=2000),
    "half256s": Recipe(steps=8000, batch=4, peak_rate=2e-3, validate_every=500),
    "full": Recipe(steps=30000, batch=4, peak_rate=2e-3, validate_every=2000),
    "full_384": Recipe(steps=30000, batch=4, peak_rate=2e-3, validate_every=2000),
    "second_mini": Recipe(steps=2000),
    "second": Recipe(steps=30000, batch=4, peak_rate=2e-3, validate_every=2000),
}
JOINT = Recipe(  # of a codec together with the trained detector; partial messages are the codec's
    steps=6000,
    batch=1,
    peak_rate=2e-4,
    validate_every=500,
    augmentation=Augmentation(max_agents=3, partial=0.0),
)
FUSION = Recipe(steps=2000, peak_rate=1e-3, validate_every=250, patience=8)  # of a rule and its head over a trunk
