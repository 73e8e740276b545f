"""What does not work on other systems than Linux, by the place of its tests. None of this has been run there.

The list for Windows was found on Linux, by taking away the modules, signals and functions that only POSIX has.
"""

RUNS = "a run locks its folder, and its workers form groups of processes, as POSIX has them"
TRAININGS = "a training measures its memory by the module resource, of POSIX"
ENDS = "what a process died of is told by signals of POSIX"

# by sys.platform. Tests that need one thing alone of Linux (/proc, a reaper of descendants) say so themselves, so that
# macOS has nothing to leave out as a whole.
LEFT_OUT = {
    "win32": {
        "tests/benchmarks": RUNS,
        "tests/cli": RUNS,
        "tests/comparison": RUNS,
        "tests/core/test_claim.py": RUNS,
        "tests/core/test_directions.py": TRAININGS,
        "tests/core/test_in_full.py": TRAININGS,
        "tests/core/test_liveness.py": RUNS,
        "tests/core/test_memory.py": TRAININGS,
        "tests/core/test_parquet_footer.py": TRAININGS,
        "tests/core/test_refs.py": TRAININGS,
        "tests/core/test_room.py": RUNS,
        "tests/data": TRAININGS,
        "tests/evaluators": TRAININGS,
        "tests/executors": ENDS,
        "tests/export": TRAININGS,
        "tests/papers": TRAININGS,
        "tests/release": RUNS,
        "tests/report": RUNS,
        "tests/runs": RUNS,
        "tests/spaces/test_bounds.py": TRAININGS,
        "tests/spaces/test_macro.py": TRAININGS,
        "tests/stores": RUNS,
        "tests/strategies/test_bohb.py": RUNS,
        "tests/strategies/test_nao_survival.py": RUNS,
        "tests/strategies/test_on_tables.py": RUNS,
        "tests/tables": RUNS,
        "tests/tasks": TRAININGS,
        "tests/testing": RUNS,
        "tests/test_additions.py": RUNS,
        "tests/test_docs.py": RUNS,
        "tests/test_fuzz.py": RUNS,
        "tests/test_fuzz_commands.py": RUNS,
        "tests/test_plugins.py": TRAININGS,
        "tests/test_controller.py": RUNS,
        "tests/test_sentences.py": RUNS,
        "tests/test_survival.py": RUNS,
        "tests/test_worker.py": RUNS,
        "tests/training": TRAININGS,
        "tests/zoo/test_amoebanets.py": TRAININGS,
    },
}


def left_out(system: str) -> dict[str, str]:
    """Files and folders of tests that a system leaves out, and why."""
    return LEFT_OUT.get(system, {})
