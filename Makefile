# `make search` on a fresh clone sets up and runs the main job; `make test` is what CI runs.
PYTHON ?= python3
QUIET := --disable-pip-version-check --no-warn-script-location
BIN := .venv/bin
READY := .venv/ready

.PHONY: search test fuzz verify cluster-test bench gpu gpu-evidence lint release-check clean

search: $(READY)
	$(BIN)/netwright search digits --hours 0.1 --out runs/digits

test: $(READY) lint
	$(BIN)/pytest -n 2 --dist worksteal -m "not gpu and not download"

# malformed input: 100,000 to functions, 500 to the command; 20 minutes at most, and a table of them at the end
fuzz: $(READY)
	NETWRIGHT_FUZZ=100000 $(BIN)/pytest -n 2 --dist worksteal tests/test_fuzz.py tests/test_fuzz_commands.py

# full counts: hours
verify: $(READY) lint
	$(BIN)/pip install -q $(QUIET) --no-deps -r requirements-notebooks.lock -r requirements-watching.lock
	NETWRIGHT_VERIFY=1 $(BIN)/pytest -m "not gpu and not download" --timeout 7200

# a small Slurm of Debian's packages, installed as root (or SUDO=sudo), and a small Ray (285 MB), with searches on them
# while they break: an hour
cluster-test: $(READY)
	PATH="$$PATH:/usr/sbin" command -v slurmctld slurmd sbatch munged || \
		$(SUDO) apt-get install -y -q --no-install-recommends slurmctld slurmd slurm-client munge
	$(BIN)/pip install -q $(QUIET) --no-deps -r requirements-cluster.lock
	NETWRIGHT_CLUSTER=1 $(BIN)/pytest tests/cluster

bench: $(READY)
	$(BIN)/pip install -q $(QUIET) --no-deps -r requirements-bench.lock
	$(BIN)/python benchmarks/trial_overhead.py
	$(BIN)/python benchmarks/table_scale.py
	$(BIN)/python benchmarks/bench_throughput.py
	$(BIN)/python benchmarks/strategy_scaling.py
	$(BIN)/python benchmarks/wrong_stops.py
	$(BIN)/python benchmarks/training_step.py
	$(BIN)/python benchmarks/hnag_step.py
	$(BIN)/python benchmarks/rnn_step.py
	$(BIN)/python benchmarks/supernet.py
	$(BIN)/python benchmarks/bo_proposal.py
	$(BIN)/python benchmarks/nao_controller.py
	$(BIN)/python benchmarks/nao_replay.py
	$(BIN)/python benchmarks/nao_embeddings.py
	$(BIN)/python benchmarks/nao_quality.py --steps 1000 --seeds 1
	$(BIN)/python benchmarks/reuse_study.py
	$(BIN)/python benchmarks/start_up.py
	$(BIN)/python benchmarks/image_pipeline.py
	$(BIN)/python benchmarks/image_data.py
	$(BIN)/python benchmarks/table_scale.py
	$(BIN)/python benchmarks/report_scale.py

# where a card is: tests, benchmarks and real runs cut to 40 s, 8 minutes at most, one table last; without one, what needs
# it is skipped by name. No network, no installation: GPU_PYTHON has torch and the dependencies
GPU_PYTHON ?= $(if $(wildcard $(READY)),$(BIN)/python,$(PYTHON))
GPU_FOLDER ?= runs/gpu
gpu:
	PYTHONPATH=src $(GPU_PYTHON) benchmarks/gpu.py --folder $(GPU_FOLDER)

# the real runs whole, a piece of 6 minutes; again until the table says that all are done
gpu-evidence:
	PYTHONPATH=src $(GPU_PYTHON) benchmarks/gpu.py --whole --folder $(GPU_FOLDER)-evidence

# wheel and source archive in clean environments, lowest and locked versions, licenses: minutes, and packages from pip
release-check: $(READY)
	$(BIN)/python -m release.check $(RELEASE)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q $(QUIET) -r requirements.lock
	$(BIN)/pip install -q $(QUIET) --no-deps --no-build-isolation -e .
	touch $(READY)

clean:
	rm -rf .venv
