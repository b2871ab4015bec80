"""Runs the test_*.py files of a folder against one binary: run BINARY [NAME-PART...]."""

import importlib.util
import glob
import os
import sys
import time
import traceback
import unittest

from . import web


class _Result(unittest.TestResult):
    def startTest(self, test):
        super().startTest(test)
        self._started = time.monotonic()

    def _line(self, verdict, test, note=""):
        seconds = time.monotonic() - getattr(self, "_started", time.monotonic())
        print(f"{verdict:6} {test.id()} ({seconds:.2f} s){note}", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed = getattr(self, "passed", 0) + 1
        self._line("ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._line("skip", test, f": {reason}")

    def _failed(self, test, err):
        self._line("FAILED", test)
        traceback.print_exception(*err, file=sys.stdout)
        print(web.logs(), end="", flush=True)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._failed(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self._failed(test, err)


def _select(suite, parts):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from _select(item, parts)
        elif not parts or any(p in item.id() for p in parts):
            yield item


def main(folder):
    if len(sys.argv) < 2 or not os.access(sys.argv[1], os.X_OK):
        sys.exit(f"usage: {sys.argv[0]} BINARY [NAME-PART...]")
    web.set_binary(sys.argv[1])

    suite = unittest.TestSuite()
    for path in sorted(glob.glob(os.path.join(folder, "test_*.py"))):
        name = os.path.splitext(os.path.basename(path))[0]
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        loaded = unittest.defaultTestLoader.loadTestsFromModule(module)
        suite.addTests(_select(loaded, sys.argv[2:]))

    result = _Result()
    suite.run(result)
    failed = len(result.failures) + len(result.errors)
    print(f"{getattr(result, 'passed', 0)} passed, {failed} failed")
    sys.exit(1 if failed else 0)
