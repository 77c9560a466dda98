# SPDX-License-Identifier: Apache-2.0
dist_check_SCRIPTS += tests/unit/gateway/examples tests/unit/gateway/reference
TESTS += tests/unit/gateway/examples tests/unit/gateway/reference
