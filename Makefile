# The front door. `make help` lists what is here; each target makes what it needs.

PYTHON ?= python3
SITE ?= local
LAB ?= lab
VENV := .venv
APP_VENV := .cache/app-venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export PYTHONDONTWRITEBYTECODE := 1

.DEFAULT_GOAL := help
.PHONY: help venv venv-dev venv-kubernetes venv-app release images deploy verify status destroy lint docs dashboards \
        k8s test test-unit test-app test-local test-vm test-compose test-needs test-browser screenshots acceptance \
        bench-app clean test-k8s kube-lab kube-lab-images kube-lab-down

help:  ## Show this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  SITE=NAME picks inventories/NAME (default: local); ARGS='…' goes to ansible-playbook."

venv:
	@$(PYTHON) tools/bootstrap.py $(VENV) requirements.lock

venv-dev:
	@$(PYTHON) tools/bootstrap.py $(VENV) requirements.lock requirements-dev.lock

venv-kubernetes:  ## Install what the platform kubernetes needs besides
	@$(PYTHON) tools/bootstrap.py $(VENV) requirements.lock requirements-kubernetes.lock

venv-app:
	@$(PYTHON) tools/bootstrap.py $(APP_VENV) mesh_app/requirements.lock mesh_app/requirements-test.lock
	@echo "$(CURDIR)/mesh_app/src" > "$$($(APP_VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/mesh_app.pth"

release: venv  ## Build dist/<version>+<content8>/, what a deploy installs
	@$(BIN)/python tools/release.py

images: release  ## Build the container images of the release on BASE=<a slim Debian image>; REGISTRY=… pushes them
	@$(BIN)/python tools/images.py --base '$(BASE)' --push '$(REGISTRY)'

deploy: release  ## Deploy inventories/local (or SITE=…), verify it, print the URLs
	@$(BIN)/ansible-playbook site.yml -i inventories/$(SITE) $(ARGS)

verify: venv  ## Prove that the running mesh works (for exit codes call bin/mesh-verify)
	@bin/mesh-verify -i inventories/$(SITE) $(ARGS)

status: venv  ## Show what runs
	@$(BIN)/ansible-playbook playbooks/status.yml -i inventories/$(SITE) $(ARGS)

destroy: venv  ## Remove the local mesh with its data and backups
	@[ "$(SITE)" = local ] || { echo "make destroy removes the local mesh alone; for inventories/$(SITE) run \
	ansible-playbook playbooks/destroy.yml -i inventories/$(SITE)" >&2; exit 2; }
	@$(BIN)/ansible-playbook playbooks/destroy.yml -i inventories/local -e mesh_remove_data=local -e mesh_remove_backups=local $(ARGS)

lint: venv-dev venv-app  ## Ruff, mypy, yamllint, ansible-lint
	@$(BIN)/python tools/lint.py

docs: venv-dev  ## Generate docs/variables.md from the specification of the variables
	@$(BIN)/python tools/variables_reference.py

dashboards: venv-dev  ## Generate dashboards/*.json from the plan of a small mesh
	@$(BIN)/python tools/dashboards.py

k8s: venv-dev  ## Render k8s/*.yaml and the chart's values from the plan by example, with Helm
	@$(BIN)/python tools/kubernetes_manifests.py

test-needs: venv-dev
	@$(BIN)/python tools/test_needs.py testbed browser age monitoring

test-browser:
	@$(PYTHON) tools/test_needs.py browser

screenshots: test-browser venv-app  ## Take the pictures of the UI in docs/images again
	@$(APP_VENV)/bin/python -m pytest -q mesh_app/tests/screenshots.py

test: test-needs venv-app release  ## The merge gate: lint and every suite
	@$(BIN)/python tools/gate.py

test-unit: venv-dev  ## Pure code: plan, drivers, modules, checks, alert rules
	@$(BIN)/python tools/test_needs.py age monitoring
	@$(BIN)/python -m pytest tests/unit

test-app: test-browser venv-app  ## The mesh app on real PostgreSQL and Redis
	@$(APP_VENV)/bin/python -m pytest mesh_app/tests

test-local: test-needs release  ## The mesh as local processes: deploy, again, break, repair, destroy
	@$(BIN)/python -m pytest tests/local

test-vm: test-needs release  ## The mesh on VMs (systemd containers): molecule, negative controls, prod
	@$(BIN)/python -m pytest tests/vm

test-compose: test-needs release  ## The mesh in containers on Compose hosts
	@$(BIN)/python -m pytest tests/compose

test-k8s: test-needs venv-kubernetes release  ## The mesh on a Kubernetes cluster of three nodes; compiles Kubernetes once
	@$(BIN)/python tools/test_needs.py cluster
	@$(BIN)/python -m pytest -s tests/k8s

kube-lab: venv  ## A Kubernetes cluster of three nodes on this machine, to play with
	@$(BIN)/python tools/test_needs.py testbed cluster
	@$(BIN)/python -m tests.testbed.cluster up $(LAB)

kube-lab-images: release  ## Build the mesh's images on a bare Debian, and give them to the nodes of that cluster
	@$(BIN)/python tools/images.py --base "$$($(BIN)/python -m tests.testbed base)"
	@$(BIN)/python -m tests.testbed.cluster load $(LAB)

kube-lab-down: venv  ## Take that cluster away
	@$(BIN)/python -m tests.testbed.cluster down $(LAB)

acceptance: test-needs venv-kubernetes venv-app release  ## Everything, in resumable parts, each leaving a dated result
	@$(BIN)/python tools/test_needs.py object-store cluster
	@$(BIN)/python tools/acceptance.py $(ARGS)

bench-app: venv-app  ## Measure the mesh app on this machine; ARGS='--with-peers --markdown' as docs/benchmarks.md says
	@$(APP_VENV)/bin/python -m benchmarks.app $(ARGS)

clean:  ## Delete build output and caches, not the mesh
	rm -rf build dist .cache .venv
