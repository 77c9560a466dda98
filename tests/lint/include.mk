# SPDX-License-Identifier: Apache-2.0
#
# The house rules that a machine can check. selftest proves that each check can fail. A build for a
# sanitizer tells them nothing new.
if !WEIR_INSTRUMENTED
TESTS += \
	tests/lint/banned \
	tests/lint/docs \
	tests/lint/format \
	tests/lint/hardened \
	tests/lint/headers \
	tests/lint/ignored \
	tests/lint/includes \
	tests/lint/magic \
	tests/lint/prefixes \
	tests/lint/reasons \
	tests/lint/selftest \
	tests/lint/sizes \
	tests/lint/snippets
endif
