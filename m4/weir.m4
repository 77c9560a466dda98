dnl SPDX-License-Identifier: Apache-2.0

dnl WEIR_ADD_CFLAG(VARIABLE, FLAG): append FLAG to VARIABLE if the compiler takes it without a word.
AC_DEFUN([WEIR_ADD_CFLAG], [
	AS_VAR_PUSHDEF([weir_cv], [weir_cv_cflag_$2])
	AC_CACHE_CHECK([whether $CC accepts $2], [weir_cv], [
		weir_saved_CFLAGS=$CFLAGS
		CFLAGS="$CFLAGS -O2 -Werror $2"
		AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <stdio.h>]], [[return (puts("") < 0);]])],
			[AS_VAR_SET([weir_cv], [yes])], [AS_VAR_SET([weir_cv], [no])])
		CFLAGS=$weir_saved_CFLAGS
	])
	AS_VAR_IF([weir_cv], [yes], [$1="$$1 $2"])
	AS_VAR_POPDEF([weir_cv])
])

dnl WEIR_ADD_LDFLAG(VARIABLE, FLAG): the same for the linker.
AC_DEFUN([WEIR_ADD_LDFLAG], [
	AS_VAR_PUSHDEF([weir_cv], [weir_cv_ldflag_$2])
	AC_CACHE_CHECK([whether the linker accepts $2], [weir_cv], [
		weir_saved_LDFLAGS=$LDFLAGS
		LDFLAGS="$LDFLAGS $2"
		AC_LINK_IFELSE([AC_LANG_PROGRAM()],
			[AS_VAR_SET([weir_cv], [yes])], [AS_VAR_SET([weir_cv], [no])])
		LDFLAGS=$weir_saved_LDFLAGS
	])
	AS_VAR_IF([weir_cv], [yes], [$1="$$1 $2"])
	AS_VAR_POPDEF([weir_cv])
])

dnl --enable-asan, -ubsan, -tsan, -fuzz, -coverage. Sets INSTRUMENT_CFLAGS and INSTRUMENT_LDFLAGS.
AC_DEFUN([WEIR_ARG_SANITIZERS], [
	AC_ARG_ENABLE([asan], [AS_HELP_STRING([--enable-asan], [build with AddressSanitizer])],
		[], [enable_asan=no])
	AC_ARG_ENABLE([ubsan], [AS_HELP_STRING([--enable-ubsan], [build with UndefinedBehaviorSanitizer])],
		[], [enable_ubsan=no])
	AC_ARG_ENABLE([tsan], [AS_HELP_STRING([--enable-tsan], [build with ThreadSanitizer])],
		[], [enable_tsan=no])
	AC_ARG_ENABLE([fuzz], [AS_HELP_STRING([--enable-fuzz], [link tests/fuzz with libFuzzer (clang)])],
		[], [enable_fuzz=no])
	AC_ARG_ENABLE([coverage], [AS_HELP_STRING([--enable-coverage], [build for gcov])],
		[], [enable_coverage=no])

	AS_IF([test "x$enable_tsan" = xyes && test "x$enable_asan" = xyes],
		[AC_MSG_ERROR([--enable-tsan and --enable-asan exclude each other])])
	weir_sanitizers=
	AS_IF([test "x$enable_asan" = xyes], [weir_sanitizers="$weir_sanitizers,address"
		AC_DEFINE([WEIR_ASAN], [1], [Define when built with AddressSanitizer.])])
	AS_IF([test "x$enable_ubsan" = xyes], [weir_sanitizers="$weir_sanitizers,undefined"])
	AS_IF([test "x$enable_tsan" = xyes], [weir_sanitizers="$weir_sanitizers,thread"
		AC_DEFINE([WEIR_TSAN], [1], [Define when built with ThreadSanitizer.])])
	AS_IF([test "x$enable_fuzz" = xyes], [weir_sanitizers="$weir_sanitizers,fuzzer-no-link"
		FUZZ_LDFLAGS=-fsanitize=fuzzer])
	weir_sanitizers=${weir_sanitizers#,}

	INSTRUMENT_CFLAGS=
	INSTRUMENT_LDFLAGS=
	AS_IF([test -n "$weir_sanitizers"], [
		INSTRUMENT_CFLAGS="-fsanitize=$weir_sanitizers -fno-sanitize-recover=all -fno-omit-frame-pointer"
		INSTRUMENT_LDFLAGS="-fsanitize=$weir_sanitizers"
		AS_IF([test "x$weir_user_cflags" != xyes], [CFLAGS="-O1 -g"])
		weir_saved_CFLAGS=$CFLAGS
		CFLAGS="$CFLAGS $INSTRUMENT_CFLAGS"
		AC_MSG_CHECKING([whether -fsanitize=$weir_sanitizers links])
		AC_LINK_IFELSE([AC_LANG_PROGRAM()], [AC_MSG_RESULT([yes])],
			[AC_MSG_RESULT([no])
			AC_MSG_ERROR([$CC does not link -fsanitize=$weir_sanitizers])])
		CFLAGS=$weir_saved_CFLAGS
	])
	AS_IF([test "x$enable_coverage" = xyes], [
		INSTRUMENT_CFLAGS="$INSTRUMENT_CFLAGS --coverage -fprofile-update=atomic"
		INSTRUMENT_LDFLAGS="$INSTRUMENT_LDFLAGS --coverage"
		AS_IF([test "x$weir_user_cflags" != xyes], [CFLAGS="-O0 -g"])
		# The counters of gcov live in what setjmp may clobber, and gcc blames the code.
		WEIR_ADD_CFLAG([INSTRUMENT_CFLAGS], [-Wno-clobbered])
	])
	AC_SUBST([INSTRUMENT_CFLAGS])
	AC_SUBST([INSTRUMENT_LDFLAGS])
	AC_SUBST([FUZZ_LDFLAGS])
	AM_CONDITIONAL([WEIR_FUZZ], [test "x$enable_fuzz" = xyes])
	AM_CONDITIONAL([WEIR_INSTRUMENTED],
		[test -n "$weir_sanitizers" || test "x$enable_coverage" = xyes])
	AM_CONDITIONAL([WEIR_TSAN], [test "x$enable_tsan" = xyes])
])

dnl Warnings are errors for who works on the code, not for who builds a release with another compiler.
AC_DEFUN([WEIR_ARG_WERROR], [
	AC_ARG_ENABLE([werror],
		[AS_HELP_STRING([--enable-werror], [warnings are errors (default in a git checkout)])],
		[], [AS_IF([test -e "$srcdir/.git"], [enable_werror=yes], [enable_werror=no])])
])

AC_DEFUN([WEIR_WARNINGS], [
	WARN_CFLAGS=
	m4_foreach_w([flag], [-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
	    -Wold-style-definition -Wwrite-strings -Wvla -Wconversion -Wsign-conversion -Wundef
	    -Wformat-security -Wpointer-arith -Wimplicit-fallthrough],
		[WEIR_ADD_CFLAG([WARN_CFLAGS], flag)])
	AS_IF([test "x$enable_werror" = xyes], [WARN_CFLAGS="$WARN_CFLAGS -Werror"])
	AC_SUBST([WARN_CFLAGS])
])

dnl Hardening of every build. What is taken, and what is not:
dnl  - PIE with full RELRO: addresses move, the GOT is read-only. -fno-plt: with -z now the stub
dnl    of a lazy binding has no use, so calls into libraries go straight through the GOT.
dnl  - stack-protector-strong, stack-clash-protection, cf-protection, FORTIFY 3 (2 where the library
dnl    does not know 3): cost nothing that can be measured on the data path.
dnl  - not -ftrivial-auto-var-init: it writes every local buffer of the data path once more.
dnl  - not -fno-strict-overflow: signed overflow is a bug that the UBSan build must be free to find.
dnl Sanitizers bring their own checks and do not go with FORTIFY.
AC_DEFUN([WEIR_HARDENING], [
	HARDEN_CFLAGS=
	HARDEN_LDFLAGS=
	WEIR_ADD_CFLAG([HARDEN_CFLAGS], [-fPIE])
	WEIR_ADD_LDFLAG([HARDEN_LDFLAGS], [-pie])
	WEIR_ADD_LDFLAG([HARDEN_LDFLAGS], [-Wl,-z,relro])
	WEIR_ADD_LDFLAG([HARDEN_LDFLAGS], [-Wl,-z,now])
	WEIR_ADD_LDFLAG([HARDEN_LDFLAGS], [-Wl,-z,noexecstack])
	WEIR_ADD_LDFLAG([HARDEN_LDFLAGS], [-Wl,-z,separate-code])
	AS_IF([test -z "$weir_sanitizers" && test "x$enable_coverage" = xno], [
		m4_foreach_w([flag], [-fno-plt -fstack-protector-strong -fstack-clash-protection
		    -fcf-protection], [WEIR_ADD_CFLAG([HARDEN_CFLAGS], flag)])
		weir_before=$HARDEN_CFLAGS
		WEIR_ADD_CFLAG([HARDEN_CFLAGS], [-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3])
		AS_IF([test "x$weir_before" = "x$HARDEN_CFLAGS"],
			[WEIR_ADD_CFLAG([HARDEN_CFLAGS], [-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2])])
	])
	AC_SUBST([HARDEN_CFLAGS])
	AC_SUBST([HARDEN_LDFLAGS])
])

dnl --with-jemalloc: the allocator of the programs. Sanitizers need to be the allocator themselves.
AC_DEFUN([WEIR_ARG_JEMALLOC], [
	AC_ARG_WITH([jemalloc], [AS_HELP_STRING([--without-jemalloc], [use the C library's allocator])],
		[], [with_jemalloc=yes])
	AS_IF([test -n "$weir_sanitizers"], [with_jemalloc=no])
	AS_IF([test "x$with_jemalloc" != xno], [
		PKG_CHECK_MODULES([JEMALLOC], [jemalloc >= 5.3.0])
		AC_DEFINE([HAVE_JEMALLOC], [1], [Define when jemalloc is the allocator.])
	])
	AC_SUBST([JEMALLOC_CFLAGS])
	AC_SUBST([JEMALLOC_LIBS])
])

dnl --disable-lto: the programs are optimised as a whole when they are linked, which spares a request
dnl about a sixteenth of its instructions. The objects are ordinary ones too (fat), so tests link
dnl fast and the lints can read their symbols; a compiler without such objects (clang) goes without.
AC_DEFUN([WEIR_ARG_LTO], [
	AC_ARG_ENABLE([lto], [AS_HELP_STRING([--disable-lto], [do not optimise across files])],
		[], [enable_lto=yes])
	LTO_CFLAGS=
	AS_IF([test "x$enable_lto" != xno && test -z "$weir_sanitizers" &&
	    test "x$enable_coverage" = xno],
		[WEIR_ADD_CFLAG([LTO_CFLAGS], [-flto=auto -ffat-lto-objects])])
	NO_LTO_LDFLAGS=
	AS_IF([test -n "$LTO_CFLAGS"], [NO_LTO_LDFLAGS=-fno-lto])
	AC_SUBST([LTO_CFLAGS])
	AC_SUBST([NO_LTO_LDFLAGS])
])
