# SPDX-License-Identifier: Apache-2.0
dist_man1_MANS = docs/weirctl.1
dist_man5_MANS = docs/weir.yaml.5
dist_man8_MANS = docs/weir-gateway.8

dist_doc_DATA = README.md LICENSE
weirpagesdir = $(docdir)/docs
dist_weirpages_DATA = \
	docs/README.md \
	docs/configuration.md \
	docs/logs.md \
	docs/metrics.md \
	docs/migrating.md \
	docs/operations.md \
	docs/reasons.md \
	docs/reference.md
