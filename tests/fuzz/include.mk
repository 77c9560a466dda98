# SPDX-License-Identifier: Apache-2.0
#
# A target is one file of at most 40 lines with LLVMFuzzerTestOneInput, and a folder
# tests/fuzz/corpus/NAME. Configured with --enable-fuzz (clang) it links libFuzzer and explores;
# without, corpus_main.c feeds it the corpus, cut at every offset, as an ordinary test.
# For each target:
#
#	FUZZ_TARGETS += tests/fuzz/fuzz_x
#	tests_fuzz_fuzz_x_SOURCES = tests/fuzz/fuzz_x.c $(FUZZ_MAIN)
#	tests_fuzz_fuzz_x_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
#	tests_fuzz_fuzz_x_LDADD = libengine_....a
FUZZ_TARGETS =

if WEIR_FUZZ
FUZZ_MAIN =
else
FUZZ_MAIN = tests/fuzz/corpus_main.c
endif

FUZZ_TARGETS += tests/fuzz/fuzz_config
tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz_config.c $(CONFIG_SHAPE) $(FUZZ_MAIN)
tests_fuzz_fuzz_config_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_config_LDADD = libengine_config.a libengine_mem.a libengine_base.a $(YAML_LIBS) \
	$(JEMALLOC_LIBS)

FUZZ_H1 = \
	tests/fuzz/fuzz_h1_request \
	tests/fuzz/fuzz_h1_response \
	tests/fuzz/fuzz_h1_chunked \
	tests/fuzz/fuzz_h1_codec
FUZZ_TARGETS += $(FUZZ_H1)

tests_fuzz_fuzz_h1_request_SOURCES = tests/fuzz/fuzz_h1_request.c $(FUZZ_MAIN)
tests_fuzz_fuzz_h1_request_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_h1_request_LDADD = $(H1_TEST_LIBS)

tests_fuzz_fuzz_h1_response_SOURCES = tests/fuzz/fuzz_h1_response.c $(FUZZ_MAIN)
tests_fuzz_fuzz_h1_response_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_h1_response_LDADD = $(H1_TEST_LIBS)

tests_fuzz_fuzz_h1_chunked_SOURCES = tests/fuzz/fuzz_h1_chunked.c $(FUZZ_MAIN)
tests_fuzz_fuzz_h1_chunked_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_h1_chunked_LDADD = tests/unit/h1/librig.a $(H1_TEST_LIBS)

tests_fuzz_fuzz_h1_codec_SOURCES = tests/fuzz/fuzz_h1_codec.c $(FUZZ_MAIN)
tests_fuzz_fuzz_h1_codec_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_h1_codec_LDADD = tests/unit/h1/librig.a $(H1_TEST_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_uri
tests_fuzz_fuzz_uri_SOURCES = tests/fuzz/fuzz_uri.c $(FUZZ_MAIN)
tests_fuzz_fuzz_uri_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_uri_LDADD = libengine_http.a libengine_mem.a libengine_base.a $(JEMALLOC_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_field
tests_fuzz_fuzz_field_SOURCES = tests/fuzz/fuzz_field.c $(FUZZ_MAIN)
tests_fuzz_fuzz_field_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_field_LDADD = libengine_http.a libengine_mem.a libengine_base.a $(JEMALLOC_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_addr
tests_fuzz_fuzz_addr_SOURCES = tests/fuzz/fuzz_addr.c $(FUZZ_MAIN)
tests_fuzz_fuzz_addr_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_addr_LDADD = libengine_base.a

FUZZ_TARGETS += tests/fuzz/fuzz_scalar
tests_fuzz_fuzz_scalar_SOURCES = tests/fuzz/fuzz_scalar.c $(FUZZ_MAIN)
tests_fuzz_fuzz_scalar_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_scalar_LDADD = libengine_config.a libengine_mem.a libengine_base.a $(YAML_LIBS) \
	$(JEMALLOC_LIBS)

FUZZ_TARGETS += tests/fuzz/fuzz_template
tests_fuzz_fuzz_template_SOURCES = tests/fuzz/fuzz_template.c $(FUZZ_MAIN)
tests_fuzz_fuzz_template_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
tests_fuzz_fuzz_template_LDADD = libengine_proxy.a libengine_http.a libengine_config.a \
	libengine_regex.a libengine_mem.a libengine_base.a $(PCRE2_LIBS) $(YAML_LIBS) $(JEMALLOC_LIBS)
