# SPDX-License-Identifier: MIT
pare_test(test_resize MODULES core model encode SOURCES test_resize.c)
