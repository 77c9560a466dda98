# SPDX-License-Identifier: Apache-2.0
dist_weirconf_DATA += conf/gateway.yaml
weirexamplesdir = $(docdir)/examples
dist_weirexamples_DATA = \
	conf/examples/canary.yaml \
	conf/examples/hosts.yaml \
	conf/examples/limits.yaml \
	conf/examples/minimal.yaml \
	conf/examples/rewrite.yaml
