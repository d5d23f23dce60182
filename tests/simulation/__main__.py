"""``python -m tests.simulation SEED``: one seed again, with its script and its trace.

``python -m tests.simulation run FIRST END [MUTATION]``: many, on all cores, until one is found.

``python -m tests.simulation bucket …``: the same over a bucket.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from tests.simulation import bucket_mutations, instrumented, mutations
from tests.simulation.run import Result, run_seed, spread, work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.simulation.mutations import Mutation
    from tests.simulation.scheduler import Step


def load(mutation: str, over: Sequence[str]) -> Mutation:
    """Have the batch layer loaded for lives over a storage or a bucket, with a mutation or none."""
    mutation_of = bucket_mutations.mutation_of if over else mutations.mutation_of
    chosen = mutation_of(mutation)
    instrumented.install(chosen.replacements)
    if over:
        from tests.simulation import bucket_lives  # noqa: PLC0415 - behind the loader

        bucket_lives.use()
    return chosen


def show(seed: int, mutation: str, over: Sequence[str]) -> int:
    """Run a seed, print all that happened and what was found."""
    chosen = load(mutation, over)
    logging.disable(logging.CRITICAL)
    trace: list[Step] = []
    result = run_seed(seed, trace, focus=chosen.focus)
    for step in trace:
        if step.what != "statement":
            print(f"{step.number:6} {step.now:12.3f}  {step.task:22} {step.what} {step.about}")
    print(f"digest {result.digests[seed]}, {result.steps} steps, {result.lives} lives")
    for found in result.findings.get(seed, ()):
        print(found)
    return int(bool(result.findings))


def run(first: int, end: int, mutation: str, over: Sequence[str]) -> int:
    """Run many seeds."""
    whole = Result()
    for result in spread(first, end, mutation=mutation, over=over):
        whole.add(result)
        for seed, found in result.findings.items():
            print(seed, found[0][:300], flush=True)
    print(
        f"{whole.seeds} seeds, {whole.lives} lives, {whole.steps} steps, {whole.requests} requests "
        f"of which {whole.acknowledged} acknowledged, {whole.faults} faults, "
        f"{len(whole.findings)} seeds with findings"
    )
    return int(bool(whole.findings))


def main(arguments: list[str]) -> int:
    """What the command line says."""
    over = arguments[: arguments[0] == "bucket"]
    arguments = arguments[len(over) :]
    if arguments[0] == "work":
        first, end, step, mutation = arguments[1:]
        work(int(first), int(end), int(step), load(mutation, over).focus)
        return 0
    if arguments[0] == "run":
        return run(int(arguments[1]), int(arguments[2]), "".join(arguments[3:]), over)
    return show(int(arguments[0]), "".join(arguments[1:]), over)


sys.exit(main(sys.argv[1:]))
