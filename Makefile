# Two commands on a fresh clone: `make demo` shows the program at work, `make test` checks it.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO_RUN := $(VENV)/demo

.PHONY: demo test test-video test-blender fuzz load bench lint clean help

help:
	@echo "make demo   install into $(VENV), train on the demo data for two minutes, evaluate, draw demo.gif"
	@echo "make test   install into $(VENV), run the linters and all tests, print the branch coverage"
	@echo "make fuzz   read ten thousand damaged files"
	@echo "make bench  measure speed and memory against a straightforward program, half an hour"
	@echo "make load   measure that memory stays flat with five million poses and with long clips"
	@echo "make test-video  a real clip through predict.py with MediaPipe, and rtmlib with small models, each in its own environment"
	@echo "make test-blender  Blender imports the BVH that predict.py writes, in an environment of its own (Python 3.11)"
	@echo "make clean  remove $(VENV) and what the demo made"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed: make PYTHON=python3.12 demo")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: requirements.txt constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -q -r requirements.txt -c constraints.txt
	@touch $@

$(VENV)/installed-dev: requirements-dev.txt requirements.txt constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -q -r requirements-dev.txt -c constraints.txt
	@touch $@ $(VENV)/installed

# The recipe for short runs (docs/accuracy.md). One thread: with 64 poses in a step a second thread gains little, and on a
# busy machine threads that wait for each other are slow (docs/performance.md).
DEMO_TRAINING := --non_local -e 4 --recipe tuned
DEMO_CKPT = $(DEMO_RUN)/*/ckpt_last.pth.tar

demo: export OMP_NUM_THREADS = 1
demo: $(VENV)/installed
	rm -rf $(DEMO_RUN)
	$(BIN)/python main_gcn.py --dataset demo $(DEMO_TRAINING) --checkpoint $(DEMO_RUN)
	$(BIN)/python main_gcn.py --dataset demo --evaluate $(DEMO_CKPT)
	$(BIN)/python viz.py --dataset demo --evaluate $(DEMO_CKPT) --viz_subject S9 --viz_action Walking --viz_camera 0 \
		--viz_size 3 --viz_output demo.gif
	@echo "Look at demo.gif: 2D input, prediction, ground truth."

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: lint
	$(BIN)/python -m pytest -n auto --cov

# A real clip through MediaPipe, which needs Python 3.10 to 3.12 and numpy < 2; rtmlib with small models of its kind. Each
# detector has its own environment.
test-video: $(VENV)-video/installed $(VENV)-rtmlib/installed
	$(VENV)-video/bin/python tests/video_check.py $(VENV)-video/clip
	$(VENV)-rtmlib/bin/python -m pytest -q tests/lifting/test_detectors.py

$(VENV)-video/installed: requirements.txt
	$(PYTHON) -m venv $(VENV)-video
	$(VENV)-video/bin/python -m pip install -q torch==2.13.0 -r requirements.txt 'mediapipe>=0.10.9,<=0.10.21' 'numpy<2'
	@touch $@

$(VENV)-rtmlib/installed: requirements.txt requirements-video.txt
	$(PYTHON) -m venv $(VENV)-rtmlib
	$(VENV)-rtmlib/bin/python -m pip install -q torch==2.13.0 -r requirements-video.txt onnx pytest
	@touch $@

# Blender's own importer on the BVH files of three clips; bpy 4.2 is a package for Python 3.11 alone.
BLENDER_PYTHON ?= python3.11
test-blender: $(VENV)/installed-dev $(VENV)-blender/installed
	$(BIN)/python tests/blender_check.py write $(VENV)-blender/clips
	$(VENV)-blender/bin/python tests/blender_check.py check $(VENV)-blender/clips

$(VENV)-blender/installed:
	$(BLENDER_PYTHON) -m venv $(VENV)-blender
	$(VENV)-blender/bin/python -m pip install -q 'bpy==4.2.*'
	@touch $@

# Ten thousand damaged files: each must be read, or refused with a sentence.
fuzz: $(VENV)/installed-dev
	$(BIN)/python -m tests.fuzzing --inputs 10000

# Speed and memory against a straightforward program of the same equations.
bench: $(VENV)/installed
	$(BIN)/python -m benchmarks --output $(VENV)/benchmark.json

# Peak memory with half a million and with five million poses, and with long clips; time of predict.py on a long clip.
load: $(VENV)/installed-dev
	$(BIN)/python -m benchmarks.load
	$(BIN)/python -m benchmarks.long_clip

clean:
	rm -rf $(VENV) $(VENV)-video $(VENV)-rtmlib $(VENV)-blender demo.gif data/data_3d_demo.npz
