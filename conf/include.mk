# SPDX-License-Identifier: Apache-2.0
weirexamplesdir = $(docdir)/examples
dist_weirexamples_DATA = \
	conf/gateway.yaml \
	conf/examples/canary.yaml \
	conf/examples/hosts.yaml \
	conf/examples/limits.yaml \
	conf/examples/minimal.yaml \
	conf/examples/rewrite.yaml \
	conf/examples/versions.yaml

weirdropdir = $(weirexamplesdir)/conf.d
dist_weirdrop_DATA = \
	conf/examples/conf.d/nginx.yaml \
	conf/examples/conf.d/node.yaml \
	conf/examples/conf.d/python.yaml

# The file in force is its owner's: it is made where there is none, and never written over.
INSTALLED_CONF = $(DESTDIR)$(weirconfdir)/gateway.yaml

install-data-local:
	@$(MKDIR_P) "$(DESTDIR)$(weirconfdir)/conf.d"
	@if test -e "$(INSTALLED_CONF)"; then \
		echo "$(INSTALLED_CONF) is there and stays; ours is among the examples"; \
	else \
		echo "$(INSTALL_DATA) $(srcdir)/conf/gateway.yaml $(INSTALLED_CONF)"; \
		$(INSTALL_DATA) "$(srcdir)/conf/gateway.yaml" "$(INSTALLED_CONF)"; \
	fi

uninstall-local:
	@if cmp -s "$(srcdir)/conf/gateway.yaml" "$(INSTALLED_CONF)"; then \
		rm -f "$(INSTALLED_CONF)"; \
	fi
	@rmdir "$(DESTDIR)$(weirconfdir)/conf.d" "$(DESTDIR)$(weirconfdir)" 2>/dev/null || :

# What was installed finds its file and takes it; a second installation, elsewhere, keeps a change.
installcheck-local:
	"$(DESTDIR)$(bindir)/weir-gateway$(EXEEXT)" check -c "$(INSTALLED_CONF)"
	test -n "$(DESTDIR)" || "$(bindir)/weir-gateway$(EXEEXT)" check
	@there=`mktemp -d` && \
	$(MAKE) $(AM_MAKEFLAGS) install-data-local DESTDIR="$$there" && \
	echo "# changed" >>"$$there$(weirconfdir)/gateway.yaml" && \
	$(MAKE) $(AM_MAKEFLAGS) install-data-local uninstall-local DESTDIR="$$there" && \
	tail -n 1 "$$there$(weirconfdir)/gateway.yaml" | grep -q changed && \
	rm -rf "$$there"
