"""``python -m tests.proofs.page``: the page of the durability proofs, from kept results.

Knows how the page reads. Proves nothing: the results are written by the ``--full`` forms of the
tests (``make prove-kill`` and its siblings); none is typed by hand.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.proofs.results import FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PAGE: Final = Path(__file__).parents[2] / "docs" / "proofs.md"

Result = dict[str, Any]


def judged(result: Result) -> str:
    """A verdict in words."""
    return ", ".join(f"{count:,} {what}" for what, count in result["verdict"].items())


def kill(result: Result) -> str:
    """Kills."""
    return (
        f"{result['kills']:,} times `kill -9` at random moments under four clients of all three "
        f"signals{by_fronts(result)}, also during starts and replays: every start succeeded; of "
        f"{result['records']:,} acknowledged records {judged(result)}"
    )


def by_fronts(result: Result) -> str:
    """Where the clients sent to, if the result says so."""
    return f" (over {result['fronts']})" if "fronts" in result else ""


def power(result: Result) -> str:
    """Power cuts."""
    return (
        f"{result['cuts']:,} power cuts in a journal of {result['calls']:,} calls taken under the "
        "real process; what was not synced is gone, or there in part: of "
        f"{result['records']:,} acknowledged records nothing lost, doubled or changed"
    )


def segment(result: Result) -> str:
    """Damage."""
    return (
        f"a segment of three records cut at each of its {result['places']:,} bytes, and "
        f"each of them flipped: every start succeeded, lost at most the record that was hit, "
        "and counted it"
    )


def calls(result: Result) -> str:
    """Calls that fail."""
    return (
        f"{result['calls']:,} lives in which `ENOSPC` or `EIO` comes from one call of the log or "
        "from three in a row, at every call in turn: no acknowledgement for what was not kept, "
        "nothing of it stored, and service again at the next probe"
    )


def outage(result: Result) -> str:
    """Storage that is down."""
    return (
        f"storage down for {result['down_secs'] / 60:g} minutes under load, then "
        f"{result['flapping_secs'] / 60:g} minutes down at half of all moments: of "
        f"{result['records']:,} acknowledged records {judged(result)}; at most "
        f"{result['peak_rss'] / 1e6:,.0f} MB resident with a budget of "
        f"{result['memory_bytes'] / 1e6:,.0f} MB"
    )


def upload_kill(result: Result) -> str:
    """Kills between upload and note."""
    return (
        f"{result['kills']:,} times `kill -9` between the moment at which an S3 server had a file "
        f"and the one at which the log knew it: of {result['records']:,} acknowledged records "
        f"{judged(result)}"
    )


def bucket_outage(result: Result) -> str:
    """A bucket that is away."""
    return (
        f"an S3 server that hangs, cuts and answers 503 for {result['down_secs'] / 60:g} minutes "
        f"under load, then {result['flapping_secs'] / 60:g} minutes with lost answers, cut "
        f"uploads, throttling and hanging mixed: of {result['records']:,} acknowledged records "
        f"{judged(result)}; at most {result['peak_rss'] / 1e6:,.0f} MB resident with a budget of "
        f"{result['memory_bytes'] / 1e6:,.0f} MB"
    )


def simulation(result: Result) -> str:
    """Simulated lives."""
    return simulated(
        result,
        "threads in every order, writes that hang, fail, succeed without an answer or too late, "
        "crashes and power cuts anywhere, short memory, damage, storages and logs that vanish and "
        "come back, other settings between lives",
    )


def bucket_simulation(result: Result) -> str:
    """Simulated lives over a bucket."""
    return simulated(result, "the same over a bucket behind the real store")


def simulated(result: Result, what: str) -> str:
    """So many lives of a simulation."""
    return (
        f"{result['lives']:,} lives of {result['seeds']:,} seeds under a scripted clock, "
        f"scheduler, disk and storage ({what}): {result['faults']:,} faults, "
        f"{result['acknowledged']:,} of "
        f"{result['requests']:,} requests acknowledged, {result['findings']} findings; "
        f"{result['seeds'] / result['secs']:.0f} seeds a second"
    )


def convert_bucket(result: Result) -> str:
    """A capture into a bucket."""
    return (
        f"`convert` of {result['capture_bytes'] / 1e9:.1f} GB ({result['rows']:,} rows) into an S3 "
        f"server, {result['files']:,} files, and the same with {result['kills']} times `kill -9` "
        "between the upload of a file and its answer: each time the very rows that a local folder "
        f"has, none missing, none twice; at most {result['bucket_peak'] / 1e6:,.0f} MB resident "
        f"({result['again_peak'] / 1e6:,.0f} MB for the rest after the kills) where the folder "
        f"takes {result['local_peak'] / 1e6:,.0f} MB"
    )


def catalog_storm(result: Result) -> str:
    """Conflicts, lost answers and kills."""
    kept = (
        f"{result['snapshots']} snapshots kept"
        if result["snapshots"] > 2
        else "all but two snapshots expiring at each commit"
    )
    return (
        f"{result['writers']} writers of one table, each with {result['fewest_commits']:,} commits "
        f"or more ({result['commits']:,} in all), {kept}: {result['conflicts']:,} answers with "
        f"409, {result['lost_answers']:,} commits whose answer was lost, {result['kills']:,} times "
        f"`kill -9` at {result['steps']} places between load and the removal of the receipt: all "
        f"{result['files']:,} files are in the table exactly once, none was removed, and of "
        f"{result['records']:,} acknowledged records {judged(result)}"
    )


def catalog_outage(result: Result) -> str:
    """A catalog that is away."""
    return (
        f"a catalog that hangs, cuts and answers 503 for {result['down_secs'] / 60:g} minutes "
        f"under load: no request refused; {result['committed_secs']:g} s after its return all "
        f"{result['files']:,} files that waited were in the tables; of {result['records']:,} "
        f"acknowledged records {judged(result)}; at most {result['peak_rss'] / 1e6:,.0f} MB "
        f"resident with a budget of {result['memory_bytes'] / 1e6:,.0f} MB"
    )


def catalog_kill(result: Result) -> str:
    """Kills with a bucket and a catalog."""
    what = {"sql": "an SQL catalog", "nessie": "a real Nessie"}[result["kind"]]
    return (
        f"{result['kills']:,} times `kill -9` at random moments under four clients, over an S3 "
        f"server and {what}: all {result['files']:,} files are in the tables exactly once, and in "
        f"them of {result['records']:,} acknowledged records {judged(result)}"
    )


def equivalence(form: str) -> Callable[[Result], str]:
    """Random messages against the oracle."""

    def tell(result: Result) -> str:
        return (
            f"{result['messages']:,} random messages in {form} ({result['bytes'] / 1e6:,.0f} MB; "
            "as libraries write them, in every odd way, and damaged): the compiled decoder and the "
            "one in plain Python accept and reject what the oracle does, and have its rows and "
            "counts, bit for bit"
        )

    return tell


PROOFS: Final[Mapping[str, tuple[str, Callable[[Result], str]]]] = {
    "kill": ("make prove-kill", kill),
    "power": ("make prove-power", power),
    "segment": ("make prove-log", segment),
    "calls": ("make prove-log", calls),
    "outage": ("make prove-outage", outage),
    "simulation": ("make simulate", simulation),
    "bucket_simulation": ("make simulate", bucket_simulation),
    "upload_kill": ("make prove-bucket", upload_kill),
    "bucket_outage": ("make prove-bucket", bucket_outage),
    "convert_bucket": ("make prove-convert", convert_bucket),
    "catalog_storm_keeping": ("make prove-catalog", catalog_storm),
    "catalog_storm_expiring": ("make prove-catalog", catalog_storm),
    "catalog_outage": ("make prove-catalog", catalog_outage),
    "catalog_kill_sql": ("make prove-catalog", catalog_kill),
    "catalog_kill_nessie": ("make prove-catalog", catalog_kill),
    "equivalence_protobuf": ("make fuzz-long", equivalence("protobuf")),
    "equivalence_json": ("make fuzz-long", equivalence("JSON")),
}


def page(results: Mapping[str, Result]) -> str:
    """The page; a row for each proof, also for one that was not run in full yet."""
    lines = [
        "# What a 200 has been put through",
        "",
        "<!-- Written by `make prove-kill` and its siblings; not to be edited. -->",
        "",
        "The proofs of [durability](durability.md) in full, in the mode `fsync`; each test run has",
        "a short form of each. Ids follow from a seed; only acknowledged ids are obligations; the",
        "judge is DuckDB over the files. Nobody sends anything twice, so whatever is there twice",
        "is a fault. In the mode `memory` the same kills and cuts do find loss: the tests bite.",
        "The last rows are of the decode: what is kept is what was sent.",
        "",
        "| proof | what happened | minutes | with |",
        "|---|---|--:|---|",
    ]
    for name, (command, tell) in PROOFS.items():
        if name not in results:
            lines.append(f"| `{command}` | {name.replace('_', ' ')}: not run in full yet | | |")
        else:
            result = results[name]
            with_ = result["conditions"]
            lines.append(
                f"| `{command}` | {tell(result)} | {result['secs'] / 60:.1f} | "
                f"otlp2parquet {with_['otlp2parquet']}, Python {with_['python']}, "
                f"{with_['system']}, {with_['cores']} cores |"
            )
    return "\n".join(lines) + "\n"


def kept() -> dict[str, Result]:
    """The results of the last runs in full."""
    paths = {name: FOLDER / f"{name}.json" for name in PROOFS}
    return {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(kept()), encoding="utf-8")


if __name__ == "__main__":
    main()
