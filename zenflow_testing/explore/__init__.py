"""Every single fault at every point of a flow's life, and pairs of them: what a flow does when its cluster misbehaves.

    done = explore(Subject.of(manifest))
    done.found            # empty: every law held in every life
    done.coverage         # fault kind x step phase, and what was left out

It is what `zenflow explore` shows.
"""

from __future__ import annotations

from zenflow_testing.explore.search import Budget, Counterexample, Exploration, Violation, explore

__all__ = ["Budget", "Counterexample", "Exploration", "Violation", "explore"]
