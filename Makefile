# make         builds build/skiff and the library
# make demo    installs what is missing, builds, classifies the shipped inspection images
# make test    does all set-up and runs the tests
# make docs    writes docs/operators.md from the operator catalogue
# make exporters  exports models with the usual converters (PyPI) and compares Skiff with their frameworks
# make clang   builds with clang-19 too; make asan: the tests under sanitizers; make tsan: those of threads
# make fuzz    builds the fuzz targets with clang-19 and runs each for SECONDS (60)
.PHONY: all docs demo test setup setup-test build asan tsan fuzz clang format tidy bench exporters install clean

JOBS ?= $(shell nproc)
CXX_COMPILER ?= g++-12
# The tests' own Python, once set-up has made it: an earlier configure may have found the system's.
TEST_PYTHON = $$(test -x .venv/bin/python && echo -DSKIFF_PYTHON=$(CURDIR)/.venv/bin/python)
SECONDS ?= 60
TSAN_TESTS = test_base test_device test_runtime test_capi

all: setup build

# Debian packages of the build; installed only when one is missing.
setup:
	@cmake/setup.sh build

setup-test:
	@cmake/setup.sh test

build: setup
	@cmake --preset release -DCMAKE_CXX_COMPILER=$(CXX_COMPILER) > /dev/null
	@cmake --build build -j $(JOBS) --target skiff_command skiff_shared skiff_static

demo: build
	@examples/inspection/demo.sh build/skiff demo-out

test: setup-test
	@cmake --preset release -DCMAKE_CXX_COMPILER=$(CXX_COMPILER) $(TEST_PYTHON) > /dev/null
	@cmake --build build -j $(JOBS)
	@tests/run.sh build $(JOBS)

docs: setup-test
	@cmake --preset release -DCMAKE_CXX_COMPILER=$(CXX_COMPILER) > /dev/null
	@cmake --build build -j $(JOBS) --target operators_md

asan: setup-test
	@cmake --preset asan > /dev/null
	@cmake --build build-asan -j $(JOBS)
	@tests/run.sh build-asan $(JOBS)

# The layers that start threads or are used by several: everything else runs on one.
tsan: setup-test
	@cmake --preset tsan > /dev/null
	@cmake --build build-tsan -j $(JOBS) --target $(TSAN_TESTS)
	@tests/run.sh build-tsan $(JOBS) '^unit_(base|device|runtime|capi)$$'

fuzz: setup
	@cmake/setup.sh fuzz
	@SKIFF_FUZZ_SECONDS=$(SECONDS) SKIFF_FUZZ_JOBS=$(JOBS) tests/fuzz/short.sh

clang: setup-test
	@cmake --preset clang > /dev/null
	@cmake --build build-clang -j $(JOBS)

exporters: build
	@bench/exporters/run.sh

format:
	@git ls-files '*.cc' '*.h' '*.hpp' '*.c' | xargs clang-format -i

tidy: build
	@git ls-files 'src/*.cc' | xargs -P $(JOBS) -n 4 clang-tidy -p build --quiet

install: build
	@cmake --install build

clean:
	rm -rf build build-asan build-tsan build-clang build-fuzz build-debug demo-out
