# SPDX-License-Identifier: Apache-2.0
dist_man8_MANS = docs/weir-gateway.8
