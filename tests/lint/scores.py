"""How well a linter's verdicts agree with a server's: precision and recall, harm by harm."""

from __future__ import annotations

from dataclasses import dataclass, field

from chatctl.services.lint.findings import Harm


@dataclass
class Scores:
    """Counts of agreement and disagreement, and the cases that disagree."""

    counts: dict[Harm, dict[str, int]] = field(
        default_factory=lambda: {harm: {"right": 0, "false": 0, "missed": 0} for harm in Harm}
    )
    disagreements: list[str] = field(default_factory=list)
    cases: int = 0

    def add(self, case: str, expected: set[Harm], found: set[Harm]) -> None:
        """Takes one case: what the server did, and what the linter said."""
        self.cases += 1
        for harm in Harm:
            count = self.counts[harm]
            count["right"] += harm in expected and harm in found
            count["false"] += harm not in expected and harm in found
            count["missed"] += harm in expected and harm not in found
        if expected != found:
            said, did = (", ".join(sorted(harms)) or "nothing" for harms in (found, expected))
            self.disagreements.append(f"{case}\n    the linter says {said}; the server does {did}")

    def precision(self, harm: Harm) -> float:
        """Of what the linter warned of, the part that happens."""
        count = self.counts[harm]
        return count["right"] / ((count["right"] + count["false"]) or 1)

    def recall(self, harm: Harm) -> float:
        """Of what happens, the part that the linter warned of."""
        count = self.counts[harm]
        return count["right"] / ((count["right"] + count["missed"]) or 1)

    def __str__(self) -> str:
        lines = [f"{self.cases} cases"]
        for harm in Harm:
            happened = self.counts[harm]["right"] + self.counts[harm]["missed"]
            lines.append(
                f"  {harm:9} in {happened:3}: precision {self.precision(harm):.3f}, recall {self.recall(harm):.3f}"
            )
        return "\n".join([*lines, *self.disagreements])
