# SPDX-License-Identifier: Apache-2.0
"""The parts of bench/run and bench/soak. Python's standard library only."""
